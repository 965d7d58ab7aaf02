// Reads the responses of an HTTP/1.1 connection as bytes arrive: status, the few header fields that matter, and where the
// body ends (length, chunked, or the connection's end). It is the hot path of the generator, so a response that comes in one
// piece costs one string and no copy. Strict where framing depends on it; anything odd is a ProtocolError.
import { ProtocolError } from './failure.ts';

const MAX_HEAD_BYTES = 256 * 1024;
/** Of the bodies of errors, so much is kept to tell who made them. */
const KEPT_BODY_BYTES = 1024;

const STATE = { head: 0, length: 1, chunkSize: 2, chunkData: 3, chunkEnd: 4, trailer: 5, untilEnd: 6 } as const;
type State = (typeof STATE)[keyof typeof STATE];

/** What a head says of its body and its connection. */
interface Framing {
  readonly head: string;
  readonly status: number;
  readonly isReusable: boolean;
  /** Bytes of the body, or one of the two below. */
  readonly length: number;
}

const CHUNKED = -1;
const UNTIL_END = -2;

let lastFraming: Framing = { head: '', status: 0, isReusable: false, length: 0 };

function framingOf(head: string): Framing {
  const digit = (at: number): number => head.charCodeAt(at) - 48;
  const status = digit(9) * 100 + digit(10) * 10 + digit(11);
  if (!head.startsWith('HTTP/1.') || !(status >= 100 && status <= 999)) {
    throw new ProtocolError(`not a response: ${JSON.stringify(head.slice(0, 40))}`);
  }
  const connection = field(head, 'connection');
  const isReusable = digit(7) === 1 ? !/close/i.test(connection) : /keep-alive/i.test(connection);
  if (/chunked/i.test(field(head, 'transfer-encoding'))) return { head, status, isReusable, length: CHUNKED };
  const length = field(head, 'content-length');
  if (length === '') return { head, status, isReusable, length: UNTIL_END };
  if (!/^\d+$/.test(length)) throw new ProtocolError(`Content-Length is ${JSON.stringify(length)}`);
  return { head, status, isReusable, length: Number(length) };
}

export class ResponseReader {
  status = 0;
  /** Header text, from the status line on, of the last response. */
  head = '';
  /** Whether the connection can carry another request after this response. */
  isReusable = false;
  hasHead = false;
  /** The start of the body of an answer of 500 and above. */
  bodyStart = '';
  #state: State = STATE.head;
  #pending: Buffer | undefined;
  #left = 0;
  #line = '';
  #hasBody = true;
  #isWithoutBody = false;

  /** Gets ready for the response to a request. */
  expect(hasResponseBody: boolean): void {
    this.#hasBody = hasResponseBody;
    this.#state = STATE.head;
    this.#pending = undefined;
    this.hasHead = false;
    this.bodyStart = '';
  }

