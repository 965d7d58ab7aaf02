/**
 * HTTP/1.x requests from a stream of bytes, for the ASGI side: the first stop of a request after the socket. Strict as llhttp is in
 * Uvicorn's default protocol: CRLF only, known methods, no folding, no ambiguous framing. Anything else is one error, answered with 400.
 * Bytes may come in any pieces; several requests may come in one.
 */

/** A request that cannot be parsed; what exactly was wrong is for the log only. */
export class InvalidRequest extends Error {
  override readonly name = 'InvalidRequest';
  /** The same in the words of Gunicorn's parser, which tells the client. */
  readonly text: string;

  constructor(message: string, text = message) {
    super(message);
    this.text = text;
  }
}

/** A parsed head. Names are in lower case; values hold one byte a character. */
export interface RequestHead {
  readonly method: string;
  readonly target: string;
  /** `1.1` or `1.0`; `0.9` and `2.0` are taken as well, as llhttp takes them. */
  readonly version: string;
  /** Whether version and Connection let the connection be used again. */
  readonly keepsAlive: boolean;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The client asks for another protocol; what follows the head is not HTTP when that is granted. */
  readonly isUpgrade: boolean;
}

/** Where parsed parts go. onHead may return true to take the connection over: nothing is parsed after it. */
export interface RequestHandler {
  onHead(head: RequestHead, rest: () => Buffer): boolean;
  onBody(bytes: Buffer): void;
  /** Fields that came after a chunked body. */
  onTrailers(fields: readonly (readonly [name: string, value: string])[]): void;
  onComplete(): void;
}

