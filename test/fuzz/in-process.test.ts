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

it.each(TARGETS.map(({ name }) => name))('%s', { timeout: 1000 * seconds + 2 * GRACE_MS }, async (name) => {
  const child = spawn(process.execPath, ['--max-old-space-size=256', RUN, name, String(seed), String(seconds)]);
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    // The marks of progress are of interest only when nothing follows them.
    said = (said + text).slice(-100_000);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const hang = setTimeout(() => child.kill('SIGKILL'), 1000 * seconds + GRACE_MS);
  const [code, signal] = await new Promise<[number | null, string | null]>((done) =>
    child.on('close', (...end) => done(end)),
  );
  clearTimeout(hang);
  const last = said.slice(said.lastIndexOf('\nat ') + 1);
  expect(code, `${name}, seed ${seed}, ended by ${signal ?? code}: ${last}`).toBe(0);
  const tried = Number(/^tried (\d+)$/m.exec(said)?.[1]);
  expect(tried).toBeGreaterThan(0);
  console.log(`${name}: ${tried} cases, seed ${seed}`);
});
