// What the threads of a run and the process that started them tell each other.
import type { Counts, SecondReport } from '../measure/recorder.ts';
import type { LoadPlan } from '../plan.ts';

/** Given to a thread at its start. */
export interface ThreadTask {
  readonly plan: LoadPlan;
}

/** To a thread: start at an instant (ms since the epoch), or stop. */
export type ToThread = { kind: 'start'; atEpochMs: number } | { kind: 'stop'; isAtOnce: boolean };

/** The state of a thread at an instant. */
export interface Gauges {
  readonly requests: number;
  readonly errors: number;
  readonly inFlight: number;
  readonly waiting: number;
  readonly level: number;
  /** Of a core, since the last message. */
  readonly cpuShare: number;
  /** How late the event loop was at worst since the last message, ms. */
  readonly lagMs: number;
}

export interface PartData {
  readonly counts: Counts;
  readonly histogram: string;
}

/** All that a thread has measured. */
export interface ThreadResult {
  readonly counts: Counts;
  readonly histogram: string;
  readonly service: string;
  readonly lateness: string | undefined;
  readonly stages: readonly PartData[];
  readonly kinds: ReadonlyArray<readonly [name: string, part: PartData]>;
  readonly warmup: number;
  readonly inTime: number;
  /** From the start of counting to the end of the last request, ms. */
  readonly elapsedMs: number;
  /** Rows of a sample, see recorder.ts. */
  readonly samples: Float32Array;
  readonly cpuShare: number;
}

/** From a thread. */
export type FromThread =
  | { kind: 'ready' }
  | { kind: 'second'; report: SecondReport }
  | { kind: 'gauges'; gauges: Gauges }
  | { kind: 'done'; result: ThreadResult };
