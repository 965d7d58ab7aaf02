// The parsers under fuzz: each target in a process of its own with 256 MB of heap, so that a hang or a flood is seen from
// outside. PORTICO_FUZZ_SECONDS says how long for each, PORTICO_FUZZ_SEED repeats a run.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { seconds, seed } from './random.ts';
import { TARGETS } from './targets.ts';

const RUN = fileURLToPath(new URL('./run.ts', import.meta.url));
/** For starting, on a machine that has other things to do. */
const GRACE_MS = 20_000;

/** One process lives so long: what configurations leave behind by name, zones above all, is kept for the next reload. */
const LIFE_SECONDS = 5;

it.each(TARGETS.map(({ name }) => name))('%s', { timeout: 3000 * seconds + 2 * GRACE_MS }, async (name) => {
  let tried = 0;
  for (let spent = 0; spent < seconds; spent += LIFE_SECONDS) {
    tried += await run(name, seed + spent, Math.min(LIFE_SECONDS, seconds - spent));
  }
  console.log(`${name}: ${tried} cases, seed ${seed}`);
});

/** Runs one process on `name`; gives how many cases it tried. */
async function run(name: string, from: number, lasts: number): Promise<number> {
  const child = spawn(process.execPath, ['--max-old-space-size=256', RUN, name, String(from), String(lasts)]);
  let said = '';
  const keep = (text: string): void => {
    said = (said + text).slice(-100_000);
  };
  child.stdout.setEncoding('utf8').on('data', keep);
  child.stderr.setEncoding('utf8').on('data', keep);
  const hang = setTimeout(() => child.kill('SIGKILL'), 1000 * lasts + GRACE_MS);
  const [code, signal] = await new Promise<[number | null, string | null]>((done) =>
    child.on('close', (...end) => done(end)),
  );
  clearTimeout(hang);
  // The marks of progress are of interest only when nothing follows them.
  const last = said.slice(said.lastIndexOf('\nat ') + 1);
  expect(code, `${name}, seed ${from}, ended by ${signal ?? code}: ${last}`).toBe(0);
  const tried = Number(/^tried (\d+)$/m.exec(said)?.[1]);
  expect(tried).toBeGreaterThan(0);
  return tried;
}
