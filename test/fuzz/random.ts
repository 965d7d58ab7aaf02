// The randomness of the fuzz tests: small, deterministic, from a seed that every run prints. PORTICO_FUZZ_SEED repeats a
// run, PORTICO_FUZZ_SECONDS says how long each target is tried (an hour by hand: 3600).

/** `npm run test:full`. */
export const isFull = process.env['PORTICO_TEST_FULL'] === '1';
export const seed = Number(process.env['PORTICO_FUZZ_SEED'] ?? 20_261_125);
/** For each target. */
export const seconds = Number(process.env['PORTICO_FUZZ_SECONDS'] ?? (isFull ? 60 : 1));

export interface Random {
  /** A whole number from 0 to `below` - 1. */
  int(below: number): number;
  pick<T>(from: readonly T[]): T;
  /** True once in `n` times. */
  once(n: number): boolean;
  /** `least` to `most` items. */
  some<T>(least: number, most: number, make: () => T): T[];
  /** Bytes in latin1. */
  bytes(length: number): string;
}

/** Starts a sequence (mulberry32). */
export function startRandom(from: number): Random {
  let state = from >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
  const random: Random = {
    int: (below) => next() % below,
    pick: (list) => list[next() % list.length]!,
    once: (n) => next() % n === 0,
    some: (least, most, make) => Array.from({ length: least + random.int(most - least + 1) }, make),
    bytes: (length) => {
      let out = '';
      for (let i = 0; i < length; i++) out += String.fromCharCode(next() & 255);
      return out;
    },
  };
  return random;
}
