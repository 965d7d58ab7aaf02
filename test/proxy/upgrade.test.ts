// USR2: the program on disk takes over from the one that runs, on the same sockets, without a refused connection; and
// the ways back. Signals and pid files are nginx's (its "Upgrading Executable on the Fly").
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { bodyOf, freePort, get } from './start-proxy.ts';

const MAIN = fileURLToPath(new URL('../../proxy/main.ts', import.meta.url));

const SOCKET = join(tmpdir(), `portico-upgrade-${process.pid}.sock`);

let dir = '';

afterEach(() => {
  // Every process that was ever started has left its number in the log; workers serve on without their master.
  for (const [, master, worker] of text('error.log').matchAll(
    /(\d+)#\d+: (?:signal|using inherited|start worker process (\d+))/g,
  )) {
    const pid = worker ?? master;
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It is gone.
    }
  }
  rmSync(dir, { recursive: true, force: true });
  rmSync(SOCKET, { force: true });
});

/** '' when it is not there; a pid file changes its name at any moment. */
function text(name: string): string {
  try {
    return readFileSync(join(dir, name), 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

/** Looks again and again: watching the directory would miss what a process does to itself. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((done) => setTimeout(done, 5));
}

/** The daemon's master, once it serves. */
async function daemon(listens: string): Promise<number> {
  dir = mkdtempSync(join(tmpdir(), 'portico-upgrade-'));
  const user = process.getuid?.() === 0 ? 'user root; ' : '';
  const main = `pid nginx.pid; ${user}worker_processes 1; error_log error.log notice; events { }`;
  writeFileSync(join(dir, 'nginx.conf'), `${main} http { access_log off; server { ${listens} return 200 $pid; } }`);
  const child = spawn(process.execPath, [MAIN, '-p', dir, '-c', 'nginx.conf', '-e', 'error.log'], { stdio: 'ignore' });
  expect(await new Promise((done) => child.on('exit', done))).toBe(0);
  return Number(text('nginx.pid'));
}

/** Sends USR2 to `old`; the new master's number, once it serves. */
async function upgrade(old: number): Promise<number> {
  process.kill(old, 'SIGUSR2');
  await until(() => text('nginx.pid') !== '' && Number(text('nginx.pid')) !== old);
  expect(Number(text('nginx.pid.oldbin'))).toBe(old);
  return Number(text('nginx.pid'));
}

/** Waits until a process is gone, or a zombie that nobody asks for. */
async function ended(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
      if (/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))) return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return;
    }
    await new Promise((done) => setTimeout(done, 5));
  }
}

/** A process is a parent until the last of its threads is gone. */
function orphaned(pid: number, parent: number): Promise<void> {
  return until(() => !new RegExp(`^PPid:\\s${parent}$`, 'm').test(readFileSync(`/proc/${pid}/status`, 'latin1')));
}

const exitOf = (pid: number): RegExp => new RegExp(`${pid}#${pid}: exit\\n`);
const workerOf = (master: number): number =>
  Number(
    [...text('error.log').matchAll(new RegExp(`${master}#${master}: start worker process (\\d+)`, 'g'))].at(-1)?.[1],
  );

function unixGet(path: string): Promise<string> {
  return new Promise((done, fail) => {
    const socket = connect(path, () => socket.write('GET / HTTP/1.0\r\n\r\n')).on('error', fail);
    let answer = '';
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1');
    });
    socket.on('end', () => done(bodyOf(answer)));
  });
}