const MAX_HEAD_BYTES = 1 << 20;
const METHODS = new Set(
  (
    'DELETE GET HEAD POST PUT CONNECT OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND REBIND UNBIND ACL ' +
    'REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PATCH PURGE MKCALENDAR LINK UNLINK SOURCE QUERY'
  ).split(' '),
);
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-zA-Z]+$/;
const BAD_VALUE = /[\x00-\x08\x0a-\x1f\x7f]/;
// origin-form, asterisk-form, or absolute-form with a host and a path; what else a target may be, no application can route.
const TARGET =
  /^(?:\/|\*|[a-zA-Z]+:\/\/(?:[\w.~%!$&'()*+,;=:-]*@)?(?:[a-zA-Z\d.-]+|\[[\da-fA-F:.]+\])(?::\d+)?\/)[\x21-\x7e]*$/;
const MAX_TARGET_BYTES = 65535;
// What such a line can begin with, its CR included.
const CHUNK_SIZE_START = /^[0-9a-fA-F]+(?:;[^\n\r]*)?\r?$/;
const CHUNK_SIZE_LINE =
  /^(0*[0-9a-fA-F]{1,15})(?:;[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:=(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\.)*"))?)*$/;

/** llhttp counts in 64 bits. */
const LENGTH_OVERFLOW = 2n ** 64n;
/** A CR without LF, or LF without CR. */
const BARE = /\r[^\n]|(?<!\r)\n/;

const BAD_LINE = 'Invalid request line';
const BAD_CHUNK = 'Invalid character in chunk size';
const BARE_LF = 'Bare LF as line terminator, CRLF required (RFC 9112 section 2.2)';
const BAD_LENGTH = 'Invalid Content-Length value';
const TWO_LENGTHS = 'Duplicate Content-Length header';
const BOTH_LENGTHS = 'Content-Length with Transfer-Encoding';

const HEAD = 0;
const LENGTH_BODY = 1;
const CHUNK_SIZE = 2;
const CHUNK_DATA = 3;
const CHUNK_END = 4;
const TRAILERS = 5;
const IGNORED = 6;

/** The parser of one connection. feed() throws InvalidRequest once; after that nothing more may be fed. */
export class RequestParser {
  #state = HEAD;
  #pending: Buffer | null = null;
  #left = 0;
  #closes = false;
  readonly #handler: RequestHandler;

  constructor(handler: RequestHandler) {
    this.#handler = handler;
  }

  feed(chunk: Buffer): void {
    let bytes = this.#pending ? Buffer.concat([this.#pending, chunk]) : chunk;
    this.#pending = null;
    while (bytes.length > 0) {
      const rest = this.#step(bytes);
      if (rest === null) {
        this.#pending = bytes;
        if (bytes.length > MAX_HEAD_BYTES) throw new InvalidRequest('head too large');
        return;
      }
      bytes = rest;
    }
  }

  /** Takes one part off the bytes and gives what follows it; null when the part is not whole yet. */
  #step(bytes: Buffer): Buffer | null {
    switch (this.#state) {
      case HEAD:
        return this.#head(bytes);
      case LENGTH_BODY:
      case CHUNK_DATA:
        return this.#data(bytes);
      case CHUNK_SIZE:
        return this.#chunkSize(bytes);
      case CHUNK_END:
        if (bytes.length < 2) return null;
        if (bytes[0] !== 13 || bytes[1] !== 10) throw new InvalidRequest('chunk not terminated');
        this.#state = CHUNK_SIZE;
        return bytes.subarray(2);
      case TRAILERS:
        return this.#trailers(bytes);
      default:
        return bytes.subarray(bytes.length);
    }
  }

  #head(bytes: Buffer): Buffer | null {
    let start = 0;
    while (bytes[start] === 13 || bytes[start] === 10) start++;
    if (start > 0) return bytes.subarray(start);
    const end = bytes.indexOf('\r\n\r\n');
    if (end < 0) {
      checkPartial(bytes);
      return null;
    }
    const text = bytes.toString('latin1', 0, end);
    const head = parseHead(text);
    const rest = bytes.subarray(end + 4);
    const framing = bodyFraming(head.headers);
    this.#closes = !head.keepsAlive;
    this.#state = framing.isChunked ? CHUNK_SIZE : framing.length > 0 ? LENGTH_BODY : HEAD;
    this.#left = framing.length;
    if (this.#handler.onHead(head, () => rest)) {
      this.#state = IGNORED;
      return rest.subarray(rest.length);
    }
    if (this.#state === HEAD) this.#complete();
    return rest;
  }

  #complete(): void {
    // What follows a request that closes the connection is not looked at.
    this.#state = this.#closes ? IGNORED : HEAD;
    this.#handler.onComplete();
  }

  #data(bytes: Buffer): Buffer {
    const part = bytes.subarray(0, this.#left);
    this.#left -= part.length;
    this.#handler.onBody(part);
    if (this.#left === 0) {
      if (this.#state === CHUNK_DATA) this.#state = CHUNK_END;
      else this.#complete();
    }
    return bytes.subarray(part.length);
  }

  #chunkSize(bytes: Buffer): Buffer | null {
    const end = bytes.indexOf('\r\n');
    if (end < 0) {
      if (!CHUNK_SIZE_START.test(bytes.toString('latin1', 0, Math.min(bytes.length, 1024))))
        throw new InvalidRequest('invalid chunk size', BAD_CHUNK);
      if (bytes.length > 4096) throw new InvalidRequest('chunk size too long');
      return null;
    }
    const size = CHUNK_SIZE_LINE.exec(bytes.toString('latin1', 0, end))?.[1];
    if (size === undefined) throw new InvalidRequest('invalid chunk size', BAD_CHUNK);
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left === 0 ? TRAILERS : CHUNK_DATA;
    return bytes.subarray(end + 2);
  }

  #trailers(bytes: Buffer): Buffer | null {
    if (bytes.length < 2) return null;
    if (bytes[0] === 13 && bytes[1] === 10) {
      this.#complete();
      return bytes.subarray(2);
    }
    const end = bytes.indexOf('\r\n\r\n');
    if (end < 0) return null;
    const fields = bytes.toString('latin1', 0, end).split('\r\n').map(parseField);
    if (fields.some(([name]) => name === 'content-length' || name === 'transfer-encoding')) {
      throw new InvalidRequest('framing in a trailer');
    }
    this.#handler.onTrailers(fields);
    this.#complete();
    return bytes.subarray(end + 4);
  }
}

// What can never become part of a good head is refused without waiting for the rest of it.
function checkPartial(bytes: Buffer): void {
  const newline = bytes.indexOf(10);
  if (BARE.test(bytes.toString('latin1'))) throw new InvalidRequest('bare CR or LF', BARE_LF);
  if (newline > 0) {
    parseRequestLine(bytes.toString('latin1', 0, newline - 1));
    return;
  }
  const start = bytes.toString('latin1', 0, Math.min(bytes.length, 20));
  const space = start.indexOf(' ');
  if (space >= 0 ? !METHODS.has(start.slice(0, space)) : !/^[A-Z-]{1,11}$/.test(start))
    throw new InvalidRequest('invalid method', space < 0 ? BAD_LINE : start.slice(0, space));
}

interface RequestLine {
  readonly method: string;
  readonly target: string;
  readonly version: string;
}

function parseRequestLine(line: string): RequestLine {
  const [, method = '', target = '', protocol] = /^(\S+) +(\S+)(?: +(.*))?$/.exec(line) ?? [];
  // A line that ends after its target is HTTP/0.9.
  const version = protocol === undefined ? '0.9' : /^HTTP\/(0\.9|1\.[01]|2\.0)$/.exec(protocol)?.[1];
  if (!METHODS.has(method) || version === undefined) {
    const isLine = protocol !== undefined;
    throw new InvalidRequest('invalid request line', isLine ? (METHODS.has(method) ? protocol : method) : BAD_LINE);
  }
  if (target.length > MAX_TARGET_BYTES || !TARGET.test(target)) throw new InvalidRequest('invalid request target');
  return { method, target, version };
}

function parseHead(text: string): RequestHead {
  const lines = text.split('\r\n');
  const line = parseRequestLine(lines[0] ?? '');
  const headers: [string, string][] = [];
  for (let at = 1; at < lines.length; at++) headers.push(parseField(lines[at] ?? ''));
  const connection = headers
    .filter(([name]) => name === 'connection')
    .flatMap(([, value]) => value.toLowerCase().split(','));
  const tokens = connection.map((token) => token.trim());
  const keepsAlive = line.version === '1.1' ? !tokens.includes('close') : tokens.includes('keep-alive');
  const isUpgrade = tokens.includes('upgrade') && headers.some(([name]) => name === 'upgrade');
  return { ...line, headers, keepsAlive, isUpgrade };
}

function parseField(line: string): [string, string] {
  const colon = line.indexOf(':');
  const name = line.slice(0, colon);
  if (colon <= 0 || !NAME.test(name)) throw new InvalidRequest('invalid header name', name);
  let start = colon + 1;
  while (line[start] === ' ' || line[start] === '\t') start++;
  // Space at the end stays, as llhttp leaves it.
  const value = line.slice(start);
  if (BAD_VALUE.test(value)) throw new InvalidRequest('invalid header value');
  return [name.toLowerCase(), value];
}

function bodyFraming(headers: RequestHead['headers']): { readonly isChunked: boolean; readonly length: number } {
  let length: string | null = null;
  const codings: string[] = [];
  for (const [name, value] of headers) {
    if (name === 'content-length') {
      const digits = /^(\d+)[ \t]*$/.exec(value)?.[1];
      if (length !== null || digits === undefined || BigInt(digits) >= LENGTH_OVERFLOW) {
        throw new InvalidRequest('invalid Content-Length', length === null ? BAD_LENGTH : TWO_LENGTHS);
      }
      length = digits;
    } else if (name === 'transfer-encoding')
      // Not trim(): what else it takes for space, behind the coding, makes another coding.
      codings.push(...value.split(',').map((coding) => coding.replace(/^[ \t]+| +$/g, '').toLowerCase()));
  }
  if (codings.length === 0) return { isChunked: false, length: Number(length ?? 0) };
  if (length !== null) throw new InvalidRequest('Content-Length beside Transfer-Encoding', BOTH_LENGTHS);
  if (codings.indexOf('chunked') !== codings.length - 1) {
    throw new InvalidRequest('chunked is not the last coding', 'Transfer-Encoding does not end with chunked');
  }
  return { isChunked: true, length: 0 };
}
