import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Running, uvicorn } from './server-process.ts';

let running: Running;
beforeEach(async () => {
  running = await uvicorn(['test/services/pool-app.ts:app', '--no-access-log']);
});
afterEach(() => running.server.stop());

const threads = (): number => readdirSync(`/proc/${running.server.pid}/task`).length;
const ask = async (target: string): Promise<unknown> =>
  (await fetch(`http://127.0.0.1:${running.port}${target}`)).json();
const askAll = (targets: readonly string[]): Promise<unknown[]> => Promise.all(targets.map(ask));

it('wakes no further thread for calls that would only wait for the lock, and one each for calls that block', async () => {
  await ask('/');
  const before = threads();
  for (let round = 0; round < 10; round++) await askAll(Array.from({ length: 32 }, () => '/'));
  expect(threads() - before).toBeLessThan(3);

  // Each waits for the others in a thread of its own: one after the other they would take longer than a test may.
  await askAll(Array.from({ length: 40 }, () => '/io?ms=1000'));
  expect(threads() - before).toBeGreaterThan(8);
});

it('takes arguments of any size, also while all threads have been busy or have slept for long', async () => {
  const long = `/length?text=${'x'.repeat(12_000)}`;
  expect(await ask(long)).toEqual({ length: 12_000 });
  const mixed = Array.from({ length: 60 }, (_, n) => [long, '/', '/io?ms=20'][n % 3] as string);
  for (let round = 0; round < 3; round++) {
    const answers = await askAll(mixed);
    expect(answers.slice(0, 3)).toEqual([{ length: 12_000 }, { message: 'Hello' }, { io_ms: 20 }]);
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(3);
    // Longer than a thread stays awake for another call.
    await ask('/io?ms=150');
  }
});
