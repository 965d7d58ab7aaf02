// What happens when Gunicorn is signaled, starved, broken and told nonsense. A scenario drives one server and says what it saw: answers,
// how the process ended, what the log says.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { askBesideOneHeldOpen } from '../../services/held-open.ts';
import { begun, get, isAlive, type Running, rawRequest } from '../../services/server-process.ts';
import type { Side } from './peers.ts';
import { gunicorn, gunicornLog, idle, keptAlive, pause, refusal, type Scenario, status, until } from './scenario.ts';

// A worker that is given up has a second to end by itself before it is killed; whether that is enough is chance on a busy machine.
const END_OF_ABORTED = /^(?:ERROR Worker \(pid:N\) (?:was sent SIGKILL|exited)|INFO Worker exiting)/;

// Our worker is blocked in read(2) as Gunicorn's is, but a signal cannot raise an exception there: it is killed a second later, in silence.
const NO_EXCEPTION_IN_READ = new RegExp(`${END_OF_ABORTED.source}|^ERROR Error handling request \\(no URI read\\)$`);

// A worker that is told to stop before it has set its handlers dies of the signal; how soon that is, is chance.
const STOPPED_EARLY = /^INFO Worker \(pid:N\) was sent SIGTERM!$/;

const signalInRequest = (signal: NodeJS.Signals, target: string, ...args: readonly string[]): Scenario => ({
  name: `gunicorn ${args.join(' ')}: ${signal} during ${target}`,
  run: async (side) => {
    const running = await side.gunicorn('flask', ...args);
    await status(get(running.port, '/'));
    const { answer } = await begun(running.port, target);
    const ended = await running.server.stop(signal);
    return { answer: await status(answer), ended };
  },
});

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

export const GUNICORN_SCENARIOS: readonly Scenario[] = [
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
    const { answer } = await begun(running.port, '/io?ms=800');
    running.server.kill('SIGHUP');
    const first = await status(answer);
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
    const { answer } = await begun(running.port, '/io?ms=5000');
    process.kill(worker(running), 'SIGKILL');
    return { answer: await status(answer), next: await status(get(running.port, '/')) };
  }),
  ...[[], ['--threads', '2'], ['-w', '2']].map((args) => ({
    name: `gunicorn ${args.join(' ')}: the arbiter is killed in a request`,
    run: async (side: Side) => {
      const { server, port } = await side.gunicorn('flask', ...args);
      await until(() => server.workers.length === (args[0] === '-w' ? 2 : 1));
      await status(get(port, '/'));
      const { answer } = await begun(port, '/io?ms=1500');
      server.kill('SIGKILL');
      const seen = { answer: await status(answer) };
      // The workers have the log open, too: at its end they are gone, and all that they said has been read.
      await server.exited;
      return { ...seen, log: gunicornLog(server) };
    },
  })),
  gunicorn('a worker is told to stop in a request', [], async (running) => {
    const { answer } = await begun(running.port, '/io?ms=800');
    process.kill(worker(running), 'SIGTERM');
    return { answer: await status(answer), next: await status(get(running.port, '/')) };
  }),
  gunicorn('the worker exits in a request', [], async ({ port, server }) => {
    const answer = await status(get(port, '/crash'));
    await server.said(/exited with code/);
    return { answer, next: await status(get(port, '/')) };
  }),
  gunicorn('a thread exits in a request', ['--threads', '2'], async ({ port, server }) => {
    const { answer: bystander } = await begun(port, '/io?ms=5000');
    const answer = await status(get(port, '/crash'));
    await server.said(/exited with code/);
    return { answer, bystander: await status(bystander), next: await status(get(port, '/')) };
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

  ...(['sync', 'gthread'] as const).map((kind) =>
    gunicorn(`-k ${kind}: a client keeps its side open`, ['-k', kind], ({ port }) => askBesideOneHeldOpen(port)),
  ),
];
