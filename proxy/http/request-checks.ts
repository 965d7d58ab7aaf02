// What is checked of a request between its head being parsed and its first phase: Host and the server it selects,
// Content-Length against Transfer-Encoding, methods that are never served, TLS client certificates. Mirrors
// ngx_http_process_request_headers and ngx_http_process_request. Used for HTTP/1.x and HTTP/2 alike.

import { parseCount } from '../config/values.ts';
import { coreModule } from '../modules/core-rows.ts';
import type { Exchange } from './exchange.ts';
import { keepNamedCaptures } from './find-config.ts';
import type { Fields, SkippedLine } from './head.ts';
import { RequestBody } from './request-body.ts';
import { traceServer } from './trace.ts';
import { parseUri } from './uri.ts';
import type { Server } from './virtual-server.ts';

/** Headers that may come once only. */
const UNIQUE = new Set([
  'if-modified-since',
  'if-unmodified-since',
  'if-match',
  'if-none-match',
  'content-length',
  'content-range',
  'if-range',
  'transfer-encoding',
  'expect',
  'authorization',
]);

/** Puts `r` under `server`. */
export function useServer(r: Exchange, server: Server): void {
  r.server = server;
  r.location = server.root;
}

/** The host without port, dots and upper case; undefined when it is not acceptable. (ngx_http_validate_host) */
export function validHost(text: string): string | undefined {
  const plain = PLAIN_HOST.test(text);
  let end = text.length;
  if (plain) {
    const colon = text.indexOf(':');
    if (colon >= 0) end = colon;
  } else {
    if (BAD_HOST.test(text)) return undefined;
    if (text.startsWith('[')) {
      const close = text.indexOf(']');
      if (close >= 0) end = close + 1;
    } else {
      const colon = text.indexOf(':');
      if (colon >= 0) end = colon;
    }
  }
  if (text.charCodeAt(end - 1) === 46) end--;
  if (end <= 0) return undefined;
  return text.slice(0, end).toLowerCase();
}

const PLAIN_HOST = /^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:\d*)?$/;
const BAD_HOST = /[\x00-\x20\x7f/]|\.\./;

/** Selects the virtual server of `host`; 421 for another name than TLS chose when its server verifies clients. */
export function selectServer(r: Exchange, host: string): number {
  const { listen } = r.client;
  const found = listen.table!.find(host);
  if (r.client.trace) traceServer(r.client.trace, listen, host, found);
  const { sniServer, hello } = r.client;
  if (sniServer && host === '') {
    useServer(r, sniServer);
    return 0;
  }
  const target = found?.server ?? listen.defaultServer;
  if (sniServer && hello?.serverName?.toLowerCase() !== host && verifiesClients.of(target)) {
    r.log('info', 'client attempted to request the server name different from the one that was negotiated');
    return 421;
  }
  if (!found) {
    useServer(r, target);
    return 0;
  }
  if (found.match) {
    r.captures = found.match;
    keepNamedCaptures(r, found.match);
  }
  useServer(r, target);
  return 0;
}

/** Whether a server verifies client certificates; set by the ssl module. */
export const verifiesClients: { of: (server: Server) => boolean } = { of: () => false };

/** Certificate checks of a TLS request; 0 or 495/496/497. Set by the ssl module. */
export const tlsChecks: { of: (r: Exchange) => number } = { of: () => 0 };

/** Normalizes `r.unparsedUri` into uri and args; false for a bad one. */
export function applyUri(r: Exchange, path: string): boolean {
  const parsed = parseUri(path, coreModule.server(r.server).merge_slashes);
  if (!parsed) return false;
  r.unparsedUri = path;
  r.setUri(parsed.uri);
  r.args = parsed.args;
  return true;
}

/** Takes the host of an absolute-form target, which goes before Host; returns 0 or a status. */
export function applyTargetHost(r: Exchange, host: string): number {
  const valid = validHost(host);
  if (valid === undefined) {
    r.log('info', 'client sent invalid host in request line');
    return 400;
  }
  r.host = valid;
  return selectServer(r, valid);
}

/** Takes a Host header; `first` is the value of one before it. Returns 0 or a status. */
function applyHost(r: Exchange, host: string, first: string | undefined): number {
  if (first !== undefined) {
    r.log('info', `client sent duplicate host header: "Host: ${host}", previous value: "Host: ${first}"`);
    return 400;
  }
  const valid = validHost(host);
  if (valid === undefined) {
    r.log('info', 'client sent invalid host header');
    return 400;
  }
  if (r.host !== '') return 0;
  r.host = valid;
  return selectServer(r, valid);
}

