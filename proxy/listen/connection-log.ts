// Lines of error.log about a connection that has no request yet: `*7 MESSAGE while ACTION, client: …, server: …`.
import type { ClientConnection } from '../http/client.ts';
import type { LogLevel } from '../log.ts';
import { processLog } from '../log.ts';
import { coreModule } from '../modules/core-rows.ts';

/** Writes to the error_log of the server that the connection is with so far. */
export function logConnection(client: ClientConnection, level: LogLevel, message: string, action = ''): void {
  const server = client.sniServer ?? client.listen.defaultServer;
  const log = coreModule.location(server.root).error_log ?? processLog.log;
  if (!log?.isOn(level)) return;
  const during = action === '' ? '' : ` while ${action}`;
  const { listen } = client;
  log.write(level, `${message}${during}, client: ${client.remoteAddress}, server: ${listen.text}`, client.number);
}
