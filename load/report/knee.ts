// Where a curve of throughput bends: up to there more load gives more throughput, beyond only more waiting.

export interface Point {
  readonly level: number;
  readonly requestsPerSecond: number;
}

/** A rate is held when so much of it is served. */
const HELD_SHARE = 0.95;

/**
 * The level of the knee: open loop, the highest rate that is still held; closed loop, the point farthest above the line from the
 * first to the last (the Kneedle method). Undefined with fewer than three points, or without a bend.
 */
export function kneeOf(points: readonly Point[], model: 'closed' | 'open'): number | undefined {
  if (points.length < 3) return undefined;
  if (model === 'open') {
    const held = points.filter(({ level, requestsPerSecond }) => requestsPerSecond >= level * HELD_SHARE);
    return held.length === points.length ? undefined : held.at(-1)?.level;
  }
  const [first, last] = [points[0]!, points.at(-1)!];
  const top = Math.max(...points.map(({ requestsPerSecond }) => requestsPerSecond));
  if (last.level === first.level || top === 0) return undefined;
  let best = { level: Number.NaN, above: 0.05 };
  for (const { level, requestsPerSecond } of points) {
    const along = (level - first.level) / (last.level - first.level);
    const line = first.requestsPerSecond + (last.requestsPerSecond - first.requestsPerSecond) * along;
    const above = (requestsPerSecond - line) / top;
    if (above > best.above) best = { level, above };
  }
  return Number.isNaN(best.level) ? undefined : best.level;
}
