import { afterEach, expect, it } from 'vitest';
import { begun, get, isAlive, type Running, uvicorn } from './server-process.ts';

const FASTAPI = 'services/apps/fastapi.ts:app';

let started: Running[] = [];
afterEach(async () => {
  await Promise.all(started.map(({ server }) => server.stop()));
  started = [];
});

async function twoWorkers(...args: readonly string[]): Promise<Running> {
  const running = await uvicorn(['--workers', '2', ...args, FASTAPI]);
  started.push(running);
  await running.server.until(() => running.server.log.match(/Application startup complete/g)?.length === 2, 'both');
  return running;
}

it('keeps a worker whose event loop is blocked: a thread answers the pings', async () => {
  const { server, port } = await twoWorkers('--timeout-worker-healthcheck', '1');
  expect(await get(port, '/block?ms=2500')).toMatchObject({ status: 200 });
  expect(server.log).not.toContain('died');
});

it('replaces a worker that is in native code which keeps the GIL, since that thread needs it too', async () => {
  const { server, port } = await twoWorkers('--timeout-worker-healthcheck', '1');
  expect(await get(port, '/native?ms=10000&hold=true')).toBeNull();
  const pid = Number((await server.said(/Child process \[(\d+)\] died/))[1]);
  expect(isAlive(pid)).toBe(false);
  expect(await get(port, '/')).toMatchObject({ status: 200 });
});

it('says whom it terminates and waits for, and minds no other signal', async () => {
  const { server } = await twoWorkers();
  for (const signal of ['SIGUSR1', 'SIGUSR2', 'SIGWINCH'] as const) server.kill(signal);
  server.kill('SIGTTOU');
  // The worker may be as quick with what it says.
  const last = (await server.said(/Terminated child process \[(\d+)\][\s\S]*Waiting for child process \[\1\]/))[1];
  await server.until(() => !isAlive(Number(last)), 'its end');
  await server.said(new RegExp(`Finished server process \\[${last}\\]`));
  expect(await server.stop()).toEqual({ status: 0, signal: null });
  expect(server.log.match(/Waiting for child process/g)).toHaveLength(2);
});

it('leaves workers that serve on when it is killed, as the original does', async () => {
  const { server, port } = await twoWorkers();
  const workers = [...server.log.matchAll(/Started server process \[(\d+)\]/g)].map((match) => Number(match[1]));
  try {
    const { answer: under } = await begun(port, '/io?ms=300');
    server.kill('SIGKILL');
    expect(await under).toMatchObject({ status: 200 });
    // After an answer that came later than the kill, twice as many as there are workers.
    for (let count = 0; count < 4; count++) expect(await get(port, '/')).toMatchObject({ status: 200 });
    expect(workers.filter(isAlive)).toEqual(workers);
  } finally {
    for (const pid of workers.filter(isAlive)) process.kill(pid, 'SIGTERM');
  }
  await server.until(() => !workers.some(isAlive), 'their end');
});
