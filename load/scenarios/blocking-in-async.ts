// One blocking call in `async def` stops the event loop, and with it every other request of the worker.
import { showMs, showNumber } from '../units.ts';
import type { Scenario } from './scenario.ts';
import { users } from './workbench.ts';

const CELLS = [
  { title: 'async def, await sleep(50 ms)', path: '/io?ms=50' },
  { title: 'async def, time.sleep(50 ms)', path: '/block?ms=50' },
  { title: 'def, time.sleep(50 ms)', path: '/sync/io?ms=50' },
] as const;

export const blockingInAsync: Scenario = {
  name: 'blocking-in-async',
  question: 'What does one blocking call inside `async def` do?',
  asked: 'fastapi/fastapi#2484, #3697, #4495; stacklok/codegate#222',
  expected:
    'awaiting serves 16 at a time, the blocking call one at a time; a plain `def` endpoint blocks only its thread',
  async run({ rig, load, seconds }) {
    const server = await rig.uvicorn();
    const rows = [['16 connections, 1 worker', 'requests/s', 'p50', 'p99']];
    const rates: number[] = [];
    // The pool makes its threads when they are first needed.
    await load('warming up the pool', `${server.url}/sync/io?ms=50`, { ...users(16, 20), requestLimit: 64 });
    for (const { title, path } of CELLS) {
      const { requestsPerSecond, latency } = await load(title, `${server.url}${path}`, users(16, seconds(4)));
      rates.push(requestsPerSecond);
      rows.push([title, showNumber(requestsPerSecond), showMs(latency!.p50), showMs(latency!.p99)]);
    }
    const [awaiting, blocking, pooled] = rates as [number, number, number];
    return {
      table: rows,
      checks: [
        { text: 'the blocking call serves at most 20 a second, one after another', holds: blocking <= 21 },
        { text: 'awaiting serves several times as many', holds: awaiting > blocking * 4 },
        { text: 'a plain def endpoint does as well', holds: pooled > blocking * 4 },
      ],
      explanation:
        'The event loop is one thread. While it sits in a blocking call (time.sleep, requests.get, a synchronous database driver), it accepts nothing, reads nothing and answers nobody: 16 requests of 50 ms take 800 ms.',
      advice:
        'Await an asynchronous client, or declare the endpoint with plain `def` so that it runs in the thread pool (see thread-pool-40).',
    };
  },
};
