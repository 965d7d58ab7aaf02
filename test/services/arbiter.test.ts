import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { begun, get, gunicorn, isAlive, ServerProcess } from './server-process.ts';

const FLASK = 'services/apps/flask.ts:app';
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'arbiter-test-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

it("writes Gunicorn's lines from start to stop, and leaves nothing behind", async () => {
  const { server, port } = await gunicorn(['-w', '2', '--access-logfile', '-', FLASK]);
  await server.until(() => server.workers.length === 2, 'two workers');
  await get(port, '/?a=1', 'User-Agent: test "agent"\r\n');
  const { workers, pid } = server;
  expect(await server.stop()).toEqual({ status: 0, signal: null });
  const stamp = String.raw`\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\]`;
  for (const line of [
    String.raw`${stamp} \[${pid}\] \[INFO\] Starting gunicorn \d+\.\d+\.\d+`,
    String.raw`${stamp} \[${pid}\] \[INFO\] Listening at: http://127\.0\.0\.1:${port} \(${pid}\)`,
    String.raw`${stamp} \[${pid}\] \[INFO\] Using worker: sync`,
    String.raw`${stamp} \[${workers[0]}\] \[INFO\] Booting worker with pid: ${workers[0]}`,
    String.raw`127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /\?a=1 HTTP/1\.1" 200 31 "-" "test \\"agent\\""`,
    String.raw`${stamp} \[${pid}\] \[INFO\] Handling signal: term`,
    String.raw`${stamp} \[${workers[1]}\] \[INFO\] Worker exiting \(pid: ${workers[1]}\)`,
    String.raw`${stamp} \[${pid}\] \[INFO\] Shutting down: Master`,
  ]) {
    expect(server.log).toMatch(new RegExp(`^${line}$`, 'm'));
  }
  expect(workers.filter(isAlive)).toEqual([]);
});

it('keeps to the number of workers: TTIN, TTOU, and a worker that is killed', async () => {
  const { server } = await gunicorn(['-w', '1', FLASK]);
  server.kill('SIGTTIN');
  await server.until(() => server.workers.length === 2, 'two workers');
  const [oldest, youngest] = server.workers;
  server.kill('SIGTTOU');
  await server.until(() => server.workers.length === 1, 'one worker');
  // The oldest goes first.
  expect(server.workers).toEqual([youngest]);
  server.kill('SIGTTOU');
  process.kill(youngest ?? -1, 'SIGKILL');
  await server.said(new RegExp(`Worker \\(pid:${youngest}\\) was sent SIGKILL! Perhaps out of memory\\?`));
  await server.until(() => server.workers.length === 1 && server.workers[0] !== youngest, 'a new worker');
  expect(isAlive(oldest ?? -1)).toBe(false);
  await server.stop();
});

it('replaces all workers on HUP without losing a request, and reads the config file again', async () => {
  const config = path.join(directory, 'gunicorn.conf.py');
  writeFileSync(config, 'workers = 1\n');
  const { server, port } = await gunicorn(['-c', config, FLASK]);
  const [before] = server.workers;
  let isDone = false;
  const statuses: (number | undefined)[] = [];
  const load = async (): Promise<void> => {
    while (!isDone) statuses.push((await get(port, '/io?ms=5'))?.status);
  };
  const clients = [load(), load(), load(), load()];
  writeFileSync(config, 'workers = 2  # more\n');
  server.kill('SIGHUP');
  await server.said(/Hang up: Master/);
  await server.until(() => server.workers.length === 2 && !isAlive(before ?? -1), 'two new workers');
  isDone = true;
  await Promise.all(clients);
  expect(new Set(statuses)).toEqual(new Set([200]));
  await server.stop();
});

it('finishes a request in hand on TERM, and breaks it off on INT', async () => {
  for (const [signal, expected] of [
    ['SIGTERM', 200],
    ['SIGINT', 500],
  ] as const) {
    const { server, port } = await gunicorn([FLASK]);
    await get(port, '/');
    const { answer } = await begun(port, '/io?ms=3000');
    expect(await server.stop(signal)).toEqual({ status: 0, signal: null });
    expect((await answer)?.status).toBe(expected);
  }
});

it.each([
  ['sync', []],
  ['gthread', ['--threads', '2']],
  ['uvicorn', ['-k', 'uvicorn.workers.UvicornWorker']],
])('ends a %s worker that is told to stop while it boots', async (_, args) => {
  writeFileSync(
    path.join(directory, 'slow.ts'),
    `process.stderr.write('loading\\n');
    await new Promise((done) => setTimeout(done, 60_000));
    export const app = () => [];`,
  );
  const server = new ServerProcess('gunicorn', ['-b', '127.0.0.1:0', '--chdir', directory, ...args, 'slow:app']);
  await server.said(/loading/);
  expect(await server.stop()).toEqual({ status: 0, signal: null });
  expect(server.log).toContain('Worker exiting');
  expect(server.log).toContain('Shutting down: Master');
});

