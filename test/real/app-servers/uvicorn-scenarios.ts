// What happens when Uvicorn is signaled, starved, broken and told nonsense, alone and with its supervisor.
import { begun, get, isAlive } from '../../services/server-process.ts';
import type { Side } from './peers.ts';
import { end, idle, keptAlive, refusal, type Scenario, status, until, uvicorn, uvicornLog } from './scenario.ts';

export const UVICORN_SCENARIOS: readonly Scenario[] = [
  refusal('uvicorn', 'missing-module', ['--port', '0'], /^ERROR: .*/gm),
  refusal(
    'uvicorn',
    'missing-attribute',
    ['--port', '0'],
    /^ERROR: +Error loading ASGI app\. Attribute "nothing" not found/gm,
  ),
  refusal('uvicorn', 'fastapi', ['--nope'], /^Error: .*/gm),
  refusal('uvicorn', 'fastapi', ['--port', 'x'], /^Error: .*/gm),
  refusal('uvicorn', 'missing-module', ['--port', '0', '--workers', '2'], /^ERROR: .*failed to start.*/gm),
  refusal(
    'uvicorn',
    'fastapi',
    ['--host', '192.0.2.1', '--port', '80'],
    /^ERROR: .*|^INFO: +(?:Waiting|Application).*/gm,
  ),
  idle('uvicorn', 'SIGTERM'),
  idle('uvicorn', 'SIGINT'),
  ...(['SIGTERM', 'SIGINT'] as const).map((signal) => ({
    name: `uvicorn: ${signal} during a request`,
    run: async (side: Side) => {
      const running = await side.uvicorn('fastapi');
      const { answer } = await begun(running.port, '/io?ms=800');
      running.server.kill(signal);
      const seen = { answer: await status(answer), how: await running.server.exited };
      return { ...seen, log: uvicornLog(running.server) };
    },
  })),
  {
    name: 'uvicorn --timeout-graceful-shutdown 1: TERM during a long request',
    run: async (side) => {
      const running = await side.uvicorn('fastapi', '--timeout-graceful-shutdown', '1');
      const { answer } = await begun(running.port, '/io?ms=8000');
      const ended = await running.server.stop('SIGTERM');
      return { ended, answer: await status(answer), cancels: running.server.log.includes('Cancel 1 running task(s)') };
    },
  },
  {
    name: 'uvicorn: a second Ctrl-C during a request',
    run: async (side) => {
      const running = await side.uvicorn('fastapi');
      const { answer } = await begun(running.port, '/io?ms=8000');
      running.server.kill('SIGINT');
      await running.server.said(/Waiting for connections to close/);
      const ended = await running.server.stop('SIGINT');
      return { ended, answer: await status(answer) };
    },
  },
  {
    name: 'uvicorn: the process exits in a request',
    run: async (side) => {
      const { server, port } = await side.uvicorn('fastapi');
      return { answer: await status(get(port, '/crash')), ended: await server.exited };
    },
  },
  {
    name: 'uvicorn --limit-max-requests 2',
    run: async (side) => {
      const { server, port } = await side.uvicorn('fastapi', '--limit-max-requests', '2');
      const answers = [await status(get(port, '/')), await status(get(port, '/'))];
      return { answers, ended: await server.exited, log: uvicornLog(server) };
    },
  },
  uvicorn('over the limit of concurrency', ['--limit-concurrency', '2'], async ({ port }) => {
    const { answer: slow } = await begun(port, '/io?ms=1000');
    const over = await get(port, '/');
    return { slow: await status(slow), over: [over?.status, over?.body], next: await status(get(port, '/')) };
  }),
  uvicorn('an idle connection is closed', ['--timeout-keep-alive', '1'], ({ port }) => keptAlive(port)),
  uvicorn('one async handler blocks the other', [], async ({ port }) => {
    const order: string[] = [];
    const { answer } = await begun(port, '/block?ms=1000');
    const slow = answer.then(() => order.push('block'));
    await Promise.all([slow, get(port, '/').then(() => order.push('hello'))]);
    return { order };
  }),
  uvicorn('a def handler blocks nobody', [], async ({ port }) => {
    const order: string[] = [];
    const { answer } = await begun(port, '/sync/io?ms=1500');
    const slow = answer.then(() => order.push('sync'));
    await Promise.all([slow, get(port, '/').then(() => order.push('hello'))]);
    return { order };
  }),
  uvicorn('the app raises', [], async ({ port }) => ({ answer: await get(port, '/raise').then((all) => all?.body) })),
  ...[
    ['a worker is killed', 'SIGKILL'],
    ['a worker is told to stop', 'SIGTERM'],
  ].map(([name, signal]) => ({
    name: `uvicorn --workers 2: ${name}`,
    run: async (side: Side) => {
      const running = await side.uvicorn('fastapi', '--workers', '2');
      const { server, port } = running;
      await until(() => (server.log.match(/startup complete/g)?.length ?? 0) === 2);
      const pids = [...server.log.matchAll(/Started server process \[(\d+)\]/g)].map((match) => Number(match[1]));
      process.kill(pids[0] ?? 0, signal);
      await until(() => (server.log.match(/startup complete/g)?.length ?? 0) === 3);
      return end(running, 'SIGTERM', { next: await status(get(port, '/')) });
    },
  })),
  {
    name: 'uvicorn --workers 2: the supervisor is killed in a request',
    run: async (side) => {
      const { server, port } = await side.uvicorn('fastapi', '--workers', '2');
      await until(() => (server.log.match(/startup complete/g)?.length ?? 0) === 2);
      const pids = [...server.log.matchAll(/Started server process \[(\d+)\]/g)].map((match) => Number(match[1]));
      const { answer } = await begun(port, '/io?ms=800');
      server.kill('SIGKILL');
      const seen = {
        answer: await status(answer),
        next: await status(get(port, '/')),
        left: pids.filter(isAlive).length,
      };
      for (const pid of pids.filter(isAlive)) process.kill(pid, 'SIGTERM');
      // The workers have the log open, too: at its end all that they said has been read.
      await server.exited;
      return { ...seen, log: uvicornLog(server) };
    },
  },
  {
    name: 'uvicorn --workers 2: HUP, TTIN and TTOU',
    run: async (side) => {
      const running = await side.uvicorn('fastapi', '--workers', '2');
      const { server } = running;
      const started = (count: number): Promise<void> =>
        until(() => (server.log.match(/startup complete/g)?.length ?? 0) === count);
      await started(2);
      server.kill('SIGHUP');
      await started(4);
      await until(() => (server.log.match(/Finished server process/g)?.length ?? 0) === 2);
      server.kill('SIGTTIN');
      await started(5);
      server.kill('SIGTTOU');
      await until(() => (server.log.match(/Finished server process/g)?.length ?? 0) === 3);
      return end(running, 'SIGINT');
    },
  },
];
