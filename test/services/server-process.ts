/**
 * An app server as a real process for tests: started on a port of the kernel's choice, its log collected, stopped at the end whatever
 * happened. Waits are for events; the only clock is the limit after which a test has failed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Shortly before vitest gives up, so that it is told what was waited for. */
const LIMIT_MS = 50_000;

/** One server; `using` it, or calling stop(), ends it. */
export class ServerProcess {
  readonly child: ChildProcess;
  readonly exited: Promise<{ status: number | null; signal: NodeJS.Signals | null }>;
  log = '';
  #watchers: (() => void)[] = [];

  constructor(
    program: 'gunicorn' | 'uvicorn',
    args: readonly string[],
    options: { cwd?: string; env?: NodeJS.ProcessEnv; command?: readonly string[] } = {},
  ) {
    const ours = [process.execPath, path.join(ROOT, 'services', `${program}.ts`)];
    const [file = '', ...before] = options.command ?? ours;
    this.child = spawn(file, [...before, ...args], {
      cwd: options.cwd ?? ROOT,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (bytes: Buffer) => {
        this.log += bytes.toString();
        for (const watcher of this.#watchers) watcher();
      });
    }
    this.exited = new Promise((done) => {
      this.child.on('close', (status, signal) => {
        done({ status, signal });
        for (const watcher of this.#watchers) watcher();
      });
    });
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  /** The match of a pattern in what the server has printed, when it has; fails when the server ends first. */
  said(pattern: RegExp, from = 0): Promise<RegExpExecArray> {
    return this.until(() => pattern.exec(this.log.slice(from)), `it to say ${pattern}`);
  }

  /** Waits for a condition on the log or process. */
  until<Value>(condition: () => Value | null | undefined | false, what: string): Promise<Value> {
    return new Promise((done, fail) => {
      const finish = (): void => {
        clearTimeout(timer);
        clearInterval(poll);
        this.#watchers = this.#watchers.filter((each) => each !== look);
      };
      const look = (): void => {
        const value = condition();
        if (value) {
          finish();
          done(value);
        } else if (this.child.exitCode !== null && this.child.stdout?.readableEnded) {
          finish();
          fail(new Error(`the server ended with ${this.child.exitCode} while waiting for ${what}:\n${this.log}`));
        }
      };
      const timer = setTimeout(() => {
        finish();
        fail(new Error(`waited in vain for ${what}:\n${this.log}`));
      }, LIMIT_MS);
      const poll = setInterval(look, 25);
      this.#watchers.push(look);
      look();
    });
  }

  /** Pids of the workers that have booted and were not seen to go, from the log. */
  get workers(): number[] {
    const booted = [...this.log.matchAll(/Booting worker with pid: (\d+)/g)].map((match) => Number(match[1]));
    return booted.filter(isAlive);
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<{ status: number | null; signal: NodeJS.Signals | null }> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill('SIGKILL'), LIMIT_MS);
    const end = await this.exited;
    clearTimeout(timer);
    return end;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/**
 * Whether a process lives; a zombie does not. Of a process with threads the first is a zombie while others still end, and until the
 * last of them is gone its descriptors are open: its sockets still listen. Only then is it dead.
 */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const status = procStatus(pid);
  return !/^State:\s+Z/m.test(status) || Number(/^Threads:\s+(\d+)/m.exec(status)?.[1]) > 1;
}

function procStatus(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return '';
  }
}

/** A running server with its address. */
export interface Running {
  readonly server: ServerProcess;
  readonly port: number;
  readonly url: string;
}

/** Starts Gunicorn on a free port and waits for its first worker. */
export async function gunicorn(
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Running> {
  const server = new ServerProcess('gunicorn', ['-b', '127.0.0.1:0', ...args], options);
  const port = Number((await server.said(/Listening at: http:\/\/127\.0\.0\.1:(\d+)/))[1]);
  await server.said(/Booting worker/);
  return { server, port, url: `http://127.0.0.1:${port}` };
}

/** Starts Uvicorn on a free port and waits until it serves. */
export async function uvicorn(
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Running> {
  const server = new ServerProcess('uvicorn', ['--port', '0', ...args], options);
  const port = Number((await server.said(/Uvicorn running on http:\/\/127\.0\.0\.1:(\d+)/))[1]);
  return { server, port, url: `http://127.0.0.1:${port}` };
}

/** Sends raw bytes, and closes the writing half if asked; gives all that comes back until the server closes, or until `enough`. */
export function rawRequest(
  port: number,
  text: string,
  enough?: (received: string) => boolean,
  isHalfClosed = false,
  limitMs = LIMIT_MS,
  onSocket?: (socket: net.Socket) => void,
): Promise<string> {
  return new Promise((done, fail) => {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: isHalfClosed });
    onSocket?.(socket);
    let received = '';
    const timer = setTimeout(() => {
      socket.destroy();
      fail(new Error(`no end of the response to ${JSON.stringify(text.slice(0, 200))}:\n${received}`));
    }, limitMs);
    const finish = (): void => {
      clearTimeout(timer);
      socket.destroy();
      done(received);
    };
    socket.on('connect', () => {
      socket.write(Buffer.from(text, 'latin1'));
      if (isHalfClosed) socket.end();
    });
    socket.on('data', (bytes: Buffer) => {
      received += bytes.toString('latin1');
      if (enough?.(received)) finish();
    });
    socket.on('error', finish);
    socket.on('end', finish);
    socket.on('close', finish);
  });
}

/**
 * A GET on a connection of its own: the status and body, or null when the server closed without an answer. `limitMs` is for what takes
 * so much CPU time that it may take any time on a busy machine.
 */
export async function get(
  port: number,
  target: string,
  headers = '',
  limitMs?: number,
  onSocket?: (socket: net.Socket) => void,
): Promise<{ status: number; head: string; body: string } | null> {
  const text = await rawRequest(
    port,
    `GET ${target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n${headers}\r\n`,
    undefined,
    false,
    limitMs,
    onSocket,
  );
  if (text === '') return null;
  const end = text.indexOf('\r\n\r\n');
  return { status: Number(text.slice(9, 12)), head: text.slice(0, end), body: text.slice(end + 4) };
}

/** A GET that the server has in hand: it has accepted the connection and read the request, as the kernel tells. */
export async function begun(port: number, target: string): Promise<{ readonly answer: ReturnType<typeof get> }> {
  let client: net.Socket | undefined;
  const answer = get(port, target, '', undefined, (socket) => {
    client = socket;
  });
  let isOver = false;
  void answer.finally(() => {
    isOver = true;
  });
  while (!isOver && !isRead(port, client)) await new Promise((done) => setTimeout(done, 5));
  return { answer };
}

/** Whether a process owns the server's end of a connection, and nothing that was sent to it is unread. */
function isRead(port: number, client: net.Socket | undefined): boolean {
  if (!client?.localPort || client.bytesWritten === 0 || client.writableLength > 0) return false;
  const hex = (each: number): string => each.toString(16).toUpperCase().padStart(4, '0');
  const ends = `\\w+:${hex(port)} \\w+:${hex(client.localPort)}`;
  return new RegExp(`^ *\\d+: ${ends} 01 \\w+:00000000 \\w+:\\w+ \\w+ +\\d+ +\\d+ [1-9]\\d* `, 'm').test(
    readFileSync('/proc/net/tcp', 'latin1'),
  );
}
