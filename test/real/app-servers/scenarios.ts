// What happens when servers are signaled, starved, broken and told nonsense. A scenario drives one server and says what it saw: answers,
// how the process ended, what the log says. Both stacks must have seen the same; nothing here says what that is.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { askBesideOneHeldOpen } from '../../services/held-open.ts';
import { get, isAlive, type Running, rawRequest, type ServerProcess } from '../../services/server-process.ts';
import type { AppName, Side } from './peers.ts';

export interface Scenario {
  readonly name: string;
  /** Drives a server of this side. What it gives is compared. */
  run(side: Side): Promise<unknown>;
}

/** Lines of Gunicorn's log without time, process and numbers; sorted, since processes write them in any order. */
function gunicornLog(server: ServerProcess): string[] {
  const lines = [...server.log.matchAll(/^\[[^\]]+\] \[\d+\] \[(\w+)\] (.*)$/gm)];
  return lines.map(([, level, text]) => `${level} ${nameless(text ?? '')}`).sort();
}

/** The same of Uvicorn's. */
function uvicornLog(server: ServerProcess): string[] {
  const lines = [...server.log.matchAll(/^(INFO|WARNING|ERROR): +(.*)$/gm)];
  return lines.map(([, level, text]) => `${level} ${nameless(text ?? '')}`).sort();
}

