// An HTTP/2 client for tests that sends frame by frame and keeps every frame that it is sent.
import { connect, type Socket } from 'node:net';
import { FLAG, FRAME, frame, HEAD_BYTES, PREFACE, settingsFrame } from '../../proxy/http/h2-frames.ts';
import { encodeField, HpackDecoder } from '../../proxy/http/h2-hpack.ts';

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

/** A client that sends and reads frames. */
export class Client {
  readonly #socket: Socket;
  readonly #hpack = new HpackDecoder();
  readonly frames: Frame[] = [];
  #pending: Buffer = Buffer.alloc(0);
  #wake: (() => void) | undefined;
  isClosed = false;

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk));
    this.#socket.on('close', () => {
      this.isClosed = true;
      this.#wake?.();
    });
    this.send(PREFACE, settingsFrame([]));
  }

  send(...bytes: Buffer[]): void {
    this.#socket.write(Buffer.concat(bytes));
  }

  headers(id: number, fields: readonly (readonly [string, string])[], flags: number = FLAG.END_STREAM): void {
    const block = fields.map(([name, value]) => encodeField(name, value)).join('');
    const out = frame(FRAME.HEADERS, flags | FLAG.END_HEADERS, id, block.length);
    out.write(block, HEAD_BYTES, 'latin1');
    this.send(out);
  }

  request(id: number, path: string, flags?: number, ...more: (readonly [string, string])[]): void {
    const method = flags === 0 ? 'POST' : 'GET';
    this.headers(
      id,
      [[':method', method], [':scheme', 'http'], [':path', path], [':authority', 'a.test'], ...more],
      flags,
    );
  }

  data(id: number, text: string, flags = 0): void {
    const out = frame(FRAME.DATA, flags, id, text.length);
    out.write(text, HEAD_BYTES, 'latin1');
    this.send(out);
  }

  #read(chunk: Buffer): void {
    let buf = Buffer.concat([this.#pending, chunk]);
    while (buf.length >= HEAD_BYTES && buf.length >= HEAD_BYTES + buf.readUIntBE(0, 3)) {
      const length = buf.readUIntBE(0, 3);
      const payload = buf.subarray(HEAD_BYTES, HEAD_BYTES + length);
      this.frames.push({ type: buf[3]!, flags: buf[4]!, id: buf.readUInt32BE(5), payload });
      buf = buf.subarray(HEAD_BYTES + length);
    }
    this.#pending = buf;
    this.#wake?.();
  }

  /** The first frame that fits, now or later. */
  async find(isWanted: (frame: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const found = this.frames.find(isWanted);
      if (found) return found;
      if (this.isClosed) throw new Error('closed before that frame came');
      await new Promise<void>((done) => {
        this.#wake = done;
      });
    }
  }

  async head(id: number): Promise<Map<string, string>> {
    const { payload } = await this.find((f) => f.type === FRAME.HEADERS && f.id === id);
    const fields = new Map<string, string>();
    this.#hpack.decode(payload, { fieldBytes: 8192, totalBytes: 32_768 }, (name, value) => fields.set(name, value));
    return fields;
  }

  async body(id: number): Promise<string> {
    await this.find((f) => f.id === id && f.type === FRAME.DATA && (f.flags & FLAG.END_STREAM) !== 0);
    return this.bodySoFar(id);
  }

  bodySoFar(id: number): string {
    return Buffer.concat(
      this.frames.filter((f) => f.type === FRAME.DATA && f.id === id).map((f) => f.payload),
    ).toString();
  }

  async code(type: number): Promise<number> {
    const { payload } = await this.find((f) => f.type === type);
    return payload.readUInt32BE(type === FRAME.GOAWAY ? 4 : 0);
  }

  /** Reads nothing more. */
  pause(): void {
    this.#socket.pause();
  }

  close(): void {
    this.#socket.destroy();
  }
}
