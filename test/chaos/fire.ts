// What the tests of this folder need to set a proxy under fire: sizes for CI and in full, raw clients that behave badly
// or count what they lose, and what /proc tells of a process. The clients are sockets, so that nothing retries or tidies
// up behind the test's back.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterEach } from 'vitest';
import { type RunningProxy, raw, type StartOptions, startProxy, statusOf } from '../proxy/start-proxy.ts';

export const isFull = process.env['PORTICO_TEST_FULL'] === '1';

/** `full` with npm run test:full, else `ci`. */
export function size(full: number, ci: number): number {
  return isFull ? full : ci;
}

/** Master and one worker, as root or not. */
export const MASTER = [
  'daemon off;',
  'worker_processes 1;',
  ...(process.getuid?.() === 0 ? ['user root;'] : []),
  'error_log error.log notice;',
  'events { worker_connections 4096; }',
  '',
].join('\n');

const stops: (() => Promise<unknown> | unknown)[] = [];

/** Runs when the test is over, the newest first. */
export function atEnd(stop: () => Promise<unknown> | unknown): void {
  stops.push(stop);
}

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** Starts a proxy that is stopped with the test. */
export async function start(conf: string, options: StartOptions = {}): Promise<RunningProxy> {
  const proxy = await startProxy(conf, { preamble: MASTER, ...options });
  atEnd(() => proxy.stop());
  return proxy;
}

/** The processes that `pid` started and that live. */
export function children(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text.split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** The only worker of a proxy. */
export async function workerOf(proxy: RunningProxy): Promise<number> {
  let found: number[] = [];
  await until(() => (found = children(proxy.process.pid!)).length === 1);
  return found[0]!;
}

/** Memory that a process holds. */
export function rssBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}

/** Open descriptors of a process: all, and those that are sockets. */
export function descriptors(pid: number): { all: number; sockets: number } {
  const names = readdirSync(`/proc/${pid}/fd`);
  let sockets = 0;
  for (const name of names) {
    try {
      if (readlinkSync(`/proc/${pid}/fd/${name}`).startsWith('socket:')) sockets++;
    } catch {
      // Closed since it was listed.
    }
  }
  return { all: names.length, sockets };
}

/** Looks again and again, without holding up the event loop. */
export async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((done) => setTimeout(done, 10));
}

/** Waits until a figure has been the same for `times` looks of 50 ms: what flows has come to a stop. */
export async function settled(figure: () => number, times = 10): Promise<number> {
  let last = figure();
  for (let same = 0; same < times; ) {
    await new Promise((done) => setTimeout(done, 50));
    const now = figure();
    same = now === last ? same + 1 : 0;
    last = now;
  }
  return last;
}

/** A socket whose bytes are counted and whose end is noted; errors are an end. */
export interface Wire {
  readonly socket: Socket;
  text: string;
  isOver: boolean;
  readonly over: Promise<void>;
}

/** Opens a connection and sends `bytes`. */
export function open(port: number, bytes = '', reads = true): Promise<Wire> {
  return new Promise((done, fail) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    let ended!: () => void;
    const over = new Promise<void>((end) => (ended = end));
    const wire: Wire = { socket, text: '', isOver: false, over };
    const end = (): void => {
      wire.isOver = true;
      ended();
    };
    if (reads) {
      socket.on('data', (chunk: Buffer) => {
        if (wire.text.length < 65_536) wire.text += chunk.toString('latin1');
      });
      socket.on('end', end);
    } else socket.pause();
    socket.on('error', fail);
    socket.on('close', end);
    socket.on('connect', () => {
      socket.off('error', fail);
      socket.on('error', end);
      if (bytes) socket.write(Buffer.from(bytes, 'latin1'));
      done(wire);
    });
    atEnd(() => socket.destroy());
  });
}

/** A GET on a connection of its own: its status, 0 when it was lost. */
export async function statusFor(port: number, uri: string, ...headers: string[]): Promise<number> {
  const head = [`GET ${uri} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...headers, '', ''];
  return raw(port, head.join('\r\n')).then(statusOf, () => 0);
}

/** Statuses of `count` requests, `atOnce` at a time, with how often each came, and how long each took. */
export async function volley(
  count: number,
  atOnce: number,
  ask: (number: number) => Promise<number>,
): Promise<{ statuses: Record<number, number>; p50Ms: number; p99Ms: number }> {
  const statuses: Record<number, number> = {};
  const times: number[] = [];
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < count) {
      const from = performance.now();
      const status = await ask(next++);
      times.push(performance.now() - from);
      statuses[status] = (statuses[status] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  times.sort((a, b) => a - b);
  const at = (share: number): number => Math.round((times[Math.floor(times.length * share)] ?? 0) * 10) / 10;
  return { statuses, p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** Prints the counts of a test: what was tried, what was lost. */
export function tell(name: string, counts: object): void {
  console.log(`chaos: ${name}: ${JSON.stringify(counts)}`);
}
