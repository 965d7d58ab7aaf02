// A file of the access log. Lines of one turn of the event loop go out in one write; with `buffer=` they wait until the
// buffer is full, `flush=` has passed, the file is reopened or the process ends. Mirrors ngx_http_log_write and
// ngx_http_log_flush.
import { gzipSync } from 'node:zlib';
import { LogFile } from '../log.ts';

/** `buffer=`, `flush=` and `gzip=` of an access log. */
export interface Buffering {
  readonly sizeBytes: number;
  /** 0: only when the buffer is full. */
  readonly flushMs: number;
  /** 0: plain. */
  readonly gzipLevel: number;
}

/** Files with lines that are not written yet. */
const waiting = new Set<AccessLogFile>();

/** Writes out every line that still waits: before a file is reopened elsewhere, and when the process ends. */
export function flushAccessLogs(): void {
  for (const file of waiting) file.flush();
}

/** Writes out what waits for no buffer, only for the end of this turn: before a connection is closed, whose client may
 *  look into the log next. */
export function flushTurnOfLogs(): void {
  for (const file of waiting) if (!file.buffering) file.flush();
}

process.on('exit', flushAccessLogs);

export class AccessLogFile extends LogFile {
  buffering: Buffering | undefined;
  /** Takes each line in place of the file, with the values of its variables. */
  observer: ((line: string, values: Readonly<Record<string, string>>) => void) | undefined;
  #pending = '';
  #timer: NodeJS.Timeout | undefined;
  #isScheduled = false;

  /** Adds a line (with its newline). */
  append(line: string): void {
    const { buffering } = this;
    if (!buffering) {
      if (this.#pending === '') waiting.add(this);
      this.#pending += line;
      if (!this.#isScheduled) {
        this.#isScheduled = true;
        setImmediate(flushOnTurn, this);
      }
      return;
    }
    if (this.#pending.length + line.length > buffering.sizeBytes) this.flush();
    if (line.length > buffering.sizeBytes) {
      this.#out(line);
      return;
    }
    if (this.#pending === '') {
      waiting.add(this);
      if (buffering.flushMs > 0) this.#timer = setTimeout(() => this.flush(), buffering.flushMs).unref();
    }
    this.#pending += line;
  }

  /** Writes what waits. */
  flush(): void {
    this.#isScheduled = false;
    waiting.delete(this);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pending === '') return;
    const text = this.#pending;
    this.#pending = '';
    this.#out(text);
  }

  #out(text: string): void {
    const level = this.buffering?.gzipLevel ?? 0;
    this.write(level > 0 ? gzipSync(Buffer.from(text, 'latin1'), { level }).toString('latin1') : text);
  }

  override reopen(): void {
    this.flush();
    super.reopen();
  }

  override close(): void {
    this.flush();
    super.close();
  }
}

function flushOnTurn(file: AccessLogFile): void {
  file.flush();
}
