/**
 * One request on the WSGI side, parsed from a blocking socket: the head with Gunicorn's rules, limits and errors (gunicorn/http/
 * message.py), and a body to be read later. First stop of a request after the accept; what it gives goes to environ.ts.
 * Strict where request smuggling lives: bare LF, double Content-Length, Content-Length with Transfer-Encoding, folded lines.
 */

import { reprString } from '../python-repr.ts';
import type { BlockingSocket } from './blocking-socket.ts';
import { type BodyReader, ChunkedReader, LengthReader, RequestBody } from './body.ts';
import { ClientGone, RequestError } from './errors.ts';
import { type ProxyProtocolInfo, readProxyProtocol } from './proxy-protocol.ts';
import type { RequestRules } from './rules.ts';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-zA-Z]+$/;
const TARGET_INVALID = /[^\x21-\x7e]/;
const VALUE_INVALID = /[\x00-\x08\x0a-\x1f\x7f]/;
// RFC 9110, section 6.5.1: fields that alter framing, routing or authentication are no trailers.
const NO_TRAILER = new Set(['HOST', 'CONTENT-LENGTH', 'TRANSFER-ENCODING', 'TRAILER', 'AUTHORIZATION', 'TE']);
const SINGLETON = new Set(['HOST', 'CONTENT-TYPE']);

/** A header field as the WSGI side keeps it: the name in upper case, the value stripped. */
export type Field = readonly [name: string, value: string];

/** A parsed request head with its body reader. Strings hold one byte a character. */
export class WsgiRequest {
  method = '';
  uri = '';
  path = '';
  query = '';
  version: readonly [major: number, minor: number] = [1, 1];
  headers: readonly Field[] = [];
  trailers: readonly Field[] = [];
  scheme = 'http';
  expectsContinue = false;
  mustClose = false;
  proxy: ProxyProtocolInfo | null = null;
  body: RequestBody = new RequestBody(null);

  /** Whether the client or the protocol asks for the connection to close after the response. */
  shouldClose(): boolean {
    if (this.mustClose || this.method === 'CONNECT') return true;
    const connection = this.headers.find(([name]) => name === 'CONNECTION')?.[1].toLowerCase();
    if (connection === 'close') return true;
    if (connection === 'keep-alive') return false;
    return !atLeast(this.version, 1, 1);
  }

  header(name: string): string | undefined {
    return this.headers.find(([each]) => each === name)?.[1];
  }
}

function atLeast(version: readonly [number, number], major: number, minor: number): boolean {
  return version[0] > major || (version[0] === major && version[1] >= minor);
}

/**
 * Reads one request head; blocks until it is complete. `number` counts the requests of the connection from 1. Throws ClientGone when
 * the client closes first, RequestError for what Gunicorn refuses; `failed` then holds the request when it got far enough to be logged.
 */
export function readRequest(
  socket: BlockingSocket,
  rules: RequestRules,
  number: number,
  request = new WsgiRequest(),
): WsgiRequest {
  request.scheme = rules.scheme;
  let bytes = socket.read();
  if (bytes.length === 0) throw new ClientGone('');
  const more = (): void => {
    const next = socket.read();
    if (next.length === 0) throw new ClientGone(`No more data after: ${reprString(bytes.toString('latin1'))}`);
    bytes = Buffer.concat([bytes, next]);
  };
  if (rules.proxyProtocol !== 'off' && number === 1) {
    const found = readProxyProtocol(socket, rules, bytes);
    request.proxy = found.info;
    bytes = found.rest;
  }
  // RFC 9112, section 2.2: one empty line before the request line is passed over.
  while (bytes[0] === 13 && bytes.length < 2) more();
  if (bytes[0] === 13 && bytes[1] === 10) bytes = bytes.subarray(2);

  let end = bytes.indexOf('\r\n');
  for (;;) {
    const newline = bytes.indexOf(10);
    if (newline >= 0 && (end < 0 || newline < end))
      throw new RequestError('InvalidRequestLine', 'bare LF as line terminator');
    if (end >= 0) break;
    if (rules.limitLine > 0 && bytes.length - 2 > rules.limitLine) {
      throw new RequestError('LimitRequestLine', `${bytes.length} > ${rules.limitLine}`);
    }
    more();
    end = bytes.indexOf('\r\n');
  }
  if (rules.limitLine > 0 && end > rules.limitLine)
    throw new RequestError('LimitRequestLine', `${end} > ${rules.limitLine}`);
  parseRequestLine(request, bytes.toString('latin1', 0, end), rules);

  bytes = bytes.subarray(end + 2);
  for (;;) {
    if (bytes[0] === 13 && bytes[1] === 10) {
      socket.unread(bytes.subarray(2));
      break;
    }
    const stop = bytes.indexOf('\r\n\r\n');
    if (stop >= 0) {
      request.headers = parseFields(request, bytes.toString('latin1', 0, stop), rules, trustOf(socket, rules));
      socket.unread(bytes.subarray(stop + 4));
      break;
    }
    const text = bytes.toString('latin1');
    if (/(?<!\r)\n/.test(text)) throw new RequestError('InvalidHeader', 'bare LF as line terminator');
    if (text.length > rules.limitHeadBytes) throw new RequestError('LimitRequestHeaders', 'max buffer headers');
    more();
  }
  const reader = bodyReader(request, socket, rules);
  request.body = new RequestBody(reader);
  return request;
}

