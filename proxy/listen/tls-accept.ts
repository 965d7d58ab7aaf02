import type { Socket } from 'node:net';
import type { ClientConnection } from '../http/client.ts';

export function acceptTls(
  socket: Socket,
  _client: ClientConnection,
  done: (secured: Socket, protocol: 'plain' | 'h2' | 'http/1.1') => void,
): void {
  done(socket, 'plain');
}