it('takes the workers with it when it is killed', async () => {
  const { server } = await gunicorn(['-w', '2', FLASK]);
  await server.until(() => server.workers.length === 2, 'two workers');
  const { workers } = server;
  server.kill('SIGKILL');
  await server.exited;
  for (let tries = 0; workers.some(isAlive) && tries < 200; tries++) await new Promise((done) => setTimeout(done, 25));
  expect(workers.filter(isAlive)).toEqual([]);
  expect(server.log).toContain('Parent changed, shutting down: <Worker');
});

it.each([
  ['nomod:app', 3, 'Worker failed to boot.', "No module named 'nomod'"],
  [
    `${FLASK.replace(':app', ':nope')}`,
    4,
    'App failed to load.',
    "Failed to find attribute 'nope' in 'services/apps/flask.ts'.",
  ],
  [
    'services/versions.ts:versionProfile.x',
    4,
    'App failed to load.',
    "Failed to parse 'versionProfile.x' as an attribute name",
  ],
  [
    'services/settings/gunicorn-rows.ts:GUNICORN_ROWS',
    4,
    'App failed to load.',
    'Application object must be callable.',
  ],
])('stops when %s cannot be loaded: status %i', async (app, status, reason, text) => {
  const server = new ServerProcess('gunicorn', ['-b', '127.0.0.1:0', app]);
  expect(await server.exited).toEqual({ status, signal: null });
  expect(server.log).toContain(`exited with code ${status}.`);
  expect(server.log).toContain('Shutting down: Master');
  expect(server.log).toContain(`Reason: ${reason}`);
  expect(server.log).toContain(text);
});

it('loads an application by dotted name, without extension, and from a factory call', async () => {
  writeFileSync(
    path.join(directory, 'made.ts'),
    `export const make = (word: string) => (_: unknown, start: (s: string, h: [string, string][]) => void) => {
      start('200 OK', [['Content-Length', String(word.length)]]);
      return [Buffer.from(word)];
    };`,
  );
  const { server, port } = await gunicorn(['--chdir', directory, "made:make('built')"]);
  expect((await get(port, '/'))?.body).toBe('built');
  await server.stop();
  const dotted = await gunicorn(['services.apps.flask:app']);
  expect(await get(dotted.port, '/')).toMatchObject({ status: 200 });
  await dotted.server.stop();
});

it('says who has the address when it cannot have it, five times, and exits with 1', async () => {
  const holder = net.createServer().listen(0, '127.0.0.1');
  await new Promise((done) => holder.once('listening', done));
  const { port } = holder.address() as net.AddressInfo;
  const server = new ServerProcess('gunicorn', ['-b', `127.0.0.1:${port}`, FLASK]);
  expect(await server.exited).toEqual({ status: 1, signal: null });
  expect(server.log.match(new RegExp(`Connection in use: \\('127\\.0\\.0\\.1', ${port}\\)`, 'g'))).toHaveLength(5);
  expect(server.log).toContain(`connection to ('127.0.0.1', ${port}) failed: [Errno 98] Address already in use`);
  expect(server.log).toContain(`Can't connect to ('127.0.0.1', ${port})`);
  holder.close();
});

it('listens on several addresses, a unix socket among them, and removes the socket and the pid file', async () => {
  const socket = path.join(directory, 'app.sock');
  const pidfile = path.join(directory, 'app.pid');
  const server = new ServerProcess('gunicorn', ['-b', '127.0.0.1:0', '-b', `unix:${socket}`, '-p', pidfile, FLASK]);
  const port = Number((await server.said(/Listening at: http:\/\/127\.0\.0\.1:(\d+),unix:/))[1]);
  await server.said(/Booting worker/);
  expect(readFileSync(pidfile, 'utf8')).toBe(`${server.pid}\n`);
  expect(await get(port, '/')).toMatchObject({ status: 200 });
  const text = await new Promise<string>((done) => {
    let all = '';
    const client = net.connect(socket, () => client.write('GET /headers HTTP/1.0\r\nHost: there:81\r\n\r\n'));
    client.on('data', (bytes) => {
      all += bytes.toString();
    });
    client.on('close', () => done(all));
  });
  expect(JSON.parse(text.slice(text.indexOf('\r\n\r\n')))).toMatchObject({ server: ['there', 81], client: ['', 0] });
  await server.stop();
  expect(existsSync(socket)).toBe(false);
  expect(existsSync(pidfile)).toBe(false);
});

