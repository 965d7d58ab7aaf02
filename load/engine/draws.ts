// Random numbers with a seed, so that two runs of a plan send the same requests at the same instants.
import type { PlannedRequest } from '../plan.ts';

/** Gives numbers evenly distributed in [0, 1). */
export type Draw = () => number;

/** A generator (mulberry32) from a seed. */
export function drawFrom(seed: number): Draw {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** An exponentially distributed number with mean 1. */
export function exponential(draw: Draw): number {
  return -Math.log(1 - draw());
}

/** Gives the index of the next request of a mix. */
export function mixOf(requests: readonly PlannedRequest[], order: 'weighted' | 'sequence', draw: Draw): () => number {
  if (requests.length === 1) return () => 0;
  if (order === 'sequence') {
    const turns = requests.flatMap(({ weight }, index) =>
      Array.from({ length: Math.max(1, Math.round(weight)) }, () => index),
    );
    let turn = 0;
    return () => turns[turn++ % turns.length]!;
  }
  const total = requests.reduce((sum, { weight }) => sum + weight, 0);
  return () => {
    let left = draw() * total;
    for (const [index, { weight }] of requests.entries()) {
      left -= weight;
      if (left < 0) return index;
    }
    return requests.length - 1;
  };
}
