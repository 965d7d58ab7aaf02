// Where a curve of throughput bends: up to there more load gives more throughput, beyond only more waiting.

export interface Point {
  readonly level: number;
  readonly requestsPerSecond: number;
}

/** A rate is held when so much of it is served. */
const HELD_SHARE = 0.95;

/** The best throughput is as good as reached with so much of it. */
const BEST_SHARE = 0.95;

/**
 * The level of the knee: open loop, the highest rate that is still held; closed loop, the least number of connections that
 * gets the best throughput, near enough. Undefined with fewer than three points, or when no more load came after it.
 */
export function kneeOf(points: readonly Point[], model: 'closed' | 'open'): number | undefined {
  if (points.length < 3) return undefined;
  if (model === 'open') {
    const held = points.filter(({ level, requestsPerSecond }) => requestsPerSecond >= level * HELD_SHARE);
    return held.length === points.length ? undefined : held.at(-1)?.level;
  }
  const best = Math.max(...points.map(({ requestsPerSecond }) => requestsPerSecond));
  const knee = points.findIndex(({ requestsPerSecond }) => requestsPerSecond >= best * BEST_SHARE);
  return best === 0 || knee === points.length - 1 ? undefined : points[knee]!.level;
}
