// Chunked transfer coding (RFC 9112 section 7.1), decoding. Strict as ngx_http_parse_chunked: hex size, an extension is
// skipped, a line may end in LF alone, trailer fields are read and dropped.

const STATE = {
  size: 0,
  extension: 1,
  sizeLf: 2,
  data: 3,
  dataCr: 4,
  dataLf: 5,
  trailer: 6,
  trailerLine: 7,
  trailerLf: 8,
  endLf: 9,
  done: 10,
} as const;

/** From 2^59 on nginx refuses whatever follows a size: with one more digit it might not fit its off_t. In upper halves. */
const TOO_MUCH_TO_GO_ON = 2 ** 27;

/** Decodes one chunked body, fed piece by piece. */
export class ChunkedDecoder {
  #state: number = STATE.size;
  /** From 2^53 on it is not exact; nobody gets to count so far. */
  #size = 0;
  /** The size while it is read, exactly: its upper 31 bits and its lower 32. */
  #upper = 0;
  #lower = 0;
  #digits = 0;

  get isDone(): boolean {
    return this.#state === STATE.done;
  }

  /** Bytes of the chunk under way that were not handed on yet, as its size announced them. */
  get left(): number {
    return this.#state === STATE.data ? this.#size : 0;
  }

  /** The fewest bytes that are still to come on the wire: what a reader may wait for. */
  get wanted(): number {
    switch (this.#state) {
      case STATE.size:
        return this.#digits === 0 ? 3 : 1 + (this.#size ? this.#size + 4 : 1);
      case STATE.extension:
      case STATE.sizeLf:
        return 1 + (this.#size ? this.#size + 4 : 1);
      case STATE.data:
        return this.#size + 4;
      case STATE.dataCr:
      case STATE.dataLf:
        return 4;
      case STATE.trailerLine:
      case STATE.trailerLf:
        return 2;
      case STATE.done:
        return 0;
      default:
        return 1;
    }
  }

  /**
   * Consumes `buf` from `at`, handing body bytes to `emit`; returns the index behind the last consumed byte (the end of
   * the body, or of the buffer). Returns -1 for a malformed body.
   */
  feed(buf: Buffer, at: number, emit: (slice: Buffer) => void): number {
    return this.feedRange(buf, at, buf.length, (bytes, from, to) => {
      emit(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to));
    });
  }

  /** The same for the bytes of `buf` from `at` to `end`, without making slices. */
  feedRange(buf: Buffer, at: number, end: number, emit: (bytes: Buffer, from: number, to: number) => void): number {
    let i = at;
    while (i < end && this.#state !== STATE.done) {
      const c = buf[i]!;
      switch (this.#state) {
        case STATE.size: {
          const digit = c >= 48 && c <= 57 ? c - 48 : (c | 32) >= 97 && (c | 32) <= 102 ? (c | 32) - 87 : -1;
          if (this.#upper >= TOO_MUCH_TO_GO_ON) return -1;
          if (digit >= 0) {
            this.#upper = this.#upper * 16 + (this.#lower >>> 28);
            this.#lower = ((this.#lower << 4) | digit) >>> 0;
            this.#size = this.#upper * 2 ** 32 + this.#lower;
            this.#digits++;
          } else if (this.#digits === 0) return -1;
          else if (c === 13) this.#state = STATE.sizeLf;
          else if (c === 10) this.#endOfSize();
          else if (c === 59 || c === 32 || c === 9) this.#state = STATE.extension;
          else return -1;
          i++;
          break;
        }
        case STATE.extension:
          if (c === 13) this.#state = STATE.sizeLf;
          else if (c === 10) this.#endOfSize();
          i++;
          break;
        case STATE.sizeLf:
          if (c !== 10) return -1;
          this.#endOfSize();
          i++;
          break;
        case STATE.data: {
          const take = Math.min(this.#size, end - i);
          emit(buf, i, i + take);
          this.#size -= take;
          i += take;
          if (this.#size === 0) this.#state = STATE.dataCr;
          break;
        }
        case STATE.dataCr:
          if (c === 13) this.#state = STATE.dataLf;
          else if (c === 10) this.#state = STATE.size;
          else return -1;
          this.#digits = 0;
          i++;
          break;
        case STATE.dataLf:
          if (c !== 10) return -1;
          this.#state = STATE.size;
          i++;
          break;
        case STATE.trailer:
          if (c === 13) this.#state = STATE.endLf;
          else if (c === 10) this.#state = STATE.done;
          else this.#state = STATE.trailerLine;
          i++;
          break;
        case STATE.trailerLine:
          if (c === 13) this.#state = STATE.trailerLf;
          else if (c === 10) this.#state = STATE.trailer;
          i++;
          break;
        case STATE.trailerLf:
          if (c !== 10) return -1;
          this.#state = STATE.trailer;
          i++;
          break;
        case STATE.endLf:
          if (c !== 10) return -1;
          this.#state = STATE.done;
          i++;
          break;
      }
    }
    // Sizes that end here may still grow; those that leave no room for the bytes behind the data are refused at once.
    if (this.#upper === 0x7fff_ffff && this.#lower > 0xffff_fffa) return -1;
    return i;
  }

  #endOfSize(): void {
    this.#upper = 0;
    this.#lower = 0;
    this.#state = this.#size === 0 ? STATE.trailer : STATE.data;
  }
}
