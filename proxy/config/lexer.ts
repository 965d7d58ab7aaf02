// First step from text to Config: nginx.conf as a stream of tokens, each with its line.
// Mirrors ngx_conf_read_token: quotes are allowed only at the start of a word, a backslash keeps itself unless it
// escapes a quote, a backslash, or one of \t \r \n, `${name}` may hold a brace, `#` starts a comment between words.
import { errorAt } from './error.ts';

export type Token =
  | { readonly kind: 'word'; readonly text: string; readonly line: number; readonly isQuoted: boolean }
  | { readonly kind: '{' | '}' | ';' | 'end'; readonly line: number };

const UNESCAPED: Record<string, string> = { '"': '"', "'": "'", '\\': '\\', t: '\t', r: '\r', n: '\n' };

function unescapeWord(raw: string): string {
  if (!raw.includes('\\')) return raw;
  return raw.replace(/\\(["'\\trn])/g, (_, c: string) => UNESCAPED[c]!);
}

/** Splits one file's text (bytes as latin1) into tokens. Throws a ConfigError with nginx's text. */
export function* tokenize(text: string, file: string): Generator<Token> {
  let line = 1;
  let i = 0;
  const end = text.length;
  while (i < end) {
    const c = text[i]!;
    if (c === '\n') {
      line++;
      i++;
    } else if (c === ' ' || c === '\t' || c === '\r') {
      i++;
    } else if (c === '#') {
      while (i < end && text[i] !== '\n') i++;
    } else if (c === ';' || c === '{' || c === '}') {
      yield { kind: c, line };
      i++;
    } else if (c === '"' || c === "'") {
      const started = line;
      const from = ++i;
      while (i < end && text[i] !== c) {
        if (text[i] === '\\') i++;
        if (text[i] === '\n') line++;
        i++;
      }
      if (i >= end) throw errorAt({ file, line }, 'unexpected end of file, expecting ";" or "}"');
      yield { kind: 'word', text: unescapeWord(text.slice(from, i)), line: started, isQuoted: true };
      const after = text[++i];
      if (after !== undefined && !/[\s;{)]/.test(after)) throw errorAt({ file, line }, `unexpected "${after}"`);
      // nginx lets `)` follow a quoted word, for `if ($a = "b")`: it is a word of its own there.
    } else {
      const from = i;
      const started = line;
      while (i < end) {
        const d = text[i]!;
        if (d === '\\') {
          if (text[i + 1] === '\n') line++;
          i += 2;
          continue;
        }
        if (d === '$' && text[i + 1] === '{') {
          i += 2;
          continue;
        }
        if (d === ' ' || d === '\t' || d === '\r' || d === '\n' || d === ';' || d === '{') break;
        i++;
      }
      if (i > end) i = end;
      yield { kind: 'word', text: unescapeWord(text.slice(from, i)), line: started, isQuoted: false };
    }
  }
  yield { kind: 'end', line };
}
