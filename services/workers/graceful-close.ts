/**
 * Closing a connection so that the client gets the whole response (RFC 9112, section 9.6), as Gunicorn's close_graceful() does: half-close,
 * then read until the client has closed as well, up to a limit and two seconds, and block while that lasts. A client that keeps its side
 * open so holds a sync worker, and the main thread of a gthread worker, for two seconds.
 *
 * DESIGN. Node can neither half-close at once nor wait for one descriptor, so both are asked of the system's library. Where that cannot
 * be had, Node half-closes in the loop's next turn, before it looks for connections to accept, and naps take the place of waiting: a
 * client then meets the same, a fraction of a millisecond later.
 */
import { readSync } from 'node:fs';
import net from 'node:net';
import type { AllowThreads } from '../http/blocking-socket.ts';
import type { NetHandle } from '../net-handle.ts';
import { type SystemCalls, systemCalls } from './system-calls.ts';

const LINGER_MS = 2000;
const DRAIN_BYTES = 65536;
const FIRST_NAP_MS = 0.05;
const LONGEST_NAP_MS = 5;
const SHUT_WR = 1;
const POLLIN = 1;

const scrap = Buffer.allocUnsafe(4096);
const never = new Int32Array(new SharedArrayBuffer(4));
// struct pollfd: an int and two shorts.
const polled = new Int32Array(2);
const polledEvents = new Int16Array(polled.buffer, 4);
let closing = 0;
let onIdle: (() => void) | null = null;

/**
 * Closes a connection that nothing reads any more; `closed` is called when it is, at once where the system's library can be had. The
 * GIL, if there is one, is dropped while this waits. `socket` is what has the handle, if something has.
 */
export function closeGracefully(
  handle: NetHandle,
  allowThreads: AllowThreads,
  closed: () => void,
  socket?: net.Socket,
): void {
  const system = systemCalls;
  if (system) {
    if (system.shutdown(handle.fd, SHUT_WR) === 0)
      drain(handle.fd, (ms) => allowThreads(() => isReadable(system, handle.fd, ms)));
    if (socket) socket.destroy();
    else handle.close();
    closed();
  } else halfCloseLater(handle, closed, socket ?? socketOf(handle));
}

function halfCloseLater(handle: NetHandle, closed: () => void, socket: net.Socket): void {
  closing++;
  let isOver = false;
  const end = (): void => {
    if (isOver) return;
    isOver = true;
    closing--;
    socket.destroy();
    closed();
    if (closing === 0) onIdle?.();
  };
  // The client is gone already.
  socket.on('error', end);
  socket.end(() => {
    if (!isOver) {
      handle.setBlocking(false);
      let nap = FIRST_NAP_MS;
      drain(handle.fd, () => {
        Atomics.wait(never, 0, 0, nap);
        nap = Math.min(nap * 2, LONGEST_NAP_MS);
        return true;
      });
    }
    end();
  });
}

function socketOf(handle: NetHandle): net.Socket {
  return new net.Socket({ handle, allowHalfOpen: true } as unknown as net.SocketConstructorOpts);
}

/** Waits so many ms at most for a descriptor to have something to read, its end included; gives whether it has. */
function isReadable({ poll }: SystemCalls, fd: number, ms: number): boolean {
  polled[0] = fd;
  polledEvents[0] = POLLIN;
  return poll(polled, 1, ms) > 0;
}

/** Reads until the client has closed. `wait` waits so many ms at most, and says whether a read then would come back at once. */
function drain(fd: number, wait: (ms: number) => boolean): void {
  const from = performance.now();
  for (
    let drained = 0, left = LINGER_MS;
    drained < DRAIN_BYTES && left > 0;
    left = LINGER_MS - (performance.now() - from)
  ) {
    if (!wait(Math.ceil(left))) continue;
    try {
      const bytes = readSync(fd, scrap);
      if (bytes === 0) return;
      drained += bytes;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
    }
  }
}

/** Calls back when no connection is closing: before that, exiting would cut it off. */
export function whenClosed(callback: () => void): void {
  if (closing === 0) callback();
  else onIdle = callback;
}