it('hands the sockets to a new binary, which stays when the old one goes', async () => {
  const [port, shared] = [await freePort(), await freePort()];
  const old = await daemon(`listen 127.0.0.1:${port}; listen 127.0.0.1:${shared} reuseport; listen unix:${SOCKET};`);
  let isDone = false;
  let served = 0;
  const client = async (): Promise<void> => {
    for (; !isDone; served++) expect(await get(port, '/')).toContain('200 OK');
  };
  const clients = Promise.all([client(), client()]);

  const fresh = await upgrade(old);
  expect(text('error.log')).toContain(`${old}#${old}: signal 12 (SIGUSR2) received, changing binary\n`);
  expect(text('error.log')).toContain(`${old}#${old}: changing binary\n`);
  expect(text('error.log')).toContain(`${old}#${old}: start new binary process ${fresh}\n`);
  expect(text('error.log')).toContain(`${fresh}#${fresh}: using inherited sockets from "3;4;5;"\n`);

  // Neither starts another one while both are there.
  for (const pid of [old, fresh]) {
    process.kill(pid, 'SIGUSR2');
    await until(() => text('error.log').includes(`${pid}#${pid}: signal 12 (SIGUSR2) received, ignoring\n`));
  }

  const oldWorker = workerOf(old);
  process.kill(old, 'SIGWINCH');
  await until(() => exitOf(oldWorker).test(text('error.log')));
  for (const answer of [await get(port, '/'), await get(shared, '/')]) {
    expect(bodyOf(answer)).toBe(String(workerOf(fresh)));
  }

  process.kill(old, 'SIGQUIT');
  await ended(old);
  expect(existsSync(join(dir, 'nginx.pid.oldbin'))).toBe(false);
  expect(await unixGet(SOCKET)).toBe(String(workerOf(fresh)));

  // Alone now, it can be followed by another one.
  await orphaned(fresh, old);
  const third = await upgrade(fresh);
  process.kill(fresh, 'SIGQUIT');
  await ended(fresh);
  expect(bodyOf(await get(port, '/'))).toBe(String(workerOf(third)));
  await orphaned(third, fresh);
  isDone = true;
  await clients;
  expect(served).toBeGreaterThan(10);
  process.kill(third, 'SIGQUIT');
  await ended(third);
  expect(existsSync(SOCKET)).toBe(false);
  expect(existsSync(join(dir, 'nginx.pid'))).toBe(false);
  expect(text('error.log')).not.toMatch(/\[(?:error|crit|alert|emerg)\]/);
});

it('comes back when the new binary goes', async () => {
  const port = await freePort();
  const old = await daemon(`listen 127.0.0.1:${port}; listen unix:${SOCKET};`);
  const fresh = await upgrade(old);
  const first = workerOf(old);
  process.kill(old, 'SIGWINCH');
  await until(() => exitOf(first).test(text('error.log')));

  // HUP gives the old one workers again, without reading its configuration.
  writeFileSync(join(dir, 'nginx.conf'), 'nonsense;');
  process.kill(old, 'SIGHUP');
  await until(() => workerOf(old) !== first);
  process.kill(fresh, 'SIGQUIT');
  await until(() => Number(text('nginx.pid')) === old);
  expect(existsSync(join(dir, 'nginx.pid.oldbin'))).toBe(false);
  expect(text('error.log')).toContain(`new binary process ${fresh} exited with code 0\n`);
  expect(bodyOf(await get(port, '/'))).toBe(String(workerOf(old)));
  expect(await unixGet(SOCKET)).toBe(String(workerOf(old)));

  // A new binary that cannot start leaves everything as it was; without workers, the old one starts some.
  const second = workerOf(old);
  process.kill(old, 'SIGWINCH');
  await until(() => text('error.log').includes(`worker process ${second} exited with code 0\n`));
  // It stays, though nothing is left that it would have to do.
  for (let time = 1; time <= 3; time++) {
    process.kill(old, 'SIGUSR1');
    await until(() => text('error.log').match(/: reopening logs\n/g)?.length === time);
  }
  process.kill(old, 'SIGUSR2');
  await until(() => /new binary process \d+ exited with code 1\n/.test(text('error.log')));
  await until(() => workerOf(old) !== second);
  expect(Number(text('nginx.pid'))).toBe(old);
  expect(bodyOf(await get(port, '/'))).toBe(String(workerOf(old)));
  process.kill(old, 'SIGTERM');
  await ended(old);
  expect(existsSync(SOCKET)).toBe(false);
});
