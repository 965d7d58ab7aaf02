// What the generator has to say against its own figures: it was busy, late, or short of connections. Said in results, and
// while the load still runs.
import type { LoadResult } from '../measure/result.ts';
import type { LoadPlan } from '../plan.ts';
import { type Stage, showMs, showNumber, showShare } from '../units.ts';

/** Of a core; above it a thread has no time left to be on time. */
export const BUSY_SHARE = 0.9;
const LATE_MS = 10;
const WAITED_SHARE = 0.01;
/** A rate is held when this share of it is served in the time in which it is due. */
const HELD_SHARE = 0.95;

/** One line each; none when there is nothing to say. */
export function generatorWarnings(
  plan: LoadPlan,
  result: Pick<LoadResult, 'failures' | 'hops' | 'isInterrupted' | 'requestsPerSecond'> & {
    generator: { cpuShares: readonly number[]; latenessMs: number };
  },
): string[] {
  const warnings: string[] = [];
  const busiest = Math.max(0, ...result.generator.cpuShares);
  if (busiest > BUSY_SHARE) {
    warnings.push(
      `the generator used ${showShare(busiest)} of a core, so it measured itself too; use --threads ${plan.threads * 2}`,
    );
  }
  if (plan.model === 'open') {
    const due = meanLevel(plan.stages);
    const served = result.requestsPerSecond;
    const isWhole = plan.requestLimit === undefined && !result.isInterrupted;
    if (isWhole && served < due * HELD_SHARE)
      warnings.push(
        `the rate was not reached: ${showNumber(due)} requests/s were due, ${showNumber(served)} were done in time`,
      );
    if (result.generator.latenessMs > LATE_MS) {
      warnings.push(
        `1% of the requests were sent ${showMs(result.generator.latenessMs)} late or more by the generator's own fault; the latencies include it`,
      );
    }
    const unsent = result.failures.unsent ?? 0;
    const waited = result.hops?.rows.find(({ hop }) => hop === 'wait')?.all.share ?? 0;
    if (unsent > 0)
      warnings.push(
        `${showNumber(unsent)} requests found no free connection in time; the limit is ${plan.connections} (-c)`,
      );
    else if (waited > WAITED_SHARE)
      warnings.push(
        `requests waited for a free connection; the limit is ${plan.connections} (-c), and the wait is in the latencies`,
      );
  }
  const local = (result.failures.descriptors ?? 0) + (result.failures.ports ?? 0);
  if (local > 0)
    warnings.push(`${showNumber(local)} requests failed because the generator had no descriptors or local ports left`);
  return warnings;
}

function meanLevel(stages: readonly Stage[]): number {
  const lengthMs = stages.reduce((sum, { durationMs }) => sum + durationMs, 0);
  return stages.reduce((sum, { from, to, durationMs }) => sum + ((from + to) / 2) * (durationMs / lengthMs), 0);
}
