// The body of a request: where its bytes are while somebody needs them. It can be read whole (into memory up to
// client_body_buffer_size, then into a temporary file), streamed piece by piece (proxy_request_buffering off), or
// discarded. The downstream feeds it; the framing (Content-Length or chunked) is taken off here.
import { closeSync, mkdirSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { coreModule } from '../modules/core-rows.ts';
import { bodyTempPath } from '../modules/temp-paths.ts';
import { ChunkedDecoder } from './chunked.ts';
import type { Exchange } from './exchange.ts';

let fileNumber = 0;

/** How long a body's file lives: not at all (unlinked at once), until the request ends, or for good. */
type FileMode = 'off' | 'clean' | 'on';

/** Bytes kept in order: in memory, then in a temporary file. */
export class BodyStore {
  readonly chunks: Buffer[] = [];
  length = 0;
  #inMemory = 0;
  #fd = -1;
  #fileLength = 0;
  /** Name of the temporary file, once there is one (`$request_body_file`). */
  path: string | undefined;
  readonly #memoryLimit: number;
  readonly #directory: string;
  readonly #mode: FileMode;

  /** Beyond `memoryLimit` bytes everything goes to a file in `directory`; at once unless `mode` is off. */
  constructor(memoryLimit = Number.POSITIVE_INFINITY, directory = '', mode: FileMode = 'off') {
    this.#memoryLimit = memoryLimit;
    this.#directory = directory;
    this.#mode = mode;
  }

  /** Appends a piece. Throws system errors. */
  append(chunk: Buffer): void {
    this.length += chunk.length;
    if (this.#fd < 0 && this.#mode === 'off' && this.#inMemory + chunk.length <= this.#memoryLimit) {
      this.chunks.push(chunk);
      this.#inMemory += chunk.length;
      return;
    }
    this.#open();
    this.#toFile(chunk);
  }

  /** The body is whole: an empty one gets its file, too, where bodies are wanted in files. */
  complete(): void {
    if (this.#mode !== 'off') this.#open();
  }

  #open(): void {
    if (this.#fd >= 0) return;
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const path = `${this.#directory}/${String(++fileNumber).padStart(10, '0')}.${process.pid}`;
    this.#fd = openSync(path, 'wx+', 0o600);
    this.path = path;
    if (this.#mode === 'off') unlinkSync(path);
    for (const old of this.chunks) this.#toFile(old);
    this.chunks.length = 0;
    this.#inMemory = 0;
  }

  #toFile(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) at += writeSync(this.#fd, chunk, at, chunk.length - at, this.#fileLength + at);
    this.#fileLength += chunk.length;
  }

  get isInFile(): boolean {
    return this.#fd >= 0;
  }

  /** All bytes at once; for small bodies. */
  bytes(): Buffer {
    if (this.#fd < 0) return this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks);
    return this.slice(0, this.#fileLength);
  }

  /** Up to `size` bytes from `from`. */
  slice(from: number, size: number): Buffer {
    if (this.#fd < 0) return this.bytes().subarray(from, from + size);
    const out = Buffer.allocUnsafe(Math.min(size, this.#fileLength - from));
    const got = readSync(this.#fd, out, 0, out.length, from);
    return out.subarray(0, got);
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    if (this.#mode === 'clean' && this.path !== undefined) unlinkSync(this.path);
    // What is in memory stays: the access log may still show it.
  }
}

export interface BodyReader {
  onData(chunk: Buffer): void;
  /** `code`: 0 when complete, or the status the request ends with (400, 408, 413, 499, 500). */
  onEnd(code: number): void;
}

export class RequestBody {
  readonly #r: Exchange;
  readonly #decoder: ChunkedDecoder | undefined;
  /** Bytes of the body still to come; meaningful without chunked. */
  #left: number;
  #reader: BodyReader | undefined;
  isDiscarded = false;
  isComplete = false;
  /** Body bytes received, without framing. */
  received = 0;
  store: BodyStore | undefined;
  #isStarted = false;
  #failure = 0;
  /** Limit of `received` while it is read; 0: none. */
  #maxBytes = 0;

  constructor(r: Exchange, contentLength: number, isChunked: boolean) {
    this.#r = r;
    this.#decoder = isChunked && r.version < 2000 ? new ChunkedDecoder() : undefined;
    this.#left = isChunked ? Number.POSITIVE_INFINITY : Math.max(0, contentLength);
    if (!isChunked && this.#left === 0) this.isComplete = true;
  }

  /** Reads the whole body into `store`, then calls `done` with 0 or a status. */
  readAll(done: (code: number) => void): void {
    if (this.store) {
      done(0);
      return;
    }
    const conf = coreModule.location(this.#r.location);
    const store = new BodyStore(
      conf.client_body_buffer_size,
      bodyTempPath(this.#r.location),
      conf.client_body_in_file_only,
    );
    this.store = store;
    this.#r.onCleanup(() => store.close());
    const keep = (act: () => void): boolean => {
      try {
        act();
        return true;
      } catch (error) {
        this.#r.log(
          'crit',
          `writing the request body to "${bodyTempPath(this.#r.location)}" failed: ${(error as Error).message}`,
        );
        return false;
      }
    };
    this.stream({
      onData: (chunk) => {
        if (!keep(() => store.append(chunk))) this.fail(500);
      },
      onEnd: (code) => done(code === 0 && !keep(() => store.complete()) ? 500 : code),
    });
  }

  /** Hands the body on as it comes. */
  stream(reader: BodyReader): void {
    this.#reader = reader;
    if (this.isComplete) {
      this.#reader = undefined;
      reader.onEnd(0);
      return;
    }
    this.#start();
  }

  /** Reads and drops what is left of the body, so that the connection can go on. Returns 0, or the status that the
   *  request ends with when what is there already is broken. */
  discard(): number {
    if (!this.isDiscarded) {
      this.isDiscarded = true;
      this.#reader = undefined;
      if (!this.isComplete) this.#start();
    }
    return this.#failure;
  }

  #start(): void {
    this.#maxBytes = coreModule.location(this.#r.location).client_max_body_size;
    if (this.#isStarted) {
      this.#r.downstream.resumeBody();
      return;
    }
    this.#isStarted = true;
    this.#r.downstream.startBody(this.#r);
  }

  /** It could not be read to its end; where the next request begins is not known. */
  get isBroken(): boolean {
    return this.#failure !== 0;
  }

  get isStarted(): boolean {
    return this.#isStarted;
  }

  /** Takes wire bytes of `buf` from `at`; returns the index behind the last one that belongs to the body. */
  feed(buf: Buffer, at: number): number {
    if (this.#decoder) {
      const end = this.#decoder.feed(buf, at, (slice) => this.#push(slice));
      if (end < 0) {
        this.#r.log('error', 'client sent invalid chunked body');
        this.fail(400);
        return buf.length;
      }
      if (this.#decoder.isDone) this.complete();
      return end;
    }
    const take = Math.min(this.#left, buf.length - at);
    this.#left -= take;
    this.#push(at === 0 && take === buf.length ? buf : buf.subarray(at, at + take));
    if (this.#left === 0) this.complete();
    return at + take;
  }

  #push(slice: Buffer): void {
    if (slice.length === 0) return;
    // A chunk is judged by what its size announces, not when too much of it has come.
    const more = Math.max(slice.length, this.#decoder?.left ?? 0);
    if (this.#maxBytes > 0 && this.received + more > this.#maxBytes && !this.isDiscarded) {
      this.#r.log('error', `client intended to send too large chunked body: ${this.received}+${more} bytes`);
      this.fail(413);
      return;
    }
    this.received += slice.length;
    this.#reader?.onData(slice);
  }

  /** The last byte came. */
  complete(): void {
    if (this.isComplete) return;
    this.isComplete = true;
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.onEnd(0);
  }

  /** The body cannot be had: broken framing (400), too large (413), time-out (408), client gone (499). */
  fail(code: number): void {
    const reader = this.#reader;
    this.#reader = undefined;
    this.isDiscarded = true;
    this.#failure = code;
    if (code === 400) this.#r.isKeepalive = false;
    reader?.onEnd(code);
  }
}
