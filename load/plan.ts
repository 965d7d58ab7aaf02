// What a run will do, complete and checked: the command line and scenario files end here, and the threads that make the load
// get a copy of it. Times are in ms, sizes in bytes; nothing in it is looked up again while the load runs.
import type { Stage } from './units.ts';

/** One kind of request of the mix. */
export interface PlannedRequest {
  /** How the result calls it. */
  readonly name: string;
  readonly url: string;
  readonly method: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array | undefined;
  /** Its share of the mix, relative to the others'. */
  readonly weight: number;
  /** The statuses that are no error; undefined: all below 400. */
  readonly expect: readonly number[] | undefined;
}

/** A whole run. */
export interface LoadPlan {
  readonly name: string;
  readonly requests: readonly PlannedRequest[];
  /** Whether requests of the mix are drawn by weight, or sent in the order given, each `weight` times. */
  readonly order: 'weighted' | 'sequence';
  /** Closed: each connection sends its next request when it has the answer. Open: requests are sent when they are due. */
  readonly model: 'closed' | 'open';
  readonly arrivals: 'constant' | 'poisson';
  /** Levels over time: connections (closed) or requests per second (open). */
  readonly stages: readonly Stage[];
  /** So much before the first stage, at its first level; sent but not counted. */
  readonly warmupMs: number;
  /** Ends the run after so many counted requests, whatever the stages say. */
  readonly requestLimit: number | undefined;
  /** The most connections that are ever open; of a closed run, the highest level. */
  readonly connections: number;
  /** HTTP/2: requests at the same time on a connection. */
  readonly streams: number;
  readonly protocol: 'http/1.1' | 'h2';
  readonly isKeepalive: boolean;
  /** A connection is closed by us after so many requests; 0: never. */
  readonly reconnectAfter: number;
  /** Closed model: a pause between an answer and the next request, drawn evenly from these two. */
  readonly thinkMs: readonly [least: number, most: number];
  /** Bytes a second at which requests trickle out, and responses are read; 0: at once. */
  readonly sendRate: number;
  readonly readRate: number;
  readonly timeoutMs: number;
  readonly threads: number;
  /** Authorities (PEM) that are trusted beside the system's. */
  readonly authorities: readonly string[];
  readonly isInsecure: boolean;
  /** Seed of the draws, so that two runs send the same. */
  readonly seed: number;
}

/** The length of the counted part, in ms; what the stages add up to. */
export function measuredMs(plan: LoadPlan): number {
  return plan.stages.reduce((sum, { durationMs }) => sum + durationMs, 0);
}

/** The share of a plan that one of its threads does: connections, rate and requests are divided. */
export function shareOf(plan: LoadPlan, thread: number): LoadPlan {
  const { threads } = plan;
  if (threads === 1) return plan;
  const part = (whole: number): number => Math.floor(whole / threads) + (thread < whole % threads ? 1 : 0);
  return {
    ...plan,
    seed: plan.seed + thread * 7919,
    connections: part(plan.connections),
    requestLimit: plan.requestLimit === undefined ? undefined : part(plan.requestLimit),
    stages: plan.stages.map((stage) =>
      plan.model === 'open'
        ? { ...stage, from: stage.from / threads, to: stage.to / threads }
        : { ...stage, from: part(stage.from), to: part(stage.to) },
    ),
  };
}
