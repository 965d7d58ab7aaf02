// Cuts the bytes of an HTTP/2 connection into frames and checks each one's form; what the frames mean is the
// connection's business. DATA is passed on piece by piece, everything else as a whole frame.
import type { H2Connection } from './h2-connection.ts';
import { CODE, FLAG, FRAME, H2Error, HEAD_BYTES, PREFACE } from './h2-frames.ts';
import { type Priority, readPriority } from './h2-priority.ts';
import type { H2Stream } from './h2-stream.ts';

const NONE: Buffer = Buffer.alloc(0);
const MAX_ID = 0x7fffffff;

interface Head {
  readonly length: number;
  readonly type: number;
  readonly flags: number;
  readonly id: number;
}

export class H2FrameReader {
  readonly #to: H2Connection;
  /** A header block may be this long. */
  readonly #blockBytes: number;
  #pending: Buffer = NONE;
  #hasPreface = false;
  /** A DATA frame that is being passed on: bytes left of its data, then of its padding. */
  #data: { stream: H2Stream | undefined; left: number; padding: number; isEnd: boolean } | undefined;
  #skip = 0;
  /** How much of a header block whose frame is not whole has been looked at. */
  #checked = 0;
  /** A header block that goes on in CONTINUATION frames. */
  #block:
    | {
        readonly id: number;
        readonly priority: Priority | undefined;
        readonly isEnd: boolean;
        parts: Buffer[];
        bytes: number;
      }
    | undefined;

  constructor(to: H2Connection, blockBytes: number) {
    this.#to = to;
    this.#blockBytes = blockBytes;
  }

  /** Something has begun and is not whole. */
  get isInside(): boolean {
    return this.#pending.length > 0 || this.#data !== undefined || this.#block !== undefined || this.#skip > 0;
  }

  /** The stream whose header block has begun and is not whole; 0: none. */
  get openBlock(): number {
    if (this.#block) return this.#block.id;
    const head = this.#pending;
    return this.#hasPreface && head.length >= HEAD_BYTES && head[3] === FRAME.HEADERS
      ? head.readUInt32BE(5) & MAX_ID
      : 0;
  }

  /** Takes what the client sent. Throws H2Error. */
  push(chunk: Buffer): void {
    let buf = this.#pending.length ? Buffer.concat([this.#pending, chunk]) : chunk;
    this.#pending = NONE;
    if (!this.#hasPreface) {
      const known = Math.min(buf.length, PREFACE.length);
      if (buf.compare(PREFACE, 0, known, 0, known) !== 0) {
        throw new H2Error(CODE.PROTOCOL_ERROR, 'invalid connection preface');
      }
      if (buf.length < PREFACE.length) {
        this.#pending = buf;
        return;
      }
      this.#hasPreface = true;
      buf = buf.subarray(PREFACE.length);
    }
    while (buf.length > 0) {
      const rest = this.#step(buf);
      if (rest === undefined) {
        this.#pending = buf;
        return;
      }
      buf = rest;
    }
  }

  /** Handles what stands at the start of `buf` and returns the rest; undefined when more is needed. */
  #step(buf: Buffer): Buffer | undefined {
    if (this.#skip > 0) {
      const dropped = Math.min(this.#skip, buf.length);
      this.#skip -= dropped;
      return buf.subarray(dropped);
    }
    if (this.#data) return this.#passData(buf);
    if (buf.length < HEAD_BYTES) return undefined;
    const head: Head = {
      length: buf.readUIntBE(0, 3),
      type: buf[3]!,
      flags: buf[4]!,
      id: buf.readUInt32BE(5) & MAX_ID,
    };
    if (this.#block && (head.type !== FRAME.CONTINUATION || head.id !== this.#block.id)) {
      throw new H2Error(
        CODE.PROTOCOL_ERROR,
        head.type === FRAME.CONTINUATION
          ? 'client sent CONTINUATION frame with incorrect identifier'
          : 'client sent inappropriate frame while CONTINUATION was expected',
      );
    }
    if (head.type === FRAME.DATA) return this.#beginData(head, buf);
    if (head.type > FRAME.CONTINUATION || head.type === FRAME.GOAWAY) {
      if (head.type === FRAME.GOAWAY) checkGoAway(head);
      this.#skip = head.length;
      return buf.subarray(HEAD_BYTES);
    }
    checkForm(head);
    if (head.type === FRAME.HEADERS || head.type === FRAME.CONTINUATION) {
      // Padding and priority, and some slack for fields that the decoder will judge.
      if (head.length > this.#blockBytes + 1024) {
        throw new H2Error(CODE.ENHANCE_YOUR_CALM, 'client sent too large header');
      }
    }
    if (buf.length < HEAD_BYTES + head.length) {
      if (head.type === FRAME.HEADERS) this.#checkPart(head, buf);
      return undefined;
    }
    this.#checked = 0;
    this.#frame(head, buf.subarray(HEAD_BYTES, HEAD_BYTES + head.length));
    return buf.subarray(HEAD_BYTES + head.length);
  }

  /** A header block is faulty as soon as a part of it is. */
  #checkPart({ flags, length }: Head, buf: Buffer): void {
    const isPadded = (flags & FLAG.PADDED) !== 0;
    const at = HEAD_BYTES + (isPadded ? 1 : 0) + (flags & FLAG.PRIORITY ? 5 : 0);
    if (buf.length <= at) return;
    const end = HEAD_BYTES + length - (isPadded ? buf[HEAD_BYTES]! : 0);
    this.#checked = this.#to.checkBlock(buf.subarray(at, Math.max(at, end)), this.#checked);
  }

  #beginData(head: Head, buf: Buffer): Buffer | undefined {
    let left = head.length;
    let padding = 0;
    let at = HEAD_BYTES;
    if (head.flags & FLAG.PADDED) {
      if (head.length === 0) {
        throw new H2Error(CODE.FRAME_SIZE_ERROR, 'client sent padded DATA frame with incorrect length: 0');
      }
      if (buf.length === at) return undefined;
      padding = buf[at++]!;
      if (padding >= head.length) {
        throw new H2Error(
          CODE.PROTOCOL_ERROR,
          `client sent padded DATA frame with incorrect length: ${head.length}, padding: ${padding}`,
        );
      }
      left -= 1 + padding;
    }
    if (head.id === 0) {
      throw new H2Error(CODE.PROTOCOL_ERROR, 'client sent DATA frame with incorrect identifier');
    }
    const stream = this.#to.onDataFrame(head.id, head.length);
    this.#data = { stream, left, padding, isEnd: (head.flags & FLAG.END_STREAM) !== 0 };
    return this.#passData(buf.subarray(at));
  }

