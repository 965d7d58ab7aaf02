// The connections of this worker, for a graceful stop: idle ones are closed at once, the others finish their request.

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

/** Whether this worker is stopping gracefully: no more keepalive. */
export const shutdown = { isExiting: false };
