// The thread pool of plain `def` endpoints has 40 threads: the 41st request waits.
import { showMs, showNumber } from '../units.ts';
import type { Scenario } from './scenario.ts';
import { users } from './workbench.ts';

const CELLS = [
  { title: 'def, 40 connections', path: '/sync/io?ms=250', connections: 40 },
  { title: 'def, 80 connections', path: '/sync/io?ms=250', connections: 80 },
  { title: 'async def, 80 connections', path: '/io?ms=250', connections: 80 },
] as const;

export const threadPool40: Scenario = {
  name: 'thread-pool-40',
  question: 'Why do `def` endpoints stop scaling at 40 at a time?',
  asked: 'fastapi/fastapi#603, #732, #4495',
  expected: 'twice as many connections wait twice as long for the 40 threads; awaiting has no such limit',
  async run({ rig, load, seconds }) {
    const server = await rig.uvicorn();
    const rows = [['each request waits 250 ms', 'requests/s', 'p50', 'p99']];
    const p50: number[] = [];
    // The pool makes its threads when they are first needed, a few at a time.
    await load('warming up the pool', `${server.url}/sync/io?ms=250`, { ...users(40, 20), requestLimit: 240 });
    for (const { title, path, connections } of CELLS) {
      const { requestsPerSecond, latency } = await load(
        title,
        `${server.url}${path}`,
        users(connections, Math.max(2, seconds(4))),
      );
      p50.push(latency!.p50);
      rows.push([title, showNumber(requestsPerSecond), showMs(latency!.p50), showMs(latency!.p99)]);
    }
    return {
      table: rows,
      checks: [
        { text: 'with 80 connections half of the time is waiting for a thread', holds: p50[1]! > p50[0]! * 1.5 },
        { text: 'awaiting serves all 80 at a time', holds: p50[2]! < p50[1]! * 0.75 },
      ],
      explanation:
        'Endpoints declared with plain `def` run in a pool (of AnyIO) with 40 threads a process. The 41st request waits until one is free: 40 requests at a time, each 250 ms, are 160 a second, whatever comes.',
      advice:
        'Await an asynchronous client for what is called often, start more workers, or raise the limit (anyio.to_thread.current_default_thread_limiter().total_tokens), which costs memory and turns at the GIL.',
    };
  },
};
