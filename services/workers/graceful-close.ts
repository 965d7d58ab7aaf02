/**
 * Closing a connection so that the client gets the whole response (RFC 9112, section 9.6), as Gunicorn's close_graceful() does: half-close,
 * then read until the client has closed as well, up to a limit and two seconds, and block while that lasts. A client that keeps its side
 * open so holds a sync worker, and the main thread of a gthread worker, for two seconds.
 *
 * Node cannot half-close at once, only in the loop's next turn; but it does so before that turn looks for connections to accept, and the
 * callback then blocks, so no connection is taken meanwhile.
 */
import { readSync } from 'node:fs';
import net from 'node:net';
import type { NetHandle } from '../net-handle.ts';

const LINGER_MS = 2000;
const DRAIN_BYTES = 65536;
const FIRST_NAP_MS = 0.05;
const LONGEST_NAP_MS = 5;

const scrap = Buffer.allocUnsafe(4096);
const never = new Int32Array(new SharedArrayBuffer(4));
let closing = 0;
let onIdle: (() => void) | null = null;

/**
 * Closes a connection that nothing reads any more; `closed` is called when it is. For so many ms it looks for the client's end without
 * sleeping in between: that is time in which Python is still at work.
 */
export function closeGracefully(
  handle: NetHandle,
  busyMs: number,
  closed: () => void,
  socket = socketOf(handle),
): void {
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
    if (!isOver) drain(handle, busyMs);
    end();
  });
}

function socketOf(handle: NetHandle): net.Socket {
  return new net.Socket({ handle, allowHalfOpen: true } as unknown as net.SocketConstructorOpts);
}

/** Reads until the client has closed. What it closes upon is on its way at this moment, so the first looks follow closely. */
function drain(handle: NetHandle, busyMs: number): void {
  handle.setBlocking(false);
  const from = performance.now();
  let nap = FIRST_NAP_MS;
  for (let drained = 0, passed = 0; drained < DRAIN_BYTES && passed < LINGER_MS; passed = performance.now() - from) {
    try {
      const bytes = readSync(handle.fd, scrap);
      if (bytes === 0) return;
      drained += bytes;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      if (passed < busyMs) continue;
      Atomics.wait(never, 0, 0, nap);
      nap = Math.min(nap * 2, LONGEST_NAP_MS);
    }
  }
}

/** Calls back when no connection is closing: before that, exiting would cut it off. */
export function whenClosed(callback: () => void): void {
  if (closing === 0) callback();
  else onIdle = callback;
}
