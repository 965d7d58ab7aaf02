// Where the body of an upstream's response ends: by its kind (none, Content-Length, chunked, close of the connection),
// fed piece by piece. It takes the framing off and says how many bytes are still wanted, which is what buffering needs
// to know. Mirrors the input filters of ngx_http_proxy_module.
import { ChunkedDecoder } from '../http/chunked.ts';

export type BodyKind = 'none' | 'length' | 'chunked' | 'close';

/** How a piece was taken: the body goes on, is complete, or cannot be read. */
export type BodyProgress = 'more' | 'done' | 'broken';

export class ResponseBody {
  readonly kind: BodyKind;
  #left: number;
  readonly #decoder: ChunkedDecoder | undefined;
  /** The server sent bytes behind the end: its connection cannot be used again. */
  hasExcess = false;
  isDone = false;

  constructor(kind: BodyKind, length: number) {
    this.kind = kind;
    this.#left = length;
    this.#decoder = kind === 'chunked' ? new ChunkedDecoder() : undefined;
    this.isDone = kind === 'none' || (kind === 'length' && length === 0);
  }

  /** The fewest bytes still to come; -1 when only the end of the connection tells. */
  get wanted(): number {
    if (this.isDone) return 0;
    if (this.#decoder) return this.#decoder.wanted;
    return this.kind === 'close' ? -1 : this.#left;
  }

  /** What the log says about bytes behind the end. */
  get excessText(): string {
    return this.kind === 'chunked'
      ? 'upstream sent data after final chunk'
      : 'upstream sent more data than specified in "Content-Length" header';
  }

  /** Takes wire bytes from `at` to `end`, handing body bytes to `emit`. */
  feed(bytes: Buffer, at: number, end: number, emit: (bytes: Buffer, from: number, to: number) => void): BodyProgress {
    if (this.isDone) {
      if (end > at) this.hasExcess = true;
      return 'done';
    }
    if (this.#decoder) {
      const used = this.#decoder.feedRange(bytes, at, end, emit);
      if (used < 0) return 'broken';
      if (!this.#decoder.isDone) return 'more';
      this.isDone = true;
      if (used < end) this.hasExcess = true;
      return 'done';
    }
    if (this.kind === 'close') {
      emit(bytes, at, end);
      return 'more';
    }
    const take = Math.min(this.#left, end - at);
    this.#left -= take;
    emit(bytes, at, at + take);
    if (this.#left > 0) return 'more';
    this.isDone = true;
    if (at + take < end) this.hasExcess = true;
    return 'done';
  }
}
