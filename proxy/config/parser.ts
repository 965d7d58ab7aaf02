// Second step: tokens to a tree of directives, with `include` expanded in place. A syntax error becomes the last
// node of the tree instead of being thrown at once, because nginx acts on directives while it reads: an unknown
// directive above the syntax error is what it reports.
import { globSync, readFileSync } from 'node:fs';
import { isAbsolute, join, matchesGlob } from 'node:path';
import { ConfigError, errnoText, errorAt } from './error.ts';
import { type Token, tokenize } from './lexer.ts';

/** One directive: its words, where it stands, and its block when it has one. */
export interface Directive {
  readonly name: string;
  readonly args: readonly string[];
  readonly isQuoted: readonly boolean[];
  readonly block: Directive[] | undefined;
  readonly file: string;
  readonly line: number;
  /** Line of the brace that closes the block. */
  endLine?: number;
  /** Set on the node that stands for a syntax error; the walker throws it when it gets there. */
  readonly fault?: ConfigError;
}

/** The tree, and the files it came from in the order of their first opening (for `-T`). */
export interface ParsedConfig {
  readonly directives: Directive[];
  readonly files: ReadonlyMap<string, string>;
}

/** Texts of the files that another process of ours has read, to be used instead of what is on disk now. */
export type KnownFiles = ReadonlyMap<string, string>;

/** Reads `file` and everything it includes. Relative includes are relative to `confPrefix`. */
export function parseFile(file: string, confPrefix: string, known?: KnownFiles, extra?: KnownFiles): ParsedConfig {
  const reading: Reading = { confPrefix, files: new Map(), known, extra };
  let text: string;
  try {
    text = readText(file, reading);
  } catch (error) {
    throw new ConfigError(`open() "${file}" failed ${errnoText(error)}`);
  }
  reading.files.set(file, text);
  return { directives: new FileParser(text, file, reading).parse(), files: reading.files };
}

/** What the files of one configuration have in common. */
interface Reading {
  readonly confPrefix: string;
  /** Those opened so far. */
  readonly files: Map<string, string>;
  readonly known: KnownFiles | undefined;
  readonly extra: KnownFiles | undefined;
}

function readText(name: string, { known, extra }: Reading): string {
  return extra?.get(name) ?? known?.get(name) ?? readFileSync(name, 'latin1');
}

/** Parses directives given on the command line (`-g`), as nginx names their place: `command line`. */
export function parseGlobals(text: string): Directive[] {
  return new FileParser(text, 'command line', {
    confPrefix: '',
    files: new Map(),
    known: undefined,
    extra: undefined,
  }).parse();
}

/** Includes within includes: nginx ends such a circle when it has no descriptors left, with this error. */
const MOST_INCLUDES = 500;
const CIRCLE = '(24: Too many open files)';
/** Blocks within blocks of one file, and around an include. */
const MOST_BLOCKS = 500;

class FileParser {
  readonly #tokens: Generator<Token>;
  readonly #file: string;
  readonly #reading: Reading;
  /** How many includes, and how many blocks, stand around this file. */
  readonly #includes: number;
  readonly #blocks: number;

  #closedAt = 0;

  constructor(text: string, file: string, reading: Reading, includes = 0, blocks = 0) {
    this.#tokens = tokenize(text, file);
    this.#file = file;
    this.#reading = reading;
    this.#includes = includes;
    this.#blocks = blocks;
  }

  parse(): Directive[] {
    const out: Directive[] = [];
    this.#into(out, 0);
    return out;
  }

  /** Fills `out` up to the closing brace (or the end of the file at depth 0); false once a fault was recorded. */
  #into(out: Directive[], depth: number): boolean {
    const words: Extract<Token, { kind: 'word' }>[] = [];
    try {
      for (;;) {
        const token = this.#tokens.next().value as Token;
        if (token.kind === 'word') {
          words.push(token);
          continue;
        }
        const place = { file: this.#file, line: token.line };
        if (token.kind === 'end') {
          if (words.length) throw errorAt(place, 'unexpected end of file, expecting ";" or "}"');
          if (depth > 0) throw errorAt(place, 'unexpected end of file, expecting "}"');
          return true;
        }
        if (token.kind === '}') {
          if (words.length || depth === 0) throw errorAt(place, 'unexpected "}"');
          this.#closedAt = token.line;
          return true;
        }
        if (words.length === 0) throw errorAt(place, `unexpected "${token.kind}"`);
        const name = words[0]!.text;
        const args = words.slice(1);
        const node = {
          name,
          args: args.map((w) => w.text),
          isQuoted: args.map((w) => w.isQuoted),
          file: this.#file,
          line: token.line,
        };
        words.length = 0;
        if (token.kind === '{') {
          if (depth === MOST_BLOCKS) throw errorAt(place, 'too many nested blocks');
          const block: Directive[] = [];
          const opened: Directive = { ...node, block };
          out.push(opened);
          if (!this.#into(block, depth + 1)) return false;
          opened.endLine = this.#closedAt;
        } else if (name === 'include') {
          if (node.args.length !== 1) throw errorAt(place, 'invalid number of arguments in "include" directive');
          if (!this.#include(node.args[0]!, place, out, this.#blocks + depth)) return false;
        } else {
          out.push({ ...node, block: undefined });
        }
      }
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      out.push({ name: '', args: [], isQuoted: [], block: undefined, file: this.#file, line: 0, fault: error });
      return false;
    }
  }

  /** Puts what `pattern` names into `out`; false once a fault was recorded, however deep. */
  #include(pattern: string, place: { file: string; line: number }, out: Directive[], blocks: number): boolean {
    const full = isAbsolute(pattern) ? pattern : join(this.#reading.confPrefix, pattern);
    const names = /[*?[]/.test(full) ? this.#glob(full) : [full];
    for (const name of names) {
      if (this.#includes === MOST_INCLUDES || blocks > MOST_BLOCKS) {
        throw errorAt(place, `open() "${name}" failed ${CIRCLE}`);
      }
      let text: string;
      try {
        text = readText(name, this.#reading);
      } catch (error) {
        throw errorAt(place, `open() "${name}" failed ${errnoText(error)}`);
      }
      this.#reading.files.set(name, text);
      const inner = new FileParser(text, name, this.#reading, this.#includes + 1, blocks);
      if (!inner.#into(out, 0)) return false;
    }
    return true;
  }

  #glob(pattern: string): string[] {
    const { known, extra: other } = this.#reading;
    const names = known ? [...known.keys()].filter((name) => matchesGlob(name, pattern)) : globSync(pattern);
    const extra = [...(other?.keys() ?? [])].filter((name) => matchesGlob(name, pattern));
    return [...new Set([...names, ...extra])].sort();
  }
}
