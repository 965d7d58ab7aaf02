// Finds SSI commands (`<!--# command key="value" -->`) in a body that comes in pieces. Mirrors ngx_http_ssi_parse, its
// limits and its error texts included. Strings hold bytes (latin1).

export type SsiEvent =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'command'; readonly name: string; readonly params: readonly (readonly [string, string])[] }
  /** A broken command has ended; what was wrong was reported. */
  | { readonly kind: 'error' };

const OPENING = '<!--#';
const MAX_NAME = 16;

type State =
  | 'text'
  | 'before-command'
  | 'command'
  | 'before-param'
  | 'param'
  | 'before-equal'
  | 'before-value'
  | 'value'
  | 'escaped'
  | 'after-value'
  | 'end-dash'
  | 'end-bracket'
  | 'error'
  | 'error-dash'
  | 'error-bracket';

function isSpace(c: string): boolean {
  return c === ' ' || c === '\t' || c === '\r' || c === '\n';
}

export class SsiParser {
  readonly #maxValue: number;
  readonly #report: (message: string) => void;
  #text = '';
  #at = 0;
  #state: State = 'text';
  #name = '';
  #key = '';
  #value = '';
  #quote = '';
  #params: [string, string][] = [];

  /** `report` gets nginx's text for each mistake. */
  constructor(maxValue: number, report: (message: string) => void) {
    this.#maxValue = maxValue;
    this.#report = report;
  }

  push(text: string): void {
    this.#text = this.#text.slice(this.#at) + text;
    this.#at = 0;
  }

  /** The next thing in the body; undefined: more bytes are needed. */
  next(): SsiEvent | undefined {
    if (this.#state === 'text') {
      if (this.#at >= this.#text.length) return undefined;
      const found = this.#text.indexOf(OPENING, this.#at);
      const end = found >= 0 ? found : this.#text.length - this.#beginning();
      if (end > this.#at) {
        const text = this.#text.slice(this.#at, end);
        this.#at = end;
        return { kind: 'text', text };
      }
      if (found < 0) return undefined;
      this.#at = found + OPENING.length;
      this.#state = 'before-command';
    }
    while (this.#at < this.#text.length) {
      const event = this.#step(this.#text[this.#at++]!);
      if (event) return event;
    }
    return undefined;
  }

  /** How many bytes at the end may be the beginning of a command. */
  #beginning(): number {
    const rest = this.#text.length - this.#at;
    for (let n = Math.min(OPENING.length - 1, rest); n > 0; n--) {
      if (this.#text.endsWith(OPENING.slice(0, n))) return n;
    }
    return 0;
  }

  #step(c: string): SsiEvent | undefined {
    switch (this.#state) {
      case 'before-command':
        if (isSpace(c)) return undefined;
        this.#name = c;
        this.#params = [];
        this.#state = 'command';
        return undefined;
      case 'command':
        if (isSpace(c)) this.#state = 'before-param';
        else if (c === '-') this.#state = 'end-dash';
        else if (this.#name.length === MAX_NAME) this.#fail(`the "${this.#name}${c}..." SSI command is too long`);
        else this.#name += c;
        return undefined;
      case 'before-param':
        if (isSpace(c)) return undefined;
        if (c === '-') this.#state = 'end-dash';
        else {
          this.#key = c;
          this.#value = '';
          this.#state = 'param';
        }
        return undefined;
      case 'param':
      case 'before-equal':
        this.#inKey(c);
        return undefined;
      case 'before-value':
        if (isSpace(c)) return undefined;
        if (c === '"' || c === "'") {
          this.#quote = c;
          this.#state = 'value';
        } else {
          this.#unexpected(`unexpected "${c}" symbol before value of "${this.#key}" parameter in ${this.#command}`, c);
        }
        return undefined;
      case 'value':
        if (c === this.#quote) {
          this.#params.push([this.#key, this.#value]);
          this.#state = 'after-value';
        } else {
          if (c === '\\') this.#state = 'escaped';
          this.#append(c);
        }
        return undefined;
      case 'escaped':
        this.#state = 'value';
        this.#append(c);
        return undefined;
      case 'after-value':
        if (isSpace(c)) this.#state = 'before-param';
        else if (c === '-') this.#state = 'end-dash';
        else {
          const where = `after "${this.#value}" value of "${this.#key}" parameter in ${this.#command}`;
          this.#fail(`unexpected "${c}" symbol ${where}`);
        }
        return undefined;
      case 'end-dash':
        if (c === '-') this.#state = 'end-bracket';
        else this.#fail(`unexpected "${c}" symbol in ${this.#command}`);
        return undefined;
      case 'end-bracket':
        if (c !== '>') {
          this.#fail(`unexpected "${c}" symbol in ${this.#command}`);
          return undefined;
        }
        this.#state = 'text';
        return { kind: 'command', name: this.#name, params: this.#params };
      case 'error':
        if (c === '-') this.#state = 'error-dash';
        return undefined;
      case 'error-dash':
        this.#state = c === '-' ? 'error-bracket' : 'error';
        return undefined;
      default:
        if (c !== '>') {
          this.#state = 'error';
          return undefined;
        }
        this.#state = 'text';
        return { kind: 'error' };
    }
  }

  get #command(): string {
    return `"${this.#name}" SSI command`;
  }

  #inKey(c: string): void {
    if (c === '=') this.#state = 'before-value';
    else if (isSpace(c)) this.#state = 'before-equal';
    else if (this.#state === 'before-equal' || c === '-') {
      this.#unexpected(`unexpected "${c}" symbol after "${this.#key}" parameter in ${this.#command}`, c);
    } else if (this.#key.length === MAX_NAME)
      this.#fail(`too long "${this.#key}${c}..." parameter in ${this.#command}`);
    else this.#key += c;
  }

  #append(c: string): void {
    if (this.#value.length < this.#maxValue) this.#value += c;
    else this.#fail(`too long "${this.#value}${c}..." value of "${this.#key}" parameter in ${this.#command}`);
  }

  #fail(message: string): void {
    this.#report(message);
    this.#state = 'error';
  }

  /** Like `fail`, where the character may already begin the end of the command. */
  #unexpected(message: string, c: string): void {
    this.#fail(message);
    if (c === '-') this.#state = 'error-dash';
  }
}
