// PCRE patterns as nginx.conf writes them, compiled to JavaScript regular expressions over byte strings (latin1).
// What PCRE has and JavaScript spells otherwise is translated; what JavaScript cannot do is refused with a reason.

const POSIX: Record<string, string> = {
  alnum: 'A-Za-z0-9',
  alpha: 'A-Za-z',
  ascii: '\\x00-\\x7f',
  blank: ' \\t',
  cntrl: '\\x00-\\x1f\\x7f',
  digit: '0-9',
  graph: '\\x21-\\x7e',
  lower: 'a-z',
  print: '\\x20-\\x7e',
  punct: '!-\\/:-@\\[-`{-~',
  space: '\\s',
  upper: 'A-Z',
  word: '\\w',
  xdigit: '0-9A-Fa-f',
};

/** A compiled pattern: run it with `exec`; `names` lists the named captures in order. */
export interface CompiledRegex {
  readonly pattern: string;
  readonly regex: RegExp;
  readonly names: readonly string[];
  readonly captureCount: number;
}

/** Compiles `pattern`; throws an Error whose message says what is wrong and at which offset. */
export function compileRegex(pattern: string, isCaseless: boolean): CompiledRegex {
  let flags = isCaseless ? 'i' : '';
  let source = pattern;
  const inline = /^\(\?([imsx]+)\)/.exec(source);
  if (inline) {
    source = source.slice(inline[0].length);
    for (const flag of inline[1]!) {
      if (flag === 'x') throw new Error('(?x) is not supported');
      if (!flags.includes(flag)) flags += flag;
    }
  }
  const names: string[] = [];
  const translated = translate(source, names, flags.includes('s'));
  // Unicode properties of bytes are those of Latin-1, as in PCRE without UTF mode; JavaScript knows them with `u` only.
  if (/\\[pP]\{/.test(translated)) flags += 'u';
  let regex: RegExp;
  try {
    regex = new RegExp(translated, flags);
  } catch (error) {
    throw new Error(pcreText((error as Error).message, source));
  }
  // One always-matching alternative tells how many groups there are.
  const captureCount = new RegExp(`${translated}|`, flags).exec('')!.length - 1;
  return { pattern, regex, names, captureCount };
}

function translate(source: string, names: string[], isDotAll: boolean): string {
  let out = '';
  let inClass = false;
  // Options set in the middle of a group, `(?-i)`, hold to its end, across its alternatives: each becomes a group of
  // its own, closed and opened again at every `|`.
  const options: string[][] = [[]];
  for (let i = 0; i < source.length; i++) {
    const c = source[i]!;
    if (c === '\\') {
      const next = source[++i];
      if (next === undefined) throw new Error('\\ at end of pattern');
      if (next === 'A') out += '^';
      else if (next === 'z') out += '$';
      else if (next === 'Z') out += '(?=\\n?$)';
      else if (next === 'h') out += inClass ? ' \\t' : '[ \\t]';
      else if (next === 'e') out += '\\x1b';
      else if (next === 'a') out += '\\x07';
      else if (next === 'Q') {
        const close = source.indexOf('\\E', i);
        const literal = source.slice(i + 1, close < 0 ? undefined : close);
        out += literal.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
        i = close < 0 ? source.length : close + 1;
      } else if (next === 'p' || next === 'P') {
        const property = /^\{\^?\w+\}/.exec(source.slice(i + 1))?.[0] ?? `{${source[i + 1]}}`;
        out += `\\${next}${property}`;
        i += source[i + 1] === '{' ? property.length : 1;
      } else out += `\\${next}`;
    } else if (inClass) {
      const posix = c === '[' ? /^\[:(\^?)(\w+):\]/.exec(source.slice(i)) : null;
      if (posix) {
        const set = POSIX[posix[2]!];
        if (set === undefined || posix[1]) throw new Error(`unknown POSIX class name [:${posix[1]}${posix[2]}:]`);
        out += set;
        i += posix[0].length - 1;
      } else if (c === ']') {
        inClass = false;
        out += c;
      } else out += c === '[' ? '\\[' : c;
    } else if (c === '[') {
      inClass = true;
      out += c;
      if (source[i + 1] === '^') out += source[++i];
      // In PCRE a bracket right after the opening one is a literal.
      if (source[i + 1] === ']') {
        out += '\\]';
        i++;
      }
    } else if (c === '(' && source[i + 1] === '?') {
      const named = /^\(\?P?<([A-Za-z_]\w*)>/.exec(source.slice(i)) ?? /^\(\?'([A-Za-z_]\w*)'/.exec(source.slice(i));
      if (named) {
        names.push(named[1]!);
        out += `(?<${named[1]}>`;
        i += named[0].length - 1;
        options.push([]);
      } else if (source[i + 2] === '>') throw new Error('atomic groups are not supported');
      else {
        const set = /^\(\?([ims]*(?:-[ims]+)?)\)/.exec(source.slice(i));
        if (set) {
          out += `(?${set[1]}:`;
          options.at(-1)!.push(`(?${set[1]}:`);
          i += set[0].length - 1;
        } else {
          out += c;
          options.push([]);
        }
      }
    } else if (c === '(') {
      out += c;
      options.push([]);
    } else if (c === ')') {
      out += ')'.repeat((options.pop() ?? []).length) + c;
    } else if (c === '|') {
      const held = options.at(-1) ?? [];
      out += `${')'.repeat(held.length)}|${held.join('')}`;
    } else if (c === '.' && !isDotAll) {
      // JavaScript's dot leaves out CR as well.
      out += '[^\\n]';
    } else if (c === '$') {
      // The end, or the newline at the end.
      out += '(?=\\n?$)';
    } else if ('*+?}'.includes(c) && source[i + 1] === '+') {
      throw new Error('possessive quantifiers are not supported');
    } else out += c;
  }
  return out + ')'.repeat((options[0] ?? []).length);
}

/** What JavaScript says, and what PCRE says of the same mistake. */
const PCRE_TEXTS: readonly (readonly [RegExp, string])[] = [
  [/Unterminated character class/, 'missing terminating ] for character class'],
  [/Unterminated group/, 'missing closing parenthesis'],
  [/Unmatched '\)'/, 'unmatched closing parenthesis'],
  [/Nothing to repeat/, 'quantifier does not follow a repeatable item'],
  [/Invalid group/, 'unrecognized character after (? or (?-'],
  [/numbers out of order/, 'numbers out of order in {} quantifier'],
  [/Range out of order/, 'range out of order in character class'],
  [/Duplicate capture group name/, 'two named subpatterns have the same name (PCRE2_DUPNAMES not set)'],
];

function pcreText(message: string, source: string): string {
  for (const [pattern, text] of PCRE_TEXTS) if (pattern.test(message)) return `pcre2_compile() failed: ${text}`;
  return message
    .replace(/^Invalid regular expression: /, '')
    .replace(`/${source}/`, '')
    .replace(/^\w*: /, '');
}
