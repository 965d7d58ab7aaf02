// Every ready scenario, at its smallest, comes out as it says. They mostly wait, so several run at a time; the one that computes
// runs before them. The machine may be busy, so one that missed is tried again; a scenario that is wrong misses every time.
import { afterAll, describe, expect, test } from 'vitest';
import { SCENARIOS } from '../../load/scenarios/catalog.ts';
import { finish, portico, startPortico, stopAll } from './load-command.ts';

afterAll(stopAll);

const AGAIN = { retry: 2, timeout: 120_000 };
const COMPUTING = 'threads-or-processes';

async function comesOut(name: string): Promise<void> {
  const { status, stdout, stderr } = await portico(['load', name, '--quick']);
  expect(stdout, stderr).not.toMatch(/FAILED/);
  expect(stdout).toMatch(/^What to change/m);
  expect(status, stderr).toBe(0);
}

test(COMPUTING, AGAIN, () => comesOut(COMPUTING));

describe.concurrent('at the same time', () => {
  for (const { name } of SCENARIOS) {
    if (name !== COMPUTING) test(name, AGAIN, () => comesOut(name));
  }
});

test('--list names them all', async () => {
  const { stdout } = await portico(['load', '--list']);
  const rows = stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {2,}/));
  expect(rows).toEqual(SCENARIOS.map(({ name, question }) => [name, question]));
});

test('Ctrl-C ends a scenario and what it has started', async () => {
  const child = startPortico(['load', 'blocking-in-async']);
  const ended = finish(child);
  await new Promise<void>((resolve) => {
    let said = '';
    child.stderr!.on('data', (text: string) => {
      said += text;
      if (said.includes('warming up')) resolve();
    });
  });
  child.kill('SIGINT');
  const { status, stdout } = await ended;
  expect(status).toBe(130);
  expect(stdout).toMatch(/^interrupted; so far .*\nwarming up the pool/m);
});
