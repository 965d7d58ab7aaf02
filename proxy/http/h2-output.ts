// What leaves an HTTP/2 connection: frames of one turn of the loop go out in one write, and the most urgent streams take
// turns, a frame each, as far as the connection's window, their own, and the socket allow.
import type { Socket } from 'node:net';
import { Deadline } from '../timer.ts';
import {
  DEFAULT_FRAME_BYTES,
  DEFAULT_WINDOW,
  FLAG,
  FRAME,
  frame,
  HEAD_BYTES,
  rstStreamFrame,
  windowUpdateFrame,
} from './h2-frames.ts';
import type { H2Stream } from './h2-stream.ts';

/** Frames are produced only while less than this waits in the socket. */
const WAITING_BYTES = 65_536;

export class H2Output {
  readonly #socket: Socket;
  /** Streams with something to send, in the order of their turns. */
  readonly #ready = new Set<H2Stream>();
  #afterFlush: (() => void)[] = [];
  #out: Buffer[] = [];
  #isFlushQueued = false;
  /** send_timeout of the connection: the socket must take something now and then, also when it is being closed. */
  readonly #deadline: Deadline;
  readonly #timeoutMs: number;
  /** Body bytes that the peer takes on the connection. */
  window = DEFAULT_WINDOW;
  /** Largest frame that the peer takes. */
  frameBytes = DEFAULT_FRAME_BYTES;
  /** Nothing can be sent any more. */
  isBroken = false;

  constructor(socket: Socket, timeoutMs: number) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    this.#deadline = new Deadline(() => socket.destroy());
    socket.on('close', () => this.#deadline.close());
    socket.on('drain', () => {
      if (this.#ready.size > 0) this.#queueFlush();
    });
  }

  /** Puts bytes into the output of this turn. */
  send(bytes: Buffer): void {
    this.#out.push(bytes);
    this.#queueFlush();
  }

  /** Sends a header block in frames of the size that the peer takes; returns the bytes that it took. */
  sendHeaders(id: number, block: string, flags: number): number {
    const limit = this.frameBytes;
    let bytes = 0;
    for (let at = 0; at === 0 || at < block.length; at += limit) {
      const part = block.slice(at, at + limit);
      const isLast = at + limit >= block.length;
      const head = frame(
        at === 0 ? FRAME.HEADERS : FRAME.CONTINUATION,
        (at === 0 ? flags : 0) | (isLast ? FLAG.END_HEADERS : 0),
        id,
        part.length,
      );
      head.write(part, HEAD_BYTES, 'latin1');
      bytes += head.length;
      this.send(head);
    }
    return bytes;
  }

  reset(id: number, code: number): void {
    this.send(rstStreamFrame(id, code));
  }

  growWindow(id: number, increment: number): void {
    this.send(windowUpdateFrame(id, increment));
  }

  /** A stream has something to send, or may send again. */
  schedule(stream: H2Stream): void {
    if (!stream.canSend) return;
    this.#ready.add(stream);
    this.#queueFlush();
  }

  /** A stream is over. */
  forget(stream: H2Stream): void {
    this.#ready.delete(stream);
  }

  /** Calls `act` when what was sent so far has been given to the socket. */
  afterFlush(act: () => void): void {
    this.#afterFlush.push(act);
    this.#queueFlush();
  }

  #queueFlush(): void {
    if (this.#isFlushQueued || this.isBroken) return;
    this.#isFlushQueued = true;
    // Behind everything that this turn has read: answers of several upstreams are one record and one write.
    setImmediate(() => {
      this.#isFlushQueued = false;
      this.flush();
    });
  }

  flush(): void {
    if (this.isBroken) return;
    const produced = this.#produce();
    const out = this.#out;
    if (out.length) {
      this.#out = [];
      this.#socket.write(out.length === 1 ? out[0]! : Buffer.concat(out), this.#written);
      if (this.#socket.writableLength > 0 && !this.#deadline.isSet) this.#deadline.set(this.#timeoutMs);
    }
    const acts = this.#afterFlush;
    this.#afterFlush = [];
    for (const act of acts) act();
    for (const stream of produced) stream.drained();
  }

  readonly #written = (): void => {
    if (this.#socket.writableLength === 0) this.#deadline.clear();
    else this.#deadline.set(this.#timeoutMs);
  };

  /** Lets the streams make frames; returns those that did. */
  #produce(): Set<H2Stream> {
    const produced = new Set<H2Stream>();
    let waiting = this.#socket.writableLength;
    while (waiting < WAITING_BYTES) {
      const turn = this.#mostUrgent();
      if (turn.length === 0) break;
      for (const stream of turn) {
        this.#ready.delete(stream);
        if (!this.#mayProduce(stream)) continue;
        const taken = stream.produce(Math.min(this.window, this.frameBytes));
        this.window -= taken;
        waiting += taken + HEAD_BYTES;
        produced.add(stream);
        if (stream.canSend) this.#ready.add(stream);
        if (waiting >= WAITING_BYTES) break;
      }
    }
    return produced;
  }

  #mayProduce(stream: H2Stream): boolean {
    return stream.canSend && (stream.queued === 0 || this.window > 0);
  }

  /** The streams that none goes before, in the order of their turns. */
  #mostUrgent(): readonly H2Stream[] {
    let found: H2Stream[] = [];
    for (const stream of this.#ready) {
      if (!this.#mayProduce(stream)) {
        this.#ready.delete(stream);
        continue;
      }
      const order = found.length === 0 ? 0 : stream.place.compare(found[0]!.place);
      if (order < 0) found = [stream];
      else if (order === 0) found.push(stream);
    }
    return found;
  }
}
