/**
 * Reads the literal assignments of a gunicorn.conf.py: numbers, strings, booleans, None, lists, tuples, dictionaries, arithmetic on
 * numbers, names assigned before, `multiprocessing.cpu_count()` and `os.environ.get(...)`. A config file is a Python program; what
 * is more than literals is refused with file and line when it sets a setting, and passed over when it does not.
 */
import { readFileSync } from 'node:fs';
import os from 'node:os';

/** A statement that only Python could run; the message has file and line. */
export class PythonLiteralError extends Error {
  override readonly name = 'PythonLiteralError';
}

const TOKEN =
  /\s+|(?<string>[rRbBuU]{0,2}(?:"""[\s\S]*?"""|'''[\s\S]*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))|(?<number>0[xX][\da-fA-F]+|0[oO][0-7]+|\d[\d_]*(?:\.\d+)?)|(?<name>[A-Za-z_][\w.]*)|(?<op>\/\/|\*\*|[-+*/%()[\]{},:])/y;

type Token = { kind: 'string' | 'number' | 'name' | 'op'; text: string };

function tokens(text: string): Token[] {
  const found: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (!match) throw new Error(`cannot read ${JSON.stringify(text.slice(at, at + 20))}`);
    for (const kind of ['string', 'number', 'name', 'op'] as const) {
      const part = match.groups?.[kind];
      if (part !== undefined) found.push({ kind, text: part });
    }
  }
  return found;
}

function unquote(text: string): string {
  const raw = /^[a-zA-Z]*[rR]/.test(text);
  const body = text.replace(/^[a-zA-Z]*/, '');
  const width = body.startsWith('"""') || body.startsWith("'''") ? 3 : 1;
  const inner = body.slice(width, -width);
  if (raw) return inner;
  const named: Record<string, string> = { n: '\n', t: '\t', r: '\r', '0': '\0', '\n': '' };
  return inner.replace(/\\(?:x([\da-fA-F]{2})|([\s\S]))/g, (_, hex, char: string) =>
    hex ? String.fromCharCode(Number.parseInt(hex, 16)) : (named[char] ?? (/["'\\]/.test(char) ? char : `\\${char}`)),
  );
}

/** A recursive-descent reader of one expression. */
class Expression {
  #at = 0;
  readonly #tokens: Token[];
  readonly #names: ReadonlyMap<string, unknown>;

  constructor(text: string, names: ReadonlyMap<string, unknown>) {
    this.#tokens = tokens(text);
    this.#names = names;
  }

  read(): unknown {
    const value = this.#sum();
    if (this.#accept(',')) {
      const rest = this.#peek() ? this.#items('') : [];
      return [value, ...rest];
    }
    if (this.#peek()) throw new Error(`unexpected ${this.#peek()?.text}`);
    return value;
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#at];
  }

  #accept(op: string): boolean {
    const token = this.#peek();
    if (token?.kind !== 'op' || token.text !== op) return false;
    this.#at++;
    return true;
  }

  #sum(): unknown {
    let left = this.#product();
    for (;;) {
      if (this.#accept('+')) {
        const right = this.#product();
        left = typeof left === 'string' ? left + String(right) : Number(left) + Number(right);
      } else if (this.#accept('-')) left = Number(left) - Number(this.#product());
      else return left;
    }
  }

  #product(): unknown {
    let left = this.#atom();
    for (;;) {
      if (this.#accept('*')) left = Number(left) * Number(this.#atom());
      else if (this.#accept('//')) left = Math.floor(Number(left) / Number(this.#atom()));
      else if (this.#accept('/')) left = Number(left) / Number(this.#atom());
      else if (this.#accept('%')) left = Number(left) % Number(this.#atom());
      else return left;
    }
  }

  #items(close: string): unknown[] {
    const items: unknown[] = [];
    while (this.#peek() && !(close && this.#accept(close))) {
      items.push(this.#sum());
      if (!this.#accept(',')) {
        if (close && !this.#accept(close)) throw new Error(`expected ${close}`);
        return items;
      }
    }
    return items;
  }

  #atom(): unknown {
    if (this.#accept('-')) return -Number(this.#atom());
    if (this.#accept('[')) return this.#items(']');
    if (this.#accept('{')) return this.#dictionary();
    if (this.#accept('(')) {
      const before = this.#at;
      const items = this.#items(')');
      const tuple = this.#tokens.slice(before, this.#at).some((token) => token.text === ',');
      return items.length === 1 && !tuple ? items[0] : items;
    }
    const token = this.#peek();
    if (!token || token.kind === 'op') throw new Error(`unexpected ${token?.text ?? 'end'}`);
    this.#at++;
    if (token.kind === 'number') return Number(token.text.replaceAll('_', ''));
    if (token.kind === 'string') {
      let text = unquote(token.text);
      while (this.#peek()?.kind === 'string') text += unquote(this.#tokens[this.#at++]?.text ?? '');
      return text;
    }
    return this.#name(token.text);
  }

  #name(name: string): unknown {
    if (name === 'True') return true;
    if (name === 'False') return false;
    if (name === 'None') return null;
    if (this.#accept('(')) {
      const args = this.#items(')');
      if (/^(multiprocessing\.|os\.)?cpu_count$/.test(name)) return os.cpus().length;
      if (/^os\.(environ\.get|getenv)$/.test(name)) return process.env[String(args[0])] ?? args[1] ?? null;
      if (name === 'int') return Math.trunc(Number(args[0]));
      if (name === 'str') return String(args[0]);
      throw new Error(`cannot call ${name}()`);
    }
    if (name === 'os.environ' && this.#accept('[')) {
      const key = String(this.#items(']')[0]);
      const value = process.env[key];
      if (value === undefined) throw new Error(`the environment has no ${key}`);
      return value;
    }
    if (this.#names.has(name)) return this.#names.get(name);
    throw new Error(`${name} is not a literal`);
  }

  #dictionary(): Record<string, unknown> {
    const entries: Record<string, unknown> = {};
    while (!this.#accept('}')) {
      const key = this.#sum();
      if (!this.#accept(':')) throw new Error('expected :');
      entries[String(key)] = this.#sum();
      if (!this.#accept(',')) {
        if (!this.#accept('}')) throw new Error('expected }');
        break;
      }
    }
    return entries;
  }
}

function withoutComment(line: string): string {
  let quote = '';
  for (let at = 0; at < line.length; at++) {
    const char = line[at];
    if (quote) {
      if (char === '\\') at++;
      else if (char === quote) quote = '';
    } else if (char === '"' || char === "'") quote = char;
    else if (char === '#') return line.slice(0, at);
  }
  return line;
}

/** Statements at the left margin, each with its first line's number and its text, comments removed. */
function statements(source: string): { line: number; text: string }[] {
  const found: { line: number; text: string }[] = [];
  let open = false;
  source.split(/\r?\n/).forEach((raw, index) => {
    const line = withoutComment(raw);
    const last = found.at(-1);
    if (last && (open || /^\s+\S/.test(line))) last.text += `\n${line}`;
    else if (line.trim() !== '') found.push({ line: index + 1, text: line });
    const text = (found.at(-1)?.text ?? '').replace(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, '');
    const depth = (text.match(/[([{]/g) ?? []).length - (text.match(/[)\]}]/g) ?? []).length;
    open = depth > 0 || /\\\s*$/.test(line);
  });
  return found;
}

/**
 * The settings that a gunicorn.conf.py assigns, in order. `isSetting` says which names matter: what else the file does is passed
 * over, but a setting that is not a literal throws PythonLiteralError with file and line.
 */
export function readPythonLiterals(file: string, isSetting: (name: string) => boolean): [string, unknown][] {
  const names = new Map<string, unknown>();
  const refuse = (line: number, why: string): never => {
    throw new PythonLiteralError(
      `${file}:${line}: ${why} (write the config file as a .ts module for more than literals)`,
    );
  };
  for (const { line, text } of statements(readFileSync(file, 'utf8'))) {
    const hook = /^(?:async\s+)?def\s+(\w+)/.exec(text)?.[1];
    if (hook && isSetting(hook)) refuse(line, `the server hook ${hook} is a Python function`);
    const assignment = /^(\w+)\s*(?::[^=]+)?=(?!=)([\s\S]*)$/.exec(text);
    if (!assignment) continue;
    const name = assignment[1] ?? '';
    try {
      names.set(name, new Expression((assignment[2] ?? '').replace(/\\\n/g, ' ').trim(), names).read());
    } catch (error) {
      if (isSetting(name)) refuse(line, `${name}: ${(error as Error).message}`);
    }
  }
  return [...names].filter(([name]) => isSetting(name));
}
