// How far a sweep is, and how long it will take: one line that is written over on a terminal, a line a run elsewhere.
import { showMs, showNumber } from '../units.ts';
import type { Terminal } from '../view/live.ts';
import type { FinishedRun } from './result-file.ts';
import { AXES, AXIS_NAMES } from './topology.ts';

export class SweepProgress {
  readonly #all: number;
  readonly #out: Terminal;
  readonly #startMs = performance.now();
  readonly #before: number;
  #done: number;

  /** `before` runs of `all` were finished in an earlier attempt. */
  constructor(all: number, before: number, out: Terminal) {
    this.#all = all;
    this.#before = before;
    this.#done = before;
    this.#out = out;
    if (before > 0) out.write(`${before} of ${all} runs are in the result file already\n`);
  }

  finished({ cell, result }: FinishedRun): void {
    this.#done++;
    const each = (performance.now() - this.#startMs) / (this.#done - this.#before);
    const left = Math.round(((this.#all - this.#done) * each) / 1000);
    const topology = AXIS_NAMES.filter((axis) => axis === 'class' || cell.topology[axis] !== AXES[axis].usual).map(
      (axis) => (axis === 'class' ? cell.topology.class : `${axis} ${cell.topology[axis]}`),
    );
    const line = `${this.#done}/${this.#all}, ${left} s left: ${topology.join(', ')}, ${cell.path} at ${cell.level.level}: ${showNumber(result.requestsPerSecond)} requests/s, p99 ${showMs(result.latency?.p99 ?? Number.NaN)}`;
    if (this.#out.isTTY !== true) {
      this.#out.write(`${line}\n`);
      return;
    }
    this.#out.write(
      `\r\x1b[K${line.slice(0, Math.max(20, (this.#out.columns ?? 80) - 1))}${this.#done === this.#all ? '\n' : ''}`,
    );
  }
}