  #passData(buf: Buffer): Buffer {
    const data = this.#data!;
    const taken = Math.min(data.left, buf.length);
    data.left -= taken;
    if (taken > 0) data.stream?.onData(buf.subarray(0, taken));
    if (data.left === 0) {
      this.#data = undefined;
      this.#skip = data.padding;
      if (data.isEnd) data.stream?.onEnd();
    }
    return buf.subarray(taken);
  }

  #frame(head: Head, payload: Buffer): void {
    switch (head.type) {
      case FRAME.HEADERS:
        this.#headers(head, payload);
        return;
      case FRAME.CONTINUATION:
        this.#continuation(head, payload);
        return;
      case FRAME.PRIORITY:
        this.#to.onPriority(head.id, payload);
        return;
      case FRAME.RST_STREAM:
        this.#to.onReset(head.id, payload.readUInt32BE(0));
        return;
      case FRAME.SETTINGS:
        if (head.flags === FLAG.ACK) this.#to.onSettingsAck();
        else this.#to.onSettings(settings(payload));
        return;
      case FRAME.PING:
        if (!(head.flags & FLAG.ACK)) this.#to.onPing(payload);
        return;
      case FRAME.WINDOW_UPDATE:
        this.#to.onWindowUpdate(head.id, windowIncrement(payload));
    }
  }

  #headers(head: Head, payload: Buffer): void {
    const isPadded = (head.flags & FLAG.PADDED) !== 0;
    let at = isPadded ? 1 : 0;
    let end = payload.length;
    const priorityAt = at;
    if (head.flags & FLAG.PRIORITY) at += 5;
    if (isPadded) {
      const padding = payload[0]!;
      if (padding > payload.length - at) {
        throw new H2Error(
          CODE.PROTOCOL_ERROR,
          `client sent padded HEADERS frame with incorrect length: ${payload.length - at}, padding: ${padding}`,
        );
      }
      end -= padding;
    }
    const priority = head.flags & FLAG.PRIORITY ? readPriority('HEADERS', head.id, payload, priorityAt) : undefined;
    const part = payload.subarray(at, end);
    const isEnd = (head.flags & FLAG.END_STREAM) !== 0;
    if (head.flags & FLAG.END_HEADERS) this.#to.onHeaders(head.id, priority, part, isEnd);
    else this.#block = { id: head.id, priority, isEnd, parts: [Buffer.from(part)], bytes: part.length };
  }

  #continuation(head: Head, payload: Buffer): void {
    const block = this.#block;
    if (!block) throw new H2Error(CODE.PROTOCOL_ERROR, 'client sent unexpected CONTINUATION frame');
    block.parts.push(Buffer.from(payload));
    block.bytes += payload.length;
    if (block.bytes > this.#blockBytes + 1024 || block.parts.length > 1024) {
      throw new H2Error(CODE.ENHANCE_YOUR_CALM, 'client sent too large header');
    }
    if (!(head.flags & FLAG.END_HEADERS)) return;
    this.#block = undefined;
    this.#to.onHeaders(block.id, block.priority, Buffer.concat(block.parts), block.isEnd);
  }
}

