// The view of a run that goes on, drawn over itself on a terminal: progress bar, rate, latencies of the last second, errors by
// kind, and the generator's own state. Writes nothing when the stream is no terminal, but for warnings that cannot wait.
import { BUSY_SHARE } from '../engine/generator-warnings.ts';
import type { Progress } from '../engine/run.ts';
import { type LoadPlan, measuredMs } from '../plan.ts';
import { showMs, showNumber, showShare } from '../units.ts';

const BAR_WIDTH = 24;
const BUSY_REPORTS = 4;
const BLOCKS = '▁▂▃▄▅▆▇█';

export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export class LiveView {
  readonly #plan: LoadPlan;
  readonly #out: Terminal;
  readonly #isShown: boolean;
  #lines = 0;
  #busyReports = 0;
  #behindReports = 0;
  #hasWarned = false;

  constructor(plan: LoadPlan, out: Terminal, isQuiet: boolean) {
    this.#plan = plan;
    this.#out = out;
    this.#isShown = out.isTTY === true && !isQuiet;
  }

  update(progress: Progress): void {
    this.#watch(progress);
    if (!this.#isShown) return;
    const text = this.#text(progress);
    this.clear();
    const width = Math.max(20, (this.#out.columns ?? 80) - 1);
    const lines = text.map((line) => (line.length > width ? line.slice(0, width) : line));
    this.#out.write(`${lines.join('\n')}\n`);
    this.#lines = lines.length;
  }

  /** Takes the view off the terminal. */
  clear(): void {
    if (this.#lines > 0) this.#out.write(`\x1b[${this.#lines}A\x1b[J`);
    this.#lines = 0;
  }

  #watch({ cpuShares, level, waiting }: Progress): void {
    const isBusy = Math.max(0, ...cpuShares) > BUSY_SHARE;
    this.#busyReports = isBusy ? this.#busyReports + 1 : 0;
    // What is due in half a second has found no connection.
    this.#behindReports = this.#plan.model === 'open' && waiting > level / 2 ? this.#behindReports + 1 : 0;
    if (Math.max(this.#busyReports, this.#behindReports) < BUSY_REPORTS || this.#hasWarned) return;
    this.#hasWarned = true;
    this.clear();
    const rate =
      this.#plan.model === 'open'
        ? `${showNumber(level)} requests/s are not reached (${showNumber(waiting)} wait)`
        : '';
    const limit = `the generator is at its limit; use --threads ${this.#plan.threads * 2}`;
    const said = isBusy ? [rate, limit] : [rate, `all ${this.#plan.connections} connections (-c) are busy`];
    this.#out.write(`warning: ${said.filter((part) => part !== '').join(': ')}\n`);
  }

  #text(progress: Progress): string[] {
    const plan = this.#plan;
    const { elapsedMs, requests, errors, inFlight, waiting, level, cpuShares, lagMs, timeline } = progress;
    const measured = elapsedMs - plan.warmupMs;
    const part = plan.requestLimit === undefined ? measured / measuredMs(plan) : requests / plan.requestLimit;
    const done = Math.round(Math.min(1, Math.max(0, part)) * BAR_WIDTH);
    const bar = `${'█'.repeat(done)}${'░'.repeat(BAR_WIDTH - done)}`;
    const left =
      plan.requestLimit === undefined
        ? `${Math.max(0, (measuredMs(plan) - measured) / 1000).toFixed(0)} s left`
        : `${showNumber(requests)} of ${showNumber(plan.requestLimit)}`;
    const seconds = timeline.seconds();
    const last = seconds.at(-2) ?? seconds.at(-1);
    const what = measured < 0 ? 'warming up' : left;
    const lines = [
      `${bar} ${what}   ${plan.model === 'open' ? `${showNumber(level)} requests/s due` : `${showNumber(level)} connections`}`,
    ];
    if (last !== undefined) {
      const rates = seconds.slice(-32).map((second) => second.requests);
      lines.push(`  ${showNumber(last.requests).padStart(8)} requests/s  ${sparkline(rates)}`);
      lines.push(
        `  p50 ${showMs(last.p50)}   p95 ${showMs(last.p95)}   p99 ${showMs(last.p99)}   max ${showMs(last.max)}`,
      );
    }
    const kinds = new Map<string, number>();
    for (const { failures } of seconds)
      for (const [kind, count] of Object.entries(failures)) kinds.set(kind, (kinds.get(kind) ?? 0) + count);
    const named = [...kinds].map(([kind, count]) => `${kind} ${showNumber(count)}`).join(', ');
    lines.push(
      `  errors ${showNumber(errors)}${requests > 0 ? ` (${showShare(errors / requests)})` : ''}${named === '' ? '' : `: ${named}`}`,
    );
    const cpu = cpuShares.map((share) => showShare(share)).join(' ');
    lines.push(
      `  ${inFlight} on the way${waiting > 0 ? `, ${showNumber(waiting)} waiting for a connection` : ''}   generator: CPU ${cpu}, lag ${showMs(Math.max(0, lagMs))}`,
    );
    return lines;
  }
}

function sparkline(values: readonly number[]): string {
  const most = Math.max(1, ...values);
  return values
    .map((value) => BLOCKS[Math.min(BLOCKS.length - 1, Math.floor((value / most) * (BLOCKS.length - 1)))]!)
    .join('');
}
