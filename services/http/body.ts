/**
 * The body of a request on the WSGI side, read from the blocking socket as the application asks for it: by Content-Length, by chunks
 * (strict, trailers included), or empty. Also wsgi.input, the file-like object of PEP 3333, on top of it.
 */
import type { WsgiInput } from '../wsgi.ts';
import type { BlockingSocket } from './blocking-socket.ts';
import { ClientGone, RequestError } from './errors.ts';

const EMPTY: Buffer = Buffer.alloc(0);

/** Gives the next bytes of a body, an empty buffer at its end. */
export interface BodyReader {
  next(): Buffer;
}

/** A body of a known length; ends early when the client does. */
export class LengthReader implements BodyReader {
  #left: number;
  readonly #socket: BlockingSocket;

  constructor(socket: BlockingSocket, length: number) {
    this.#socket = socket;
    this.#left = length;
  }

  next(): Buffer {
    if (this.#left === 0) return EMPTY;
    const bytes = this.#socket.read();
    if (bytes.length > this.#left) {
      this.#socket.unread(bytes.subarray(this.#left));
      const last = bytes.subarray(0, this.#left);
      this.#left = 0;
      return last;
    }
    this.#left = bytes.length === 0 ? 0 : this.#left - bytes.length;
    return bytes;
  }
}

// RFC 9112, section 7.1.1: everything from the first semicolon of a chunk size line.
const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const QUOTED = '"(?:[\\t !#-\\[\\]-~\\x80-\\xff]|\\\\[\\t -~\\x80-\\xff])*"';
const EXTENSIONS = new RegExp(`^(?:[ \\t]*;[ \\t]*${TOKEN}(?:[ \\t]*=[ \\t]*(?:${TOKEN}|${QUOTED}))?)*$`);

/** How long the parts of a chunked body that are not data may be, in bytes. */
export interface ChunkLimits {
  readonly sizeLine: number;
  readonly trailers: number;
}

/** A chunked body (RFC 9112, section 7.1). `onTrailers` gets the raw trailer section without its last CRLF, when there is one. */
export class ChunkedReader implements BodyReader {
  #left = 0;
  #isFirst = true;
  #isDone = false;
  readonly #socket: BlockingSocket;
  readonly #onTrailers: (section: string) => void;
  readonly #limits: ChunkLimits;

  constructor(socket: BlockingSocket, limits: ChunkLimits, onTrailers: (section: string) => void) {
    this.#socket = socket;
    this.#limits = limits;
    this.#onTrailers = onTrailers;
  }

  next(): Buffer {
    if (this.#isDone) return EMPTY;
    if (this.#left === 0) {
      if (!this.#isFirst) this.#terminator();
      this.#isFirst = false;
      this.#left = this.#size();
      if (this.#left === 0) {
        this.#isDone = true;
        this.#trailers();
        return EMPTY;
      }
    }
    const bytes = this.#read();
    if (bytes.length <= this.#left) {
      this.#left -= bytes.length;
      return bytes;
    }
    this.#socket.unread(bytes.subarray(this.#left));
    const part = bytes.subarray(0, this.#left);
    this.#left = 0;
    return part;
  }

  #read(): Buffer {
    const bytes = this.#socket.read();
    if (bytes.length === 0) throw new ClientGone('No more data');
    return bytes;
  }

  #terminator(): void {
    let bytes = this.#socket.read();
    while (bytes.length < 2) {
      const more = this.#socket.read();
      if (more.length === 0) break;
      bytes = Buffer.concat([bytes, more]);
    }
    if (bytes[0] !== 13 || bytes[1] !== 10) {
      throw new RequestError('ChunkMissingTerminator', bytes.subarray(0, 2).toString('latin1'));
    }
    this.#socket.unread(bytes.subarray(2));
  }

  #size(): number {
    let bytes = this.#read();
    let end = bytes.indexOf('\r\n');
    while (end < 0) {
      if (bytes.length > this.#limits.sizeLine) {
        throw new RequestError('InvalidChunkSize', `line over ${this.#limits.sizeLine} bytes with no terminator`);
      }
      bytes = Buffer.concat([bytes, this.#read()]);
      end = bytes.indexOf('\r\n');
    }
    this.#socket.unread(bytes.subarray(end + 2));
    const line = bytes.toString('latin1', 0, end);
    const semicolon = line.indexOf(';');
    let digits = line;
    if (semicolon >= 0) {
      if (line.includes('\r', semicolon)) throw new RequestError('InvalidChunkExtension', 'bare CR not allowed');
      digits = line.slice(0, semicolon).replace(/[ \t]+$/, '');
    }
    if (!/^[0-9a-fA-F]+$/.test(digits)) throw new RequestError('InvalidChunkSize', digits);
    if (semicolon >= 0 && !EXTENSIONS.test(line.slice(semicolon))) {
      throw new RequestError('InvalidChunkExtension', 'invalid chunk extension');
    }
    return Number.parseInt(digits, 16);
  }

  #trailers(): void {
    let bytes: Buffer = EMPTY;
    for (;;) {
      if (bytes.length >= 2 && bytes[0] === 13 && bytes[1] === 10) {
        this.#socket.unread(bytes.subarray(2));
        return;
      }
      const end = bytes.indexOf('\r\n\r\n');
      if (end >= 0) {
        this.#onTrailers(bytes.toString('latin1', 0, end));
        this.#socket.unread(bytes.subarray(end + 4));
        return;
      }
      if (bytes.length > this.#limits.trailers) {
        throw new RequestError('LimitRequestHeaders', 'limit request trailer section size');
      }
      if (/(?<!\r)\n/.test(bytes.toString('latin1')))
        throw new RequestError('InvalidHeader', 'bare LF as line terminator');
      const more = this.#socket.read();
      if (more.length === 0) throw new RequestError('ChunkMissingTerminator', '');
      bytes = Buffer.concat([bytes, more]);
    }
  }
}

/** wsgi.input over a reader: read, readline, readlines and iteration by line, as PEP 3333 wants them. */
export class RequestBody implements WsgiInput {
  #buffered: Buffer = EMPTY;
  readonly #reader: BodyReader | null;

  constructor(reader: BodyReader | null) {
    this.#reader = reader;
  }

  read(size?: number): Buffer {
    const want = size === undefined || size < 0 ? Number.POSITIVE_INFINITY : size;
    const parts = [this.#buffered];
    let have = this.#buffered.length;
    while (have < want) {
      const more = this.#reader?.next() ?? EMPTY;
      if (more.length === 0) break;
      parts.push(more);
      have += more.length;
    }
    return this.#take(parts.length === 1 ? this.#buffered : Buffer.concat(parts), want);
  }

  readline(size?: number): Buffer {
    const limit = size === undefined || size < 0 ? Number.POSITIVE_INFINITY : size;
    let bytes = this.#buffered;
    for (;;) {
      const end = bytes.indexOf(10);
      if (end >= 0 && end < limit) return this.#take(bytes, end + 1);
      if (bytes.length >= limit) return this.#take(bytes, limit);
      const more = this.#reader?.next() ?? EMPTY;
      if (more.length === 0) return this.#take(bytes, bytes.length);
      bytes = Buffer.concat([bytes, more]);
    }
  }

  readlines(): Buffer[] {
    return [...this];
  }

  *[Symbol.iterator](): Iterator<Buffer> {
    for (let line = this.readline(); line.length > 0; line = this.readline()) yield line;
  }

  /**
   * Reads and drops what the application left unread, up to `limitBytes`: the next request begins after it. False means that there
   * was more, and the connection must close.
   */
  drain(limitBytes: number): boolean {
    let dropped = this.#buffered.length;
    this.#buffered = EMPTY;
    for (;;) {
      const more = this.#reader?.next() ?? EMPTY;
      if (more.length === 0) return true;
      dropped += more.length;
      if (dropped >= limitBytes) return false;
    }
  }

  #take(bytes: Buffer, want: number): Buffer {
    this.#buffered = bytes.length > want ? bytes.subarray(want) : EMPTY;
    return bytes.length > want ? bytes.subarray(0, want) : bytes;
  }
}
