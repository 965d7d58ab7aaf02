// One sentence that names what bounds a run, and one that says what would help. It reads the hops of the slowest 1% and of all,
// the failures, and what the generator says of itself, in that order of trust: a number that the generator distorted is said
// to be so before anything else.
import { showMs, showShare } from '../units.ts';
import type { HopTable } from './hop-table.ts';
import type { LoadResult } from './result.ts';

const ADVICE: Record<string, string> = {
  late: 'the generator had no time to send when it should have: the figures are partly its own',
  wait: 'all connections that the generator may open were busy: the server answers more slowly than requests come',
  connect:
    'opening connections costs most: keep them alive, or look at the listen queue (a full one costs a second a try)',
  proxy: 'the time is spent in front of the app server: look at the proxy, its limits and retries, and the network',
  queue: 'requests wait for a free worker: more workers or threads, or shorter requests',
  gil: 'threads wait for the GIL: use processes (workers) instead of threads, or a free-threaded build',
  cpu: 'the app computes: more processes, up to the cores, or cheaper code',
  io: 'the app waits for its own I/O (database, other services): more concurrency hides it, only a faster backend shortens it',
  app: 'the app takes the time, and neither CPU nor I/O that it reports: look for locks and blocked event loops',
  server: 'the server takes the time; it sends no Server-Timing that would tell where',
  body: 'receiving the body takes the time: large or streamed answers, or a slow reader',
};

/** The sentences. */
export function bottleneckOf(
  result: Pick<LoadResult, 'requests' | 'errors' | 'failures' | 'makers' | 'generator'>,
  hops: HopTable | undefined,
): string {
  if (result.requests === 0) return 'Nothing was answered.';
  const { cpuShares } = result.generator;
  const busiest = Math.max(0, ...cpuShares);
  const said: string[] = [];
  if (busiest > 0.9)
    said.push(
      `The generator itself was at its limit (${showShare(busiest)} of a core), so the figures are at least partly its own: use more --threads.`,
    );
  if (result.errors > result.requests * 0.05) {
    const kinds = [...Object.entries(result.failures), ...Object.entries(result.makers)].sort(([, a], [, b]) => b - a);
    const [worst] = kinds;
    if (worst !== undefined)
      said.push(`${showShare(result.errors / result.requests)} of the requests failed, most of them as ${worst[0]}.`);
  }
  if (hops === undefined || hops.rows.length === 0) return said.join(' ');
  const slow = hops.rows.toSorted((a, b) => b.slowest.share - a.slowest.share)[0]!;
  const usual = hops.rows.toSorted((a, b) => b.all.share - a.all.share)[0]!;
  if (slow.hop === usual.hop) {
    said.push(
      `Most time goes to ${slow.hop} (${slow.meaning}): ${showShare(usual.all.share)} of all requests' time, ${showShare(slow.slowest.share)} of that of the slowest 1% (median there ${showMs(slow.slowest.p50)}).`,
    );
  } else {
    said.push(
      `Usually most time goes to ${usual.hop} (${showShare(usual.all.share)}), but the slowest 1% spend ${showShare(slow.slowest.share)} in ${slow.hop} (${slow.meaning}; median there ${showMs(slow.slowest.p50)}).`,
    );
  }
  const advice = ADVICE[slow.hop];
  if (advice !== undefined) said.push(`${advice.charAt(0).toUpperCase()}${advice.slice(1)}.`);
  return said.join(' ');
}