/**
 * Takes the header fields in, one after another: returns 0 or the status that the request ends with, `fields.faultAt`
 * being the field that is wrong. `isWhole` is false for those before a broken line.
 */
export function applyFields(r: Exchange, fields: Fields, isWhole = true): number {
  r.main.logAction = 'reading client request headers';
  const code = checkFields(r, fields, isWhole);
  r.main.logAction = '';
  return code;
}

/** Logs the lines that were left out before a field, from number `from` of them on; returns how many are logged. */
function logSkipped(r: Exchange, skipped: readonly SkippedLine[], from: number, before: number): number {
  let done = from;
  for (; skipped[done] && skipped[done]!.before <= before; done++) {
    r.log('info', `client sent invalid header line: "${skipped[done]!.line}"`);
  }
  return done;
}

function checkFields(r: Exchange, fields: Fields, isWhole: boolean): number {
  r.headers = fields;
  const { lower, values, skipped } = fields;
  let host: string | undefined;
  let transferEncoding: string | undefined;
  let contentLength: string | undefined;
  let connection: 'close' | 'keep-alive' | undefined;
  let logged = 0;
  for (let i = 0; i < lower.length; i++) {
    if (skipped.length > logged) logged = logSkipped(r, skipped, logged, i);
    const value = values[i]!;
    let code = 0;
    switch (lower[i]) {
      case 'host':
        code = applyHost(r, value, host);
        host = value;
        break;
      case 'connection':
        if (CLOSE_TOKEN.test(value)) connection = 'close';
        else if (KEEP_ALIVE_TOKEN.test(value)) connection = 'keep-alive';
        break;
      case 'content-length':
        if (contentLength !== undefined) code = duplicate(r, fields, i);
        contentLength = value;
        break;
      case 'transfer-encoding':
        if (transferEncoding !== undefined) code = duplicate(r, fields, i);
        transferEncoding = value;
        break;
      default:
        if (UNIQUE.has(lower[i]!) && lower.indexOf(lower[i]!) !== i) code = duplicate(r, fields, i);
    }
    if (code) {
      fields.faultAt = i;
      return code;
    }
  }
  logSkipped(r, skipped, logged, lower.length);
  if (!isWhole) return 0;
  if (r.host === '') {
    const code = selectServer(r, '');
    if (code) return code;
  }
  if (r.version > 1000 && host === undefined) {
    r.log('info', 'client sent HTTP/1.1 request without "Host" header');
    return 400;
  }

  if (contentLength !== undefined) {
    const length = parseCount(contentLength);
    if (length === undefined && isOffset(contentLength)) {
      // Too large for any limit, and to be counted exactly. nginx finds it later, when it has the location.
      r.main.logAction = '';
      r.log('error', `client intended to send too large body: ${contentLength} bytes`);
      return 413;
    }
    if (length === undefined) {
      r.log('info', 'client sent invalid "Content-Length" header');
      return 400;
    }
    r.contentLength = length;
  }
  if (transferEncoding !== undefined) {
    if (r.version < 1001) {
      r.log('info', 'client sent HTTP/1.0 request with "Transfer-Encoding" header');
      return 400;
    }
    if (transferEncoding.toLowerCase() !== 'chunked') {
      r.log('info', `client sent unknown "Transfer-Encoding": "${transferEncoding}"`);
      return 501;
    }
    if (contentLength !== undefined) {
      r.log('info', 'client sent "Content-Length" and "Transfer-Encoding" headers at the same time');
      return 400;
    }
    r.isChunked = true;
  }
  if (r.method === 'CONNECT' || r.method === 'TRACE') {
    r.log('info', `client sent ${r.method} method`);
    return 405;
  }
  const tlsFault = r.client.listen.isSsl ? tlsChecks.of(r) : 0;
  if (tlsFault) return tlsFault;
  // Only now: a request that was refused above closes its connection.
  r.isKeepalive = r.version > 1000 ? connection !== 'close' : connection === 'keep-alive';
  if (r.isChunked || r.contentLength > 0) {
    r.body = new RequestBody(r, r.contentLength, r.isChunked);
    r.isLingering = true;
  }
  return 0;
}

/** Digits that nginx's off_t holds. */
function isOffset(text: string): boolean {
  return /^\d+$/.test(text) && BigInt(text) < 2n ** 63n;
}

const CLOSE_TOKEN = /close/i;
const KEEP_ALIVE_TOKEN = /keep-alive/i;

function duplicate(r: Exchange, fields: Fields, at: number): number {
  const first = fields.lower.indexOf(fields.lower[at]!);
  r.log(
    'info',
    `client sent duplicate header line: "${fields.names[at]}: ${fields.values[at]}", previous value: "${fields.names[first]}: ${fields.values[first]}"`,
  );
  return 400;
}
