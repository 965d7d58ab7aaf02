// Fuzzes one target in this process: `run.ts TARGET SEED SECONDS`. Prints how far it is, the count at the end, and the
// input that broke a promise; what the parent waits for in vain began behind the last number. By hand:
// node test/fuzz/run.ts URI 1 3600.
import { writeSync } from 'node:fs';
import { startRandom } from './random.ts';
import { TARGETS } from './targets.ts';

const [name = '', from = '1', lasts = '2'] = process.argv.slice(2);
const target = TARGETS.find((each) => each.name === name);
if (!target) {
  console.error(`targets: ${TARGETS.map((each) => each.name).join(', ')}`);
  process.exit(2);
}
/** An input that takes longer is as good as a hang. */
const MOST_MS = 10_000;

const random = startRandom(Number(from));
const until = performance.now() + 1000 * Number(lasts);
let cases = 0;
let now = performance.now();
while (now < until) {
  const input = target.make(random);
  if (cases % 1024 === 0) writeSync(1, `at ${cases}\n`);
  try {
    await target.check(input, random);
  } catch (error) {
    writeSync(1, `failed ${JSON.stringify(input)}\n${(error as Error).stack}\n`);
    process.exit(1);
  }
  cases++;
  const after = performance.now();
  if (after - now > MOST_MS) {
    writeSync(1, `failed ${JSON.stringify(input)}\nit took ${Math.round(after - now)} ms\n`);
    process.exit(1);
  }
  now = after;
}
writeSync(1, `tried ${cases}\n`);
process.exit(0);