function parseRequestLine(request: WsgiRequest, line: string, rules: RequestRules): void {
  const first = line.indexOf(' ');
  const second = line.indexOf(' ', first + 1);
  if (first < 0 || second < 0) throw new RequestError('InvalidRequestLine', line);
  const method = line.slice(0, first);
  if (!rules.permitsAnyMethod && (/[a-z#]/.test(method) || method.length < 3 || method.length > 20)) {
    throw new RequestError('InvalidRequestMethod', method);
  }
  if (!TOKEN.test(method)) throw new RequestError('InvalidRequestMethod', method);
  request.method = rules.casefoldsMethod ? method.toUpperCase() : method;

  const uri = line.slice(first + 1, second);
  request.uri = uri;
  const isOrigin = uri.startsWith('/');
  // RFC 9112, section 3.2: asterisk-form belongs to OPTIONS, authority-form to CONNECT.
  const misplaced =
    (uri === '*' && request.method !== 'OPTIONS') ||
    (request.method !== 'CONNECT' && uri !== '*' && !isOrigin && !uri.includes('://'));
  if (uri === '' || TARGET_INVALID.test(uri) || misplaced) throw new RequestError('InvalidRequestLine', line);
  splitTarget(request, uri, line);

  const text = line.slice(second + 1);
  const version = /^HTTP\/(\d)\.(\d)$/.exec(text);
  if (!version) throw new RequestError('InvalidHTTPVersion', reprString(text));
  request.version = [Number(version[1]), Number(version[2])];
  if (request.version[0] !== 1 && !rules.permitsAnyVersion) {
    throw new RequestError('InvalidHTTPVersion', `(${request.version.join(', ')})`);
  }
}

function splitTarget(request: WsgiRequest, uri: string, line: string): void {
  let rest = uri;
  if (!uri.startsWith('/')) {
    const scheme = /^[a-zA-Z][a-zA-Z0-9+.-]*:/.exec(uri);
    if (scheme) rest = uri.slice(scheme[0].length);
    if (rest.startsWith('//')) {
      const stop = rest.slice(2).search(/[/?#]/);
      const host = stop < 0 ? rest.slice(2) : rest.slice(2, stop + 2);
      if (host.includes('[') !== host.includes(']')) throw new RequestError('InvalidRequestLine', line);
      rest = stop < 0 ? '' : rest.slice(stop + 2);
    }
  }
  const hash = rest.indexOf('#');
  if (hash >= 0) rest = rest.slice(0, hash);
  const mark = rest.indexOf('?');
  request.path = mark < 0 ? rest : rest.slice(0, mark);
  request.query = mark < 0 ? '' : rest.slice(mark + 1);
}

interface Trust {
  readonly secureSchemeHeaders: ReadonlyMap<string, string>;
  readonly forwarderHeaders: ReadonlySet<string>;
}

const NO_TRUST: Trust = { secureSchemeHeaders: new Map(), forwarderHeaders: new Set() };

// A peer on a unix socket has no address, and is trusted: only local processes can be one.
function trustOf(socket: BlockingSocket, rules: RequestRules): Trust {
  const isTrusted = socket.peer.port === null || rules.forwardedAllow.has(socket.peer.address);
  return isTrusted ? rules : NO_TRUST;
}

function parseFields(
  request: WsgiRequest,
  section: string,
  rules: RequestRules,
  trust: Trust,
  isTrailer = false,
): Field[] {
  const fields: Field[] = [];
  const lines = section.split('\r\n');
  const seen = new Set<string>();
  let hasScheme = false;
  for (let at = 0; at < lines.length; at++) {
    if (fields.length >= rules.limitFields)
      throw new RequestError('LimitRequestHeaders', 'limit request headers fields');
    const line = lines[at] ?? '';
    let length = line.length + 2;
    const colon = line.indexOf(':');
    if (colon <= 0) throw new RequestError('InvalidHeader', line);
    let name = line.slice(0, colon);
    if (rules.stripsHeaderSpaces) name = name.replace(/[ \t]+$/, '');
    if (!TOKEN.test(name)) throw new RequestError('InvalidHeaderName', name);
    name = name.toUpperCase();
    if (isTrailer && NO_TRAILER.has(name)) throw new RequestError('InvalidHeaderName', name);
    let value = strip(line.slice(colon + 1));
    while (/^[ \t]/.test(lines[at + 1] ?? '')) {
      if (!rules.permitsFolding) throw new RequestError('ObsoleteFolding', name);
      const folded = lines[++at] ?? '';
      length += folded.length + 2;
      if (length > rules.limitFieldBytes)
        throw new RequestError('LimitRequestHeaders', 'limit request headers fields size');
      value += ` ${strip(folded)}`;
    }
    if (VALUE_INVALID.test(value)) throw new RequestError('InvalidHeader', name);
    if (length > rules.limitFieldBytes)
      throw new RequestError('LimitRequestHeaders', 'limit request headers fields size');
    if (SINGLETON.has(name)) {
      if (seen.has(name)) throw new RequestError('InvalidHeader', name);
      seen.add(name);
    }
    if (name === 'EXPECT' && !isTrailer) {
      if (value.toLowerCase() !== '100-continue') throw new RequestError('ExpectationFailed', value);
      if (atLeast(request.version, 1, 1)) request.expectsContinue = true;
    }
    const secure = trust.secureSchemeHeaders.get(name);
    if (secure !== undefined) {
      const scheme = value === secure ? 'https' : 'http';
      if (hasScheme && scheme !== request.scheme) throw new RequestError('InvalidSchemeHeaders');
      hasScheme = true;
      request.scheme = scheme;
    }
    // A-B and A_B are one environ key: the second must not be able to stand in for the first.
    if (name.includes('_') && !trust.forwarderHeaders.has(name) && !trust.forwarderHeaders.has('*')) {
      if (rules.headerMap === 'drop') continue;
      if (rules.headerMap === 'refuse') throw new RequestError('InvalidHeaderName', name);
    }
    fields.push([name, value]);
  }
  return fields;
}

function strip(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '');
}

function bodyReader(request: WsgiRequest, socket: BlockingSocket, rules: RequestRules): BodyReader | null {
  let isChunked = false;
  let hasCoding = false;
  let length: string | null = null;
  for (const [name, value] of request.headers) {
    if (name === 'CONTENT-LENGTH') {
      if (length !== null) throw new RequestError('InvalidHeader', name);
      length = value;
    } else if (name === 'TRANSFER-ENCODING') {
      hasCoding = true;
      for (const coding of value.split(',').map((part) => strip(part).toLowerCase())) {
        const known = ['chunked', 'identity', 'compress', 'deflate', 'gzip'].includes(coding);
        if (!known) throw new RequestError('UnsupportedTransferCoding', value);
        if (isChunked) throw new RequestError('InvalidHeader', name);
        if (coding === 'chunked') isChunked = true;
        else if (coding !== 'identity') request.mustClose = true;
      }
    }
  }
  if (hasCoding && !isChunked) throw new RequestError('InvalidHeader', 'TRANSFER-ENCODING');
  if (isChunked) {
    // RFC 9112, section 6.1: chunked in HTTP/1.0, or beside Content-Length, is how requests are smuggled.
    if (!atLeast(request.version, 1, 1)) throw new RequestError('InvalidHeader', 'TRANSFER-ENCODING');
    if (length !== null) throw new RequestError('InvalidHeader', 'CONTENT-LENGTH');
    return new ChunkedReader(socket, { sizeLine: rules.limitFieldBytes, trailers: rules.limitHeadBytes }, (section) => {
      request.trailers = parseFields(request, section, rules, NO_TRUST, true);
    });
  }
  if (length === null) return null;
  if (!/^[0-9]+$/.test(length)) throw new RequestError('InvalidHeader', 'CONTENT-LENGTH');
  return new LengthReader(socket, Number(length));
}
