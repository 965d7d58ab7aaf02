// A body filter around a zlib stream, for gzip and gunzip. What is small and complete is done in one call; the rest goes
// through Node's stream, whose work is done on other threads, and the producer waits when it falls behind.

import type { Transform } from 'node:stream';
import { constants, type Zlib } from 'node:zlib';
import { ERROR } from './codes.ts';
import type { Exchange } from './exchange.ts';
import type { BodyFilter } from './filters.ts';

export interface ZlibWork {
  /** Does a whole body at once; undefined: always by stream. */
  readonly whole: ((body: Buffer) => Buffer) | undefined;
  readonly stream: () => Transform & Zlib;
  /** What the log says when it fails. */
  readonly failure: (error: unknown) => string;
}

/** Bodies up to this size are kept until they are complete, and done at once. */
const WHOLE_BYTES = 65_536;

export class ZlibFilter implements BodyFilter {
  declare next: BodyFilter;
  readonly #r: Exchange;
  readonly #work: ZlibWork;
  #kept: Buffer[] = [];
  #stream: (Transform & Zlib) | undefined;
  #isHolding = false;
  /** Bytes taken and given so far. */
  bytesIn = 0;
  bytesOut = 0;

  constructor(r: Exchange, work: ZlibWork) {
    this.#r = r;
    this.#work = work;
  }

  write(chunk: Buffer): void {
    this.bytesIn += chunk.length;
    if (this.#stream) {
      this.#feed(chunk);
      return;
    }
    this.#kept.push(chunk);
    if (!this.#work.whole || this.bytesIn > WHOLE_BYTES) this.#begin();
  }

  flush(): void {
    const stream = this.#begin();
    stream.flush(constants.Z_SYNC_FLUSH, () => {
      if (!this.#r.isFinished) this.next.flush?.();
    });
  }

  end(): void {
    if (!this.#stream && this.#work.whole) {
      this.#give(this.#work.whole(Buffer.concat(this.#kept)));
      this.next.end();
      return;
    }
    this.#begin().end();
  }

  #begin(): Transform & Zlib {
    if (this.#stream) return this.#stream;
    const stream = this.#work.stream();
    this.#stream = stream;
    stream.on('data', (chunk: Buffer) => this.#give(chunk));
    stream.on('end', () => {
      this.#letGo();
      this.next.end();
    });
    stream.on('drain', () => this.#letGo());
    stream.on('error', (error) => this.#fail(error));
    this.#r.onCleanup(() => stream.destroy());
    for (const chunk of this.#kept) this.#feed(chunk);
    this.#kept = [];
    return stream;
  }

  #feed(chunk: Buffer): void {
    if (this.#stream!.write(chunk) || this.#isHolding) return;
    this.#isHolding = true;
    this.#r.main.holds++;
  }

  #letGo(): void {
    if (!this.#isHolding) return;
    this.#isHolding = false;
    this.#r.main.holds--;
    this.#r.main.drained();
  }

  #give(chunk: Buffer): void {
    if (chunk.length === 0 || this.#r.isFinished) return;
    this.bytesOut += chunk.length;
    this.next.write(chunk);
  }

  #fail(error: unknown): void {
    if (this.#r.isFinished) return;
    this.#r.log('error', this.#work.failure(error));
    this.#r.finalize(ERROR);
  }
}