it('opens its logs again on USR1', async () => {
  const access = path.join(directory, 'access.log');
  const { server, port } = await gunicorn(['--access-logfile', access, FLASK]);
  await get(port, '/one');
  renameSync(access, `${access}.1`);
  server.kill('SIGUSR1');
  await server.until(() => existsSync(access), 'a new log');
  await server.until(() => {
    void get(port, '/two');
    return existsSync(access) && readFileSync(access, 'utf8').includes('GET /two');
  }, 'a line in the new log');
  expect(readFileSync(`${access}.1`, 'utf8')).toContain('GET /one');
  await server.stop();
});

it('starts a second master on USR2, which takes over when the first goes', async () => {
  const pidfile = path.join(directory, 'upgrade.pid');
  const { server, port } = await gunicorn(['-p', pidfile, FLASK]);
  server.kill('SIGUSR2');
  await server.until(() => existsSync(`${pidfile}.2`), 'a second pid file');
  const second = Number(readFileSync(`${pidfile}.2`, 'utf8'));
  await server.until(() => server.workers.length === 2, 'a worker of each master');
  server.kill('SIGTERM');
  await server.until(() => /Master has been promoted\./.test(server.log), 'the second master to be promoted');
  expect(await get(port, '/')).toMatchObject({ status: 200 });
  await server.until(
    () => existsSync(pidfile) && readFileSync(pidfile, 'utf8') === `${second}\n`,
    'the pid file to be renamed',
  );
  process.kill(second, 'SIGTERM');
  await server.exited;
  // Its end of the pipes is closed a moment before it is gone.
  while (isAlive(second)) await new Promise((done) => setTimeout(done, 25));
});

it('retires a worker after max_requests', async () => {
  const { server, port } = await gunicorn(['--max-requests', '3', FLASK]);
  const [first] = server.workers;
  for (let count = 0; count < 4; count++) expect(await get(port, '/')).toMatchObject({ status: 200 });
  await server.said(/Autorestarting worker after current request\./);
  await server.until(() => !isAlive(first ?? -1), 'the first worker to go');
  await server.stop();
});

/** How many sockets listen on a port. */
function listeners(port: number): number {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const found = readFileSync('/proc/net/tcp', 'latin1').matchAll(new RegExp(`: [0-9A-F]{8}:${hex} \\S+ 0A `, 'g'));
  return [...found].length;
}

it('lets each worker bind for itself with --reuse-port, and the kernel spread connections', async () => {
  const { server, port } = await gunicorn(['--reuse-port', '-w', '2', FLASK]);
  await server.until(() => server.workers.length === 2, 'two workers');
  const seen = new Set<number>();
  // A worker boots before it binds.
  await server.until(() => listeners(port) === 2, 'both workers to listen');
  for (let tries = 0; tries < 400 && seen.size < 2; tries++) {
    const answer = await get(port, '/headers');
    if (answer?.body) seen.add(JSON.parse(answer.body).pid);
  }
  expect([...seen].sort()).toEqual(server.workers.sort());
  await server.stop();
});

it('restarts workers when a file changes with --reload', async () => {
  const own = mkdtempSync(path.join(directory, 'reload-'));
  const file = path.join(own, 'live.ts');
  const app = (word: string): string => `export const app = (_: unknown, start: (s: string, h: []) => void) => {
    start('200 OK', []);
    return [Buffer.from('${word}')];
  };`;
  writeFileSync(file, app('one'));
  const { server, port } = await gunicorn(['--chdir', own, '--reload', 'live:app']);
  expect((await get(port, '/'))?.body).toContain('one');
  writeFileSync(file, app('two'));
  await server.said(/Worker reloading: .*live\.ts modified[\s\S]*Booting worker/);
  expect((await get(port, '/'))?.body, server.log).toContain('two');
  await server.stop();
});

it('sends what the app prints to the error log with --capture-output, and its environment from --env', async () => {
  const file = path.join(directory, 'prints.ts');
  const log = path.join(directory, 'error.log');
  writeFileSync(
    file,
    `export const app = (_: unknown, start: (s: string, h: []) => void) => {
      console.log('printed', process.env.WORD);
      start('204 No Content', []);
      return [];
    };`,
  );
  const args = [
    '-b',
    '127.0.0.1:0',
    '--chdir',
    directory,
    '--error-logfile',
    log,
    '--capture-output',
    '-e',
    'WORD=here',
    'prints:app',
  ];
  const server = new ServerProcess('gunicorn', args);
  const text = (): string => (existsSync(log) ? readFileSync(log, 'utf8') : '');
  const port = Number((await server.until(() => /Listening at: http:\/\/127\.0\.0\.1:(\d+)/.exec(text()), 'a log'))[1]);
  expect(await get(port, '/')).toMatchObject({ status: 204, body: '' });
  await server.until(() => text().includes('printed here'), 'the output');
  await server.stop();
});
