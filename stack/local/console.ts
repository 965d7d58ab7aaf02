// Writes what the services say, line by line behind the name of the replica that said it, aligned, and coloured where a
// person is looking (a terminal, and no NO_COLOR). It also keeps each replica's last lines, for the report of its death.
import type { Writable } from 'node:stream';

// Foreground colours that can be read on dark and on light backgrounds alike; red is left to errors.
const PALETTE = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94];
const KEPT_LINES = 20;

/** Whether to colour: NO_COLOR and FORCE_COLOR first, then whether the stream is a terminal. */
export function wantsColor(stream: { isTTY?: boolean }, environment: NodeJS.ProcessEnv): boolean {
  if (environment['NO_COLOR']) return false;
  if (environment['FORCE_COLOR']) return environment['FORCE_COLOR'] !== '0';
  return stream.isTTY === true && environment['TERM'] !== 'dumb';
}

/** One speaker: text goes in as it comes, whole lines come out. */
export interface Voice {
  write(text: string): void;
  /** Writes out a last line that has no end. */
  flush(): void;
  /** The last lines said since the last forget(), oldest first. */
  lastLines(count?: number): string[];
  forget(): void;
}

/** The shared terminal. */
export class Console {
  readonly #out: Writable;
  readonly #width: number;
  readonly #hasColor: boolean;
  #voices = 0;

  constructor(out: Writable, names: readonly string[], hasColor: boolean) {
    this.#out = out;
    this.#width = Math.max('portico'.length, ...names.map((name) => name.length));
    this.#hasColor = hasColor;
  }

  /** Portico's own words. */
  say(text: string): void {
    const prefix = this.#prefix('portico', 1);
    this.#out.write(text.replace(/^/gm, prefix).concat('\n'));
  }

  /** Text without a prefix: the banner. */
  plain(text: string): void {
    this.#out.write(text);
  }

  /** A new voice, in the next colour of the palette. */
  voice(name: string): Voice {
    const prefix = this.#prefix(name, PALETTE[this.#voices++ % PALETTE.length]!);
    let rest = '';
    let kept: string[] = [];
    const put = (lines: string): void => {
      // One write for a whole chunk: an access log under load is thousands of lines a second.
      this.#out.write(prefix + lines.slice(0, -1).replaceAll('\n', `\n${prefix}`).concat('\n'));
      const tail = lines.slice(-16_384).split('\n').slice(0, -1);
      kept = [...kept, ...tail].slice(-KEPT_LINES);
    };
    return {
      write: (text) => {
        const all = rest + text;
        const end = all.lastIndexOf('\n') + 1;
        rest = all.slice(end);
        if (end > 0) put(all.slice(0, end));
      },
      flush: () => {
        if (rest !== '') put(`${rest}\n`);
        rest = '';
      },
      lastLines: (count = KEPT_LINES) => kept.slice(-count),
      forget: () => {
        kept = [];
      },
    };
  }

  #prefix(name: string, color: number): string {
    const text = `${name.padEnd(this.#width)} | `;
    return this.#hasColor ? `\u001b[${color}m${text}\u001b[0m` : text;
  }
}
