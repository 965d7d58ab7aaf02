// The way of a response's body from the upstream's connection to the client. Buffered (proxy_buffering on), it is read
// in buffers of the configured sizes: a buffer that is not full is held back until it is, or until all that is still
// wanted is there; what a slow client does not take waits in memory, then in a temporary file, then upstream.
// Unbuffered, every piece is passed on as it comes. Mirrors ngx_event_pipe.c.
import { errnoText } from '../config/error.ts';
import type { Exchange } from '../http/exchange.ts';
import type { BodyProgress, ResponseBody } from './response-body.ts';
import type { UpstreamSettings } from './settings.ts';
import { TempFile } from './temp-file.ts';

/** Pieces up to this size travel as strings, which join the head in one write. */
const STRING_BYTES = 4096;
/** How much of the temporary file is read at once. */
const FILE_READ_BYTES = 32_768;

export class ResponsePipe {
  readonly #r: Exchange;
  readonly #settings: UpstreamSettings;
  readonly #body: ResponseBody;
  readonly #isBuffering: boolean;
  /** Room left in the buffer that is being read into. */
  #room: number;
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** Output that the client has not taken yet, behind what is in the file. */
  #queue: Buffer[] = [];
  #queueBytes = 0;
  #file: TempFile | undefined;
  #isBackedUp = false;
  /** Gets a copy of everything (the cache). */
  copyTo: { write(bytes: Buffer, from: number, to: number): void } | undefined;
  #isDiscarding = false;
  /** Parts of the body that the bytes at hand contain. */
  readonly #slices: { bytes: Buffer; from: number; to: number }[] = [];
  readonly #emit = (bytes: Buffer, from: number, to: number): void => {
    if (to === from) return;
    this.copyTo?.write(bytes, from, to);
    if (!this.#isDiscarding) this.#slices.push({ bytes, from, to });
  };

  constructor(r: Exchange, settings: UpstreamSettings, body: ResponseBody, isBuffering: boolean, headBytes: number) {
    this.#r = r;
    this.#settings = settings;
    this.#body = body;
    this.#isBuffering = isBuffering;
    this.#room = Math.max(0, settings.bufferSizeBytes - headBytes);
  }

  /** Output waits for the client. */
  get isPending(): boolean {
    return this.#queueBytes > 0 || (this.#file !== undefined && !this.#file.isEmpty);
  }

