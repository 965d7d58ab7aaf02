import type { Socket } from 'node:net';
import type { ClientConnection } from './client.ts';

export const openH2Connections = new Set<{ goAway(): void; destroy(): void }>();

export function serveH2(socket: Socket, _client: ClientConnection): void {
  socket.destroy();
}
