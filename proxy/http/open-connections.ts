// The connections of this worker, for a graceful stop: idle ones are closed at once, the others finish their request.
import type { Socket } from 'node:net';
import type { ClientConnection } from './client.ts';

/** What a stop needs of a connection, whatever it speaks. */
export interface OpenConnection {
  /** Nothing is being served: it may be closed without loss. */
  readonly isIdle: boolean;
  readonly client: ClientConnection;
  destroy(): void;
  /** Says that no further request will be served (HTTP/2's GOAWAY), and closes when nothing is being served. */
  goAway?(): void;
}

export const openConnections = new Set<OpenConnection>();

/**
 * Counts a connection in while it is not known yet what it speaks (TLS handshake, PROXY protocol): a stop waits for it,
 * as its first request is on the way. The returned function is called when its protocol has taken over.
 */
export function awaitProtocol(socket: Socket, client: ClientConnection): () => void {
  const connection: OpenConnection = { isIdle: false, client, destroy: () => socket.destroy() };
  openConnections.add(connection);
  const known = (): void => {
    socket.off('close', known);
    openConnections.delete(connection);
  };
  socket.on('close', known);
  return known;
}

/** Whether this worker is stopping gracefully: no more keepalive. */
export const shutdown = { isExiting: false };