  /** No room is left to read more of the response into. */
  get isFull(): boolean {
    if (!this.#isBuffering) return this.isPending;
    const { buffersNumber, buffersSizeBytes, maxTempFileBytes } = this.#settings;
    if (this.#queueBytes < buffersNumber * buffersSizeBytes) return false;
    return (this.#file?.offset ?? 0) >= maxTempFileBytes;
  }

  /** Takes bytes from the connection. What they hold of the body goes on as one piece, unless it cannot be read. */
  feed(bytes: Buffer, at: number, end: number): BodyProgress {
    const isBuffered = this.#isBuffering && !this.#body.isDone;
    const progress = isBuffered ? this.#feedBuffers(bytes, at, end) : this.#body.feed(bytes, at, end, this.#emit);
    if (progress === 'broken') this.#slices.length = 0;
    else this.#output();
    return progress;
  }

  #feedBuffers(bytes: Buffer, at: number, end: number): BodyProgress {
    let from = at;
    let full = 0;
    let room = this.#room;
    // Full buffers go on; the last one that got some bytes is looked at below.
    while (end - from - full >= room) {
      full += room;
      room = this.#settings.buffersSizeBytes;
    }
    if (full > 0 || this.#room === 0) {
      this.#room = room;
      const progress = this.#release(bytes, from, from + full);
      from += full;
      if (progress !== 'more') {
        if (from < end) this.#body.feed(bytes, from, end, this.#emit);
        return progress;
      }
    }
    const rest = end - from;
    if (rest === 0) return 'more';
    const { wanted } = this.#body;
    if (wanted >= 0 && this.#heldBytes + rest >= wanted) {
      this.#room = this.#settings.buffersSizeBytes;
      return this.#release(bytes, from, end);
    }
    this.#room -= rest;
    this.#held.push(Buffer.from(bytes.subarray(from, end)));
    this.#heldBytes += rest;
    return 'more';
  }

  /** Passes on what was held, then the bytes given. */
  #release(bytes: Buffer, from: number, to: number): BodyProgress {
    if (this.#heldBytes > 0) {
      const held = this.#held;
      this.#held = [];
      this.#heldBytes = 0;
      for (const piece of held) {
        const progress = this.#body.feed(piece, 0, piece.length, this.#emit);
        if (progress === 'broken') return progress;
      }
    }
    return this.#body.feed(bytes, from, to, this.#emit);
  }

  /** The connection has ended: what is held goes on. */
  finish(): BodyProgress {
    const progress = this.#release(EMPTY, 0, 0);
    if (progress === 'broken') this.#slices.length = 0;
    else this.#output();
    return progress;
  }

  /** Writes the slices found by one `feed`, or keeps them for a client that is behind. */
  #output(): void {
    const slices = this.#slices;
    if (slices.length === 0) return;
    let total = 0;
    for (const { from, to } of slices) total += to - from;
    const mayWrite = !this.#isBackedUp && !this.isPending;
    // The bytes lie in a buffer that is read into again: they are copied, as a string when they are few.
    let piece: Buffer | string;
    if (mayWrite && total <= STRING_BYTES) {
      piece = '';
      for (const { bytes, from, to } of slices) piece += bytes.toString('latin1', from, to);
    } else {
      piece = Buffer.allocUnsafeSlow(total);
      let at = 0;
      for (const { bytes, from, to } of slices) at += bytes.copy(piece, at, from, to);
    }
    slices.length = 0;
    if (mayWrite) this.#isBackedUp = !this.#r.write(piece);
    else this.#keep(piece as Buffer);
  }

  #keep(piece: Buffer): void {
    this.#queue.push(piece);
    this.#queueBytes += piece.length;
    if (!this.#isBuffering) return;
    const { buffersNumber, buffersSizeBytes, maxTempFileBytes } = this.#settings;
    if (this.#queueBytes < buffersNumber * buffersSizeBytes) return;
    if ((this.#file?.offset ?? 0) >= maxTempFileBytes) return;
    this.#spill();
  }

  #spill(): void {
    try {
      if (!this.#file) {
        this.#file = new TempFile(this.#settings.tempPath);
        this.#r.log(
          'warn',
          `an upstream response is buffered to a temporary file ${this.#file.name} while reading upstream`,
        );
      }
      for (const piece of this.#queue) this.#file.append(piece);
      this.#queue.length = 0;
      this.#queueBytes = 0;
    } catch (error) {
      // The disk is full or closed to us: the memory's limit now holds the upstream back.
      this.#r.log('crit', `writing a temporary file failed ${errnoText(error)} while reading upstream`);
    }
  }

  /** The client takes more: true when nothing waits any longer. */
  drain(): boolean {
    this.#isBackedUp = false;
    while (!this.#isBackedUp) {
      let piece: Buffer | undefined;
      if (this.#file && !this.#file.isEmpty) piece = this.#file.take(FILE_READ_BYTES);
      else {
        piece = this.#queue.shift();
        if (!piece) return true;
        this.#queueBytes -= piece.length;
      }
      this.#isBackedUp = !this.#r.write(piece);
    }
    return !this.isPending;
  }

  /** Nobody takes the output any longer. */
  discard(): void {
    this.#isDiscarding = true;
    this.#isBackedUp = false;
    this.close();
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
    this.#queue.length = 0;
    this.#queueBytes = 0;
  }
}

const EMPTY = Buffer.alloc(0);
