// How idle the machine is, which decides what handing over the GIL costs.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { idleShare, watchIdleCores } from '../../services/cost/idle-cores.ts';

const LIMIT_MS = 20_000;

async function stop(hog: ChildProcess): Promise<void> {
  if (hog.exitCode !== null || hog.signalCode !== null) return;
  hog.kill('SIGKILL');
  await once(hog, 'exit');
}

it.skipIf(process.platform !== 'linux')('no core is idle while each has a process that computes', async () => {
  const hogs = Array.from({ length: availableParallelism() + 1 }, () => spawn(process.execPath, ['-e', 'for (;;);']));
  onTestFinished(async () => void (await Promise.all(hogs.map(stop))));
  const word = watchIdleCores(1);
  expect(idleShare(word)).toBe(1);
  for (const end = performance.now() + LIMIT_MS; idleShare(word) > 0.2 && performance.now() < end; ) await pause(50);
  expect(idleShare(word)).toBeLessThanOrEqual(0.2);
});

it('a core is idle where nobody looks', () => {
  expect(idleShare(watchIdleCores(0))).toBe(1);
});