/** Exact sizes of frames that have one. */
const SIZES: Readonly<Record<number, readonly [name: string, bytes: number]>> = {
  [FRAME.PRIORITY]: ['PRIORITY', 5],
  [FRAME.RST_STREAM]: ['RST_STREAM', 4],
  [FRAME.PING]: ['PING', 8],
  [FRAME.WINDOW_UPDATE]: ['WINDOW_UPDATE', 4],
};

function wrongSize(name: string, length: number): H2Error {
  return new H2Error(CODE.FRAME_SIZE_ERROR, `client sent ${name} frame with incorrect length ${length}`);
}

/** What can be said of a frame by its head alone. */
function checkForm({ type, flags, length, id }: Head): void {
  const wrongId = (name: string): H2Error =>
    new H2Error(CODE.PROTOCOL_ERROR, `client sent ${name} frame with incorrect identifier`);
  const exact = SIZES[type];
  if (exact && length !== exact[1]) throw wrongSize(exact[0], length);
  switch (type) {
    case FRAME.HEADERS: {
      const extra = (flags & FLAG.PADDED ? 1 : 0) + (flags & FLAG.PRIORITY ? 5 : 0);
      if (length < extra) throw wrongSize('HEADERS', length);
      if (length === extra)
        throw new H2Error(CODE.FRAME_SIZE_ERROR, 'client sent HEADERS frame with empty header block');
      return;
    }
    case FRAME.PRIORITY:
    case FRAME.RST_STREAM:
      if (id === 0) throw wrongId(exact![0]);
      return;
    case FRAME.PING:
      if (id !== 0) throw wrongId('PING');
      return;
    case FRAME.SETTINGS:
      if (id !== 0) throw wrongId('SETTINGS');
      if (flags === FLAG.ACK && length !== 0) {
        throw new H2Error(CODE.FRAME_SIZE_ERROR, 'client sent SETTINGS frame with the ACK flag and nonzero length');
      }
      if (length % 6 !== 0) throw wrongSize('SETTINGS', length);
      return;
    case FRAME.PUSH_PROMISE:
      throw new H2Error(CODE.PROTOCOL_ERROR, 'client sent PUSH_PROMISE frame');
  }
}

function checkGoAway({ length, id }: Head): void {
  if (length < 8) throw wrongSize('GOAWAY', length);
  if (id !== 0) throw new H2Error(CODE.PROTOCOL_ERROR, 'client sent GOAWAY frame with incorrect identifier');
}

function windowIncrement(payload: Buffer): number {
  const increment = payload.readUInt32BE(0) & 0x7fffffff;
  if (increment === 0) {
    throw new H2Error(CODE.PROTOCOL_ERROR, 'client sent WINDOW_UPDATE frame with incorrect window increment 0');
  }
  return increment;
}

function* settings(payload: Buffer): Generator<readonly [number, number]> {
  for (let at = 0; at < payload.length; at += 6) yield [payload.readUInt16BE(at), payload.readUInt32BE(at + 2)];
}