  /** Takes bytes; true when the response is complete. Throws ProtocolError. */
  feed(chunk: Buffer): boolean {
    let data = chunk;
    let at = 0;
    if (this.#state === STATE.head) {
      if (this.#pending !== undefined) {
        data = Buffer.concat([this.#pending, chunk]);
        this.#pending = undefined;
      }
      for (;;) {
        const end = data.indexOf('\r\n\r\n', at, 'latin1');
        if (end === -1) {
          if (data.length - at > MAX_HEAD_BYTES) throw new ProtocolError('the response head does not end');
          // A copy: the buffer that we were given is used again.
          this.#pending = Buffer.from(data.subarray(at));
          return false;
        }
        this.#readHead(data.toString('latin1', at, end + 2));
        at = end + 4;
        if (this.status >= 200 || this.status === 101) break;
      }
      this.hasHead = true;
      if (this.#isWithoutBody) return this.#complete(data.length === at);
    }
    return this.#readBody(data, at);
  }

  /** The connection has ended; true when that completes the response. */
  end(): boolean {
    return this.hasHead && this.#state === STATE.untilEnd;
  }

  #complete(isAllRead: boolean): true {
    // Bytes beyond the response: whatever they are, nothing that we asked for.
    if (!isAllRead) this.isReusable = false;
    return true;
  }

  #readHead(head: string): void {
    // A server that is loaded says the same again and again: within a second not even its Date differs.
    const framing = head === lastFraming.head ? lastFraming : framingOf(head);
    lastFraming = framing;
    const { status, length } = framing;
    this.status = status;
    this.head = head;
    this.isReusable = framing.isReusable;
    this.#isWithoutBody = !this.#hasBody || status === 204 || status === 304 || status < 200 || length === 0;
    if (this.#isWithoutBody) return;
    this.#line = '';
    if (length === CHUNKED) this.#state = STATE.chunkSize;
    else if (length === UNTIL_END) {
      this.#state = STATE.untilEnd;
      this.isReusable = false;
    } else {
      this.#state = STATE.length;
      this.#left = length;
    }
  }

  #readBody(data: Buffer, from: number): boolean {
    let at = from;
    while (at < data.length) {
      switch (this.#state) {
        case STATE.length: {
          const take = Math.min(this.#left, data.length - at);
          this.#keep(data, at, take);
          at += take;
          this.#left -= take;
          if (this.#left === 0) return this.#complete(at === data.length);
          break;
        }
        case STATE.untilEnd:
          this.#keep(data, at, data.length - at);
          return false;
        case STATE.chunkData: {
          const take = Math.min(this.#left, data.length - at);
          this.#keep(data, at, take);
          at += take;
          this.#left -= take;
          if (this.#left === 0) this.#state = STATE.chunkEnd;
          break;
        }
        default: {
          // A line: a chunk's size, the end of its data, or a trailer.
          const end = data.indexOf(10, at);
          this.#line += data.toString('latin1', at, end === -1 ? data.length : end);
          if (this.#line.length > 8192) throw new ProtocolError('a chunk line does not end');
          if (end === -1) return false;
          at = end + 1;
          const line = this.#line.endsWith('\r') ? this.#line.slice(0, -1) : this.#line;
          this.#line = '';
          if (this.#readLine(line)) return this.#complete(at === data.length);
        }
      }
    }
    return false;
  }

  #readLine(line: string): boolean {
    if (this.#state === STATE.chunkEnd) {
      if (line !== '') throw new ProtocolError('a chunk is longer than it says');
      this.#state = STATE.chunkSize;
      return false;
    }
    if (this.#state === STATE.trailer) return line === '';
    const size = /^([0-9a-f]{1,12})[ \t]*(?:;.*)?$/i.exec(line)?.[1];
    if (size === undefined) throw new ProtocolError(`a chunk's size is ${JSON.stringify(line.slice(0, 40))}`);
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left === 0 ? STATE.trailer : STATE.chunkData;
    return false;
  }

  #keep(data: Buffer, at: number, length: number): void {
    if (this.status >= 500 && this.bodyStart.length < KEPT_BODY_BYTES) {
      this.bodyStart += data.toString('latin1', at, at + Math.min(length, KEPT_BODY_BYTES));
    }
  }
}

const PATTERNS = new Map<string, RegExp>();

/** A header field's value, '' when it is absent; several fields are joined by commas. */
export function field(head: string, name: string): string {
  let pattern = PATTERNS.get(name);
  if (pattern === undefined) {
    pattern = new RegExp(`\\r\\n${name}:[ \\t]*([^\\r\\n]*?)[ \\t]*\\r\\n`, 'ig');
    PATTERNS.set(name, pattern);
  }
  pattern.lastIndex = 0;
  const first = pattern.exec(head);
  if (first === null) return '';
  let value = first[1]!;
  // Two fields share a line end, so the search goes on from it.
  for (pattern.lastIndex -= 2; ; pattern.lastIndex -= 2) {
    const next = pattern.exec(head);
    if (next === null) return value;
    value += `, ${next[1]!}`;
  }
}
