/**
 * Closing a connection so that the client gets the whole response (RFC 9112, section 9.6). A close with unread data in the kernel's
 * buffer sends a reset, which may overtake the response; so what is unread is read first, up to a limit and two seconds.
 */
import { readSync } from 'node:fs';
import net from 'node:net';
import type { NetHandle } from '../net-handle.ts';

const LINGER_MS = 2000;
const DRAIN_BYTES = 65536;
const scrap = Buffer.allocUnsafe(4096);

const lingering = new Set<net.Socket>();
let onIdle: (() => void) | null = null;

/** Closes now when nothing is unread, which is nearly always; otherwise half-closes, and drains in the background. */
export function closeGracefully(handle: NetHandle): void {
  handle.setBlocking(false);
  let unreadBytes = 0;
  try {
    unreadBytes = readSync(handle.fd, scrap);
  } catch {
    // EAGAIN: nothing is unread. Any other error: nothing can be saved.
  }
  if (unreadBytes > 0) linger(handle);
  else handle.close();
}

function linger(handle: NetHandle): void {
  const socket = new net.Socket({ handle, allowHalfOpen: true } as unknown as net.SocketConstructorOpts);
  let drained = 0;
  lingering.add(socket);
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.on('data', (data) => {
    drained += data.length;
    if (drained > DRAIN_BYTES) socket.destroy();
  });
  socket.on('end', () => socket.destroy());
  socket.on('error', () => {});
  socket.on('close', () => {
    clearTimeout(timer);
    lingering.delete(socket);
    if (lingering.size === 0) onIdle?.();
  });
  socket.end();
  socket.resume();
}

/** Calls back when no connection is lingering: before that, exiting would cut them off. */
export function whenClosed(callback: () => void): void {
  if (lingering.size === 0) callback();
  else onIdle = callback;
}