const nameless = (text: string): string =>
  text.replace(/127\.0\.0\.1:\d+/g, 'ADDRESS').replace(/(pid: ?|\[|\(|<Worker )\d+/g, '$1N');

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
const status = async (answer: ReturnType<typeof get>): Promise<number | null> => (await answer)?.status ?? null;

async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await pause(25);
}

type Seen = Readonly<Record<string, unknown>> & { readonly log: string[] };

/** Ends it with a signal and tells everything. */
async function end({ server }: Running, signal: NodeJS.Signals, seen: object = {}): Promise<Seen> {
  const how = await server.stop(signal);
  return { ...seen, how, log: server.log.includes('Starting gunicorn') ? gunicornLog(server) : uvicornLog(server) };
}

// A worker that is given up has a second to end by itself before it is killed; whether that is enough is chance on a busy machine.
const END_OF_ABORTED = /^(?:ERROR Worker \(pid:N\) (?:was sent SIGKILL|exited)|INFO Worker exiting)/;

// Our worker is blocked in read(2) as Gunicorn's is, but a signal cannot raise an exception there: it is killed a second later, in silence.
const NO_EXCEPTION_IN_READ = new RegExp(`${END_OF_ABORTED.source}|^ERROR Error handling request \\(no URI read\\)$`);

// A worker that is told to stop before it has set its handlers dies of the signal; how soon that is, is chance.
const STOPPED_EARLY = /^INFO Worker \(pid:N\) was sent SIGTERM!$/;

type Drive = (running: Running) => Promise<object>;

/** A scenario on a running Gunicorn that is ended with TERM. */
function gunicorn(name: string, args: readonly string[], drive: Drive, excused?: RegExp): Scenario {
  return {
    name: `gunicorn ${args.join(' ')}${args.length > 0 ? ': ' : ''}${name}`,
    run: async (side) => {
      const running = await side.gunicorn('flask', ...args);
      // The workers are there when one has answered; a second may still be loading.
      await status(get(running.port, '/'));
      const seen = await end(running, 'SIGTERM', await drive(running));
      return excused ? { ...seen, log: seen.log.filter((each) => !excused.test(each)) } : seen;
    },
  };
}

function uvicorn(name: string, args: readonly string[], drive: Drive): Scenario {
  return {
    name: `uvicorn ${args.join(' ')}${args.length > 0 ? ': ' : ''}${name}`,
    run: async (side) => {
      const running = await side.uvicorn('fastapi', ...args);
      await status(get(running.port, '/'));
      return end(running, 'SIGTERM', await drive(running));
    },
  };
}

/** A command that ends by itself: its status, and the lines that tell why. */
function refusal(program: 'gunicorn' | 'uvicorn', app: AppName, args: readonly string[], why: RegExp): Scenario {
  return {
    name: `${program} ${args.join(' ')} ${app}`,
    run: async (side) => {
      const control = side.name === 'real' && program === 'gunicorn' ? ['--no-control-socket'] : [];
      const server = side.spawn(program, app, [...control, ...args]);
      const { status: code } = await server.exited;
      return { code, why: [...server.log.matchAll(why)].map(([text]) => nameless(text)) };
    },
  };
}

/** A request that is under way, and long enough to be disturbed. */
async function begun(port: number, target: string): Promise<ReturnType<typeof get>[]> {
  const answer = get(port, target);
  await pause(300);
  return [answer];
}

const signalInRequest = (signal: NodeJS.Signals, target: string, ...args: readonly string[]): Scenario => ({
  name: `gunicorn ${args.join(' ')}: ${signal} during ${target}`,
  run: async (side) => {
    const running = await side.gunicorn('flask', ...args);
    await status(get(running.port, '/'));
    const [answer] = await begun(running.port, target);
    const ended = await running.server.stop(signal);
    return { answer: await status(answer!), ended };
  },
});

const idle = (program: 'gunicorn' | 'uvicorn', signal: NodeJS.Signals): Scenario => ({
  name: `${program}: ${signal} when idle`,
  run: async (side) => {
    const running = program === 'gunicorn' ? await side.gunicorn('flask') : await side.uvicorn('fastapi');
    await status(get(running.port, '/'));
    return end(running, signal);
  },
});

/** A keep-alive connection: what its first response says about it, and that the server closes it. */
async function keptAlive(port: number): Promise<object> {
  const text = await rawRequest(port, 'GET /size?bytes=1 HTTP/1.1\r\nHost: a\r\n\r\n');
  return { connection: /^connection: (.*)\r$/im.exec(text)?.[1] ?? null, responses: text.match(/HTTP\/1\.1/g)?.length };
}

async function withFreshDirectory<Value>(use: (directory: string) => Promise<Value>): Promise<Value> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'app-servers-'));
  try {
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function withTakenPort<Value>(use: (port: number) => Promise<Value>): Promise<Value> {
  const holder = net.createServer().listen(0, '127.0.0.1');
  await new Promise((done) => holder.once('listening', done));
  try {
    return await use((holder.address() as net.AddressInfo).port);
  } finally {
    holder.close();
  }
}

const worker = ({ server }: Running): number => server.workers[0] ?? -1;

export const SCENARIOS: readonly Scenario[] = [
  refusal(
    'gunicorn',
    'missing-module',
    ['-b', '127.0.0.1:0'],
    /ModuleNotFoundError: .*|(?<=\] )(?:Shutting|Reason).*/g,
  ),
  refusal(
    'gunicorn',
    'missing-attribute',
    ['-b', '127.0.0.1:0'],
    /^Failed to find.*attribute 'nothing'|(?<=\] )(?:Shutting|Reason).*/gm,
  ),
  refusal('gunicorn', 'broken', ['-b', '127.0.0.1:0'], /(?<=\] )(?:Exception|Shutting|Reason|Worker \().*/g),
  refusal('gunicorn', 'flask', ['--nope'], /error: .*/g),
  refusal('gunicorn', 'flask', ['-w', 'many'], /error: .*/g),
  refusal('gunicorn', 'flask', ['-k', 'nope'], /Error: class uri 'nope' invalid or not found/g),
  refusal('gunicorn', 'flask', ['--chdir', '/nowhere'], /^Error: .*|error: .*/gm),
  refusal('gunicorn', 'flask', ['-b', '127.0.0.1:port'], /Error: .*/g),
  refusal('gunicorn', 'flask', ['--check-config'], /.+/g),
  refusal('gunicorn', 'missing-module', ['--check-config'], /^\s*Error.*/gm),
  refusal('gunicorn', 'flask', ['-b', '192.0.2.1:80'], /(?<=\] )(?:Invalid|Can't).*/g),
  {
    name: 'gunicorn: the address is in use',
    run: (side) =>
      withTakenPort(async (port) => {
        const control = side.name === 'real' ? ['--no-control-socket'] : [];
        const server = side.spawn('gunicorn', 'flask', ['-b', `127.0.0.1:${port}`, ...control]);
        const ended = await server.exited;
        return { ended, log: gunicornLog(server).map((line) => line.replace(String(port), 'PORT')) };
      }),
  },
  {
    name: 'gunicorn: the pid file names a process that runs',
    run: (side) =>
      withFreshDirectory(async (directory) => {
        const file = path.join(directory, 'pid');
        writeFileSync(file, `${process.pid}\n`);
        const server = side.spawn('gunicorn', 'flask', ['-b', '127.0.0.1:0', '-p', file]);
        return { ended: await server.exited, says: /Already running on PID \d+/.test(server.log) };
      }),
  },
  {
    name: 'gunicorn: a unix socket is there while it runs',
    run: (side) =>
      withFreshDirectory(async (directory) => {
        const file = path.join(directory, 'socket');
        const server = side.spawn('gunicorn', 'flask', ['-b', `unix:${file}`]);
        await server.said(/Booting worker/);
        const before = existsSync(file);
        return { before, ended: await server.stop(), after: existsSync(file) };
      }),
  },
  idle('gunicorn', 'SIGTERM'),
  idle('gunicorn', 'SIGINT'),
  idle('gunicorn', 'SIGQUIT'),
  signalInRequest('SIGTERM', '/io?ms=1000'),
  signalInRequest('SIGTERM', '/cpu?ms=1000'),
  signalInRequest('SIGTERM', '/io?ms=1000', '--threads', '2'),
  signalInRequest('SIGINT', '/io?ms=3000'),
  signalInRequest('SIGQUIT', '/io?ms=3000'),
  signalInRequest('SIGTERM', '/io?ms=5000', '--graceful-timeout', '1'),
  signalInRequest('SIGTERM', '/io?ms=5000', '--graceful-timeout', '1', '--threads', '2'),
  gunicorn('HUP during a request', [], async (running) => {
    const before = worker(running);
    const [answer] = await begun(running.port, '/io?ms=800');
    running.server.kill('SIGHUP');
    const first = await status(answer!);
    await until(() => !isAlive(before));
    return { first, next: await status(get(running.port, '/')) };
  }),
  gunicorn(
    'TTIN, then TTOU twice',
    [],
    async ({ server, port }) => {
      server.kill('SIGTTIN');
      await until(() => server.workers.length === 2);
      await pause(1000);
      server.kill('SIGTTOU');
      await until(() => server.workers.length === 1);
      server.kill('SIGTTOU');
      await server.said(/ttou[\s\S]*ttou/);
      return { next: await status(get(port, '/')), workers: server.workers.length };
    },
    STOPPED_EARLY,
  ),
  gunicorn('USR1 and WINCH', [], async ({ server, port }) => {
    server.kill('SIGUSR1');
    await server.said(/usr1/);
    server.kill('SIGWINCH');
    await server.said(/winch/);
    return { next: await status(get(port, '/')) };
  }),
  gunicorn('a worker is killed in a request', [], async (running) => {
    const [answer] = await begun(running.port, '/io?ms=5000');
    process.kill(worker(running), 'SIGKILL');
    return { answer: await status(answer!), next: await status(get(running.port, '/')) };
  }),
  ...[[], ['--threads', '2'], ['-w', '2']].map((args) => ({
    name: `gunicorn ${args.join(' ')}: the arbiter is killed in a request`,
    run: async (side: Side) => {
      const { server, port } = await side.gunicorn('flask', ...args);
      await until(() => server.workers.length === (args[0] === '-w' ? 2 : 1));
      await status(get(port, '/'));
      const workers = server.workers;
      const [answer] = await begun(port, '/io?ms=1500');
      server.kill('SIGKILL');
      const seen = { answer: await status(answer!) };
      await until(() => !workers.some(isAlive));
      return { ...seen, log: gunicornLog(server) };
    },
  })),
  gunicorn('a worker is told to stop in a request', [], async (running) => {
    const [answer] = await begun(running.port, '/io?ms=800');
    process.kill(worker(running), 'SIGTERM');
    return { answer: await status(answer!), next: await status(get(running.port, '/')) };
  }),
  gunicorn('the worker exits in a request', [], async ({ port, server }) => {
    const answer = await status(get(port, '/crash'));
    await server.said(/exited with code/);
    return { answer, next: await status(get(port, '/')) };
  }),
  gunicorn('a thread exits in a request', ['--threads', '2'], async ({ port, server }) => {
    const [bystander] = await begun(port, '/io?ms=5000');
    const answer = await status(get(port, '/crash'));
    await server.said(/exited with code/);
    return { answer, bystander: await status(bystander!), next: await status(get(port, '/')) };
  }),
  gunicorn('the app raises', [], async ({ port }) => ({ answer: await get(port, '/raise').then((all) => all?.body) })),
  gunicorn(
    'a handler sleeps',
    ['--timeout', '3'],
    async ({ port }) => ({
      answer: await status(get(port, '/io?ms=12000')),
      next: await status(get(port, '/')),
    }),
    END_OF_ABORTED,
  ),
  gunicorn(
    'a handler computes',
    ['--timeout', '3'],
    async ({ port }) => ({
      answer: await status(get(port, '/cpu?ms=12000')),
      next: await status(get(port, '/')),
    }),
    END_OF_ABORTED,
  ),
  gunicorn(
    'a client says nothing',
    ['--timeout', '3'],
    async ({ port, server }) => {
      const silent = net.connect(port, '127.0.0.1');
      silent.on('error', () => {});
      await server.said(/WORKER TIMEOUT/);
      const next = await status(get(port, '/'));
      silent.destroy();
      return { next };
    },
    NO_EXCEPTION_IN_READ,
  ),
  gunicorn('a thread sleeps', ['--timeout', '3', '--threads', '2'], async ({ port }) => ({
    answer: await status(get(port, '/io?ms=5500')),
  })),
  // Longer than the timeout and the second after which the arbiter looks again; both sides share the machine's cores.
  gunicorn('a thread computes', ['--timeout', '3', '--threads', '2'], async ({ port }) => ({
    answer: await status(get(port, '/cpu?ms=4500', '', 50_000)),
  })),
  gunicorn('requests up to the limit', ['--max-requests', '3'], async ({ port, server }) => {
    const before = worker({ server, port, url: '' });
    const answers: (number | null)[] = [];
    for (let count = 0; count < 2; count++) answers.push(await status(get(port, '/')));
    await until(() => !isAlive(before));
    answers.push(await status(get(port, '/')));
    return { answers };
  }),
  gunicorn(
    'limits of the head',
    ['--limit-request-line', '40', '--limit-request-fields', '3', '--limit-request-field_size', '30'],
    async ({ port }) => ({
      line: (await get(port, `/${'a'.repeat(60)}`))?.head.split('\r\n')[0],
      fields: (await get(port, '/', 'A: b\r\nC: d\r\n'))?.head.split('\r\n')[0],
      size: (await get(port, '/', `A: ${'b'.repeat(60)}\r\n`))?.head.split('\r\n')[0],
      fits: await status(get(port, '/', 'A: b\r\n')),
    }),
  ),
  gunicorn('an idle connection is closed', ['--threads', '2', '--keep-alive', '1'], ({ port }) => keptAlive(port)),
  gunicorn('an idle connection is closed at once', [], ({ port }) => keptAlive(port)),
  gunicorn('a client goes away in a response', ['--threads', '2'], async ({ port }) => {
    await rawRequest(port, 'GET /stream?n=20&ms=20 HTTP/1.1\r\nHost: a\r\n\r\n', (text) => text.includes('chunk 2'));
    await pause(500);
    return { next: await status(get(port, '/')) };
  }),
  gunicorn('a client goes away in a request', [], async ({ port }) => {
    await rawRequest(port, 'POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello', undefined, true);
    return { next: await status(get(port, '/')) };
  }),

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
      const [answer] = await begun(running.port, '/io?ms=800');
      running.server.kill(signal);
      const seen = { answer: await status(answer!), how: await running.server.exited };
      return { ...seen, log: uvicornLog(running.server) };
    },
  })),
  {
    name: 'uvicorn --timeout-graceful-shutdown 1: TERM during a long request',
    run: async (side) => {
      const running = await side.uvicorn('fastapi', '--timeout-graceful-shutdown', '1');
      const [answer] = await begun(running.port, '/io?ms=8000');
      const ended = await running.server.stop('SIGTERM');
      return { ended, answer: await status(answer!), cancels: running.server.log.includes('Cancel 1 running task(s)') };
    },
  },
  {
    name: 'uvicorn: a second Ctrl-C during a request',
    run: async (side) => {
      const running = await side.uvicorn('fastapi');
      const [answer] = await begun(running.port, '/io?ms=8000');
      running.server.kill('SIGINT');
      await running.server.said(/Waiting for connections to close/);
      const ended = await running.server.stop('SIGINT');
      return { ended, answer: await status(answer!) };
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
  ...(['sync', 'gthread'] as const).map((kind) =>
    gunicorn(`-k ${kind}: a client keeps its side open`, ['-k', kind], ({ port }) => askBesideOneHeldOpen(port)),
  ),
  uvicorn('over the limit of concurrency', ['--limit-concurrency', '2'], async ({ port }) => {
    const [slow] = await begun(port, '/io?ms=1000');
    const over = await get(port, '/');
    return { slow: await status(slow!), over: [over?.status, over?.body], next: await status(get(port, '/')) };
  }),
  uvicorn('an idle connection is closed', ['--timeout-keep-alive', '1'], ({ port }) => keptAlive(port)),
  uvicorn('one async handler blocks the other', [], async ({ port }) => {
    const order: string[] = [];
    const [slow] = await begun(port, '/block?ms=1000').then(([each]) => [each!.then(() => order.push('block'))]);
    await Promise.all([slow, get(port, '/').then(() => order.push('hello'))]);
    return { order };
  }),
  uvicorn('a def handler blocks nobody', [], async ({ port }) => {
    const order: string[] = [];
    const [slow] = await begun(port, '/sync/io?ms=1500').then(([each]) => [each!.then(() => order.push('sync'))]);
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
      const [answer] = await begun(port, '/io?ms=800');
      server.kill('SIGKILL');
      const seen = {
        answer: await status(answer!),
        next: await status(get(port, '/')),
        left: pids.filter(isAlive).length,
      };
      for (const pid of pids.filter(isAlive)) process.kill(pid, 'SIGTERM');
      await until(() => !pids.some(isAlive));
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
