// Lets one byte range of a body through. The body filter of a single range; a slice's body begins within the whole.
import type { BodyFilter } from './filters.ts';

export interface ByteRange {
  readonly start: number;
  /** Behind the last byte. */
  readonly end: number;
}

export class RangeCut implements BodyFilter {
  declare next: BodyFilter;
  readonly #range: ByteRange;
  #at: number;
  #isOver = false;

  /** `at`: where in the whole the body begins. */
  constructor(range: ByteRange, at: number) {
    this.#range = range;
    this.#at = at;
  }

  write(chunk: Buffer): void {
    if (this.#isOver) return;
    const { start, end } = this.#range;
    const from = this.#at;
    this.#at += chunk.length;
    if (this.#at <= start) return;
    const low = Math.max(0, start - from);
    const high = Math.min(chunk.length, end - from);
    this.next.write(low === 0 && high === chunk.length ? chunk : chunk.subarray(low, high));
    if (this.#at >= end) {
      this.#isOver = true;
      this.next.end();
    }
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.next.end();
  }

  flush(): void {
    this.next.flush?.();
  }
}
