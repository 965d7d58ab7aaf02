// Sends an open file as the response's body: a small one in one read and one write, a large one in blocks, going on
// when the client has taken what was written; with `sendfile on`, a large one unread where nothing has to see it. Sends only
// the parts that a range asks for.
import { readSync } from 'node:fs';
import { errnoText } from '../config/error.ts';
import { coreModule } from '../modules/core-rows.ts';
import { DONE, ERROR, OK } from './codes.ts';
import type { Exchange } from './exchange.ts';
import type { OpenFile } from './open-file.ts';

const BLOCK_BYTES = 128 * 1024;
/** A file shorter than this is cheaper to read, as it then leaves in one system call with the head. */
const UNREAD_BYTES = 16 * 1024;

/**
 * Sends the body; the head must have gone through `sendHeader`. Releases `file`. Returns a code for the content phase:
 * OK when all is written, DONE when it goes on by itself and will call `finalize`.
 */
export function sendFile(r: Exchange, file: OpenFile): number {
  if (r.isHeaderOnly) {
    file.release();
    return OK;
  }
  if (r.parts || file.sizeBytes > BLOCK_BYTES) return new FileSender(r, file).start();
  if (file.sizeBytes < UNREAD_BYTES || !coreModule.location(r.location).sendfile) return sendSmall(r, file);
  const sent = r.sendFile(file.fd, file.skipBytes, file.sizeBytes);
  if (sent === 0) return sendSmall(r, file);
  if (sent < file.sizeBytes) return new FileSender(r, file, sent).start();
  file.release();
  r.end();
  return OK;
}

function sendSmall(r: Exchange, file: OpenFile): number {
  const { sizeBytes } = file;
  if (sizeBytes > 0) {
    const bytes = scratch.subarray(0, sizeBytes);
    const got = readAt(r, file, bytes, 0);
    if (got < sizeBytes) {
      file.release();
      return ERROR;
    }
    r.write(bytes);
    renewScratch(r);
  }
  file.release();
  r.end();
  return OK;
}

/**
 * Files are read into one piece of memory for all: fresh memory for each block costs more than the reading. Whoever
 * still needs what was written from it (a slow client, a filter) keeps it, and the next block gets another piece.
 */
let scratch = Buffer.allocUnsafeSlow(BLOCK_BYTES);

function renewScratch(r: Exchange): void {
  if (!r.isFlushedThrough) scratch = Buffer.allocUnsafeSlow(BLOCK_BYTES);
}

/** Fills `into` from `at`; less than its length after an error, which was logged. */
function readAt(r: Exchange, file: OpenFile, into: Buffer, at: number): number {
  let got = 0;
  try {
    while (got < into.length) {
      const n = readSync(file.fd, into, got, into.length - got, file.skipBytes + at + got);
      if (n === 0) {
        const fault = coreModule.location(r.location).sendfile
          ? `sendfile() reported that "${file.path}" was truncated at ${at + got}`
          : `pread() read only ${got} of ${into.length} from "${file.path}"`;
        r.log('alert', fault);
        break;
      }
      got += n;
    }
  } catch (error) {
    r.log('crit', `read() "${file.path}" failed ${errnoText(error)}`);
  }
  return got;
}

class FileSender {
  readonly #r: Exchange;
  readonly #file: OpenFile;
  readonly #parts: readonly { readonly head: string; readonly start: number; readonly end: number }[];
  readonly #tail: string;
  /** Whether the system may send the file unread. */
  readonly #isUnread: boolean;
  /** Sent in one go before other connections get their turn. */
  readonly #turnBytes: number;
  #part = 0;
  #at: number;
  #isOver = false;

  /** Of a response of one part, the first `sent` bytes are out already. */
  constructor(r: Exchange, file: OpenFile, sent = -1) {
    this.#r = r;
    this.#file = file;
    this.#at = sent;
    this.#parts = r.parts?.parts ?? [{ head: '', start: 0, end: file.sizeBytes }];
    this.#tail = r.parts?.tail ?? '';
    const conf = coreModule.location(r.location);
    this.#isUnread = conf.sendfile;
    this.#turnBytes = conf.sendfile_max_chunk || Number.POSITIVE_INFINITY;
  }

  start(): number {
    this.#r.onCleanup(() => this.#stop());
    const code = this.#go();
    if (code === DONE) {
      this.#r.onDrain = () => this.#resume();
    }
    return code;
  }

  #stop(): void {
    this.#isOver = true;
    this.#file.release();
  }

  #resume(): void {
    if (this.#isOver) return;
    const code = this.#go();
    if (code === DONE) return;
    this.#r.onDrain = undefined;
    this.#r.finalize(code);
  }

  /** What went without being read; 0: read it. */
  #sendUnread(most: number): number {
    return this.#isUnread ? this.#r.sendFile(this.#file.fd, this.#file.skipBytes + this.#at, most) : 0;
  }

  /** Writes until the client is behind, a turn is over (DONE both times) or everything is written (OK). */
  #go(): number {
    const r = this.#r;
    let turn = 0;
    while (this.#part < this.#parts.length) {
      const part = this.#parts[this.#part]!;
      if (this.#at < 0) {
        this.#at = part.start;
        if (part.head !== '') r.write(part.head);
      }
      let mayGoOn = true;
      const left = part.end - this.#at;
      if (left > 0) {
        let sent = this.#sendUnread(Math.min(left, this.#turnBytes - turn));
        if (sent > 0) mayGoOn = r.isWritable;
        else {
          const bytes = scratch.subarray(0, Math.min(BLOCK_BYTES, left));
          sent = bytes.length;
          if (readAt(r, this.#file, bytes, this.#at) < sent) {
            this.#stop();
            return ERROR;
          }
          mayGoOn = r.write(bytes);
          renewScratch(r);
        }
        this.#at += sent;
        turn += sent;
      }
      if (this.#at >= part.end) {
        this.#part++;
        this.#at = -1;
      }
      if (this.#isOver) return DONE;
      if (!mayGoOn && this.#part < this.#parts.length) return DONE;
      if (turn >= this.#turnBytes && this.#part < this.#parts.length) {
        setImmediate(() => this.#resume());
        return DONE;
      }
    }
    if (this.#tail !== '') r.write(this.#tail);
    this.#stop();
    r.end();
    return OK;
  }
}
