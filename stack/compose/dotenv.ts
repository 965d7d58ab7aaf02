// Reads files in .env format: the project's .env (values for interpolation) and a service's env_file (its environment).
// Rules are Docker Compose's: NAME=value, optional `export`, # comments, 'single quotes' literal, "double quotes" with
// \n and references, later lines may refer to earlier ones, a NAME without = is taken from the caller's environment.
import { readFileSync } from 'node:fs';
import { ComposeError } from './error.ts';
import { InterpolationError, interpolate } from './interpolation.ts';

const LINE = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*(?:(=|:\s)\s*(.*))?$/;

/** Parses one file; `outside` gives values for references and bare names. Throws ComposeError with file and line. */
export function readDotenv(file: string, outside: (name: string) => string | undefined): Map<string, string> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ComposeError(file, undefined, `cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  const values = new Map<string, string>();
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index]!.trim();
    if (line === '' || line.startsWith('#')) continue;
    const number = index + 1;
    const match = LINE.exec(line);
    if (match === null) throw new ComposeError(file, number, `"${line}" is not NAME=value`);
    const [, name, sign, raw = ''] = match;
    if (sign === undefined) {
      const value = outside(name!);
      if (value !== undefined) values.set(name!, value);
      continue;
    }
    let word = raw;
    // A quoted value may go on over several lines, as certificates and keys do.
    const quote = word[0];
    if (quote === '"' || quote === "'") {
      while (endOfQuoted(word, quote) === -1 && index + 1 < lines.length) word += `\n${lines[++index]}`;
      if (endOfQuoted(word, quote) === -1) throw new ComposeError(file, number, `a ${quote} is not closed`);
    }
    const variables = { get: (key: string) => values.get(key) ?? outside(key), onUnset: () => {} };
    try {
      values.set(
        name!,
        unquote(word, (part) => interpolate(part, variables)),
      );
    } catch (error) {
      if (error instanceof InterpolationError) throw new ComposeError(file, number, error.message);
      throw error;
    }
  }
  return values;
}

function endOfQuoted(word: string, quote: string): number {
  for (let at = 1; at < word.length; at++) {
    if (word[at] === '\\' && quote === '"') at++;
    else if (word[at] === quote) return at;
  }
  return -1;
}

function unquote(word: string, replace: (text: string) => string): string {
  if (word.startsWith("'")) return word.slice(1, endOfQuoted(word, "'"));
  if (word.startsWith('"')) {
    const inside = word.slice(1, endOfQuoted(word, '"'));
    const escapes: Record<string, string> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\', $: '$$' };
    return replace(inside.replace(/\\(.)/gs, (whole, letter: string) => escapes[letter] ?? whole));
  }
  return replace(word.replace(/\s+#.*$/, '').trimEnd());
}
