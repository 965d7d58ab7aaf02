// The particulars that nginx adds to a line of error.log: client, server, request, upstream, host, referrer.
import { type LogLevel, processLog } from '../log.ts';
import { coreModule } from '../modules/core-rows.ts';
import type { Exchange } from './exchange.ts';

/** Writes a line about request `r`. */
export function logRequest(r: Exchange, level: LogLevel, message: string): void {
  r.client.trace?.observe('log', `[${level}] ${message}`);
  const { listen } = r.client;
  const log = (r.location && coreModule.location(r.location).error_log) ?? listen.log ?? processLog.log;
  if (!log?.isOn(level)) return;
  const { logAction } = r.main;
  log.write(level, (logAction ? `${message} while ${logAction}` : message) + requestContext(r), r.client.number);
}

/** `, client: …, server: …, request: "…"` as nginx appends it. */
export function requestContext(r: Exchange): string {
  const main = r.main;
  let out = `, client: ${r.client.remoteAddress}`;
  if (r.server) out += `, server: ${r.server.name}`;
  if (main.requestLine) out += `, request: "${main.requestLine}"`;
  if (r !== main) out += `, subrequest: "${r.uri}"`;
  const upstream = r.upstream?.logUrl() ?? r.context<string>('upstream-log');
  if (upstream) out += `, upstream: "${upstream}"`;
  const host = main.headers?.get('host');
  if (host !== undefined) out += `, host: "${host}"`;
  const referer = main.headers?.get('referer');
  if (referer !== undefined) out += `, referrer: "${referer}"`;
  return out;
}
