// When requests are due in an open-loop run. The stages give the rate over time; its integral is how many requests are due by
// then. Constant arrivals take its whole numbers, Poisson arrivals steps that are exponentially distributed. The server has no
// say in it: that is what keeps coordinated omission out.
import type { Stage } from '../units.ts';
import { type Draw, exponential } from './draws.ts';

/** The instants, in ms from the start of the first stage, one after another; each with the index of its stage. */
export function* arrivals(
  stages: readonly Stage[],
  kind: 'constant' | 'poisson',
  draw: Draw,
  phase = 0.5,
): Generator<{ atMs: number; stage: number }> {
  let due = kind === 'poisson' ? exponential(draw) : phase;
  let before = 0;
  let startMs = 0;
  for (const [index, stage] of stages.entries()) {
    const all = ((stage.from + stage.to) / 2) * (stage.durationMs / 1000);
    while (due < before + all) {
      yield { atMs: startMs + timeOf(due - before, stage), stage: index };
      due += kind === 'poisson' ? exponential(draw) : 1;
    }
    before += all;
    startMs += stage.durationMs;
  }
}

/** The instant in a stage (ms from its start) by which `count` requests are due. */
function timeOf(count: number, { from, to, durationMs }: Stage): number {
  const slope = (to - from) / (durationMs / 1000);
  if (slope === 0) return (count / from) * 1000;
  return ((Math.sqrt(from * from + 2 * slope * count) - from) / slope) * 1000;
}

/** The level at an instant (ms from the start of the first stage), and the index of its stage. */
export function levelAt(stages: readonly Stage[], atMs: number): { level: number; stage: number } {
  let startMs = 0;
  for (const [index, { durationMs, from, to }] of stages.entries()) {
    if (atMs < startMs + durationMs || index === stages.length - 1) {
      const part = Math.min(1, Math.max(0, (atMs - startMs) / durationMs));
      return { level: from + (to - from) * part, stage: index };
    }
    startMs += durationMs;
  }
  return { level: 0, stage: 0 };
}
