// Which worker process was busy when: CPU time of each process of the app servers, second by second, for the report's heat map.
// For servers that do not name their workers in Server-Timing.
import type { Lanes } from '../measure/result.ts';
import { cpuMs, familyOf } from './processes.ts';

const LOOK_MS = 1000;

export class CpuLanes {
  readonly #roots: readonly number[];
  readonly #lanes = new Map<number, number[]>();
  readonly #last = new Map<number, number>();
  readonly #timer: NodeJS.Timeout;
  #looks = 0;

  /** Begins to look at the processes and what they start. */
  constructor(roots: readonly number[]) {
    this.#roots = roots;
    for (const pid of familyOf(roots)) this.#last.set(pid, cpuMs(pid));
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  /** Ends looking; undefined when nothing was seen. */
  finish(): Lanes | undefined {
    clearInterval(this.#timer);
    const lanes = [...this.#lanes].filter(([, values]) => values.some((value) => value > 0));
    if (lanes.length === 0) return undefined;
    return {
      source: 'cpu',
      unit: 'CPU share',
      names: lanes.map(([pid]) => `pid ${pid}`),
      values: lanes.map(([, values]) => Array.from({ length: this.#looks }, (_, second) => values[second] ?? 0)),
    };
  }

  #look(): void {
    for (const pid of familyOf(this.#roots)) {
      const now = cpuMs(pid);
      const lane = this.#lanes.get(pid) ?? [];
      lane[this.#looks] = Math.round(((now - (this.#last.get(pid) ?? now)) / LOOK_MS) * 100) / 100;
      this.#lanes.set(pid, lane);
      this.#last.set(pid, now);
    }
    this.#looks++;
  }
}
