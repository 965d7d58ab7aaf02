// A directive is one row of a table, beside the code that obeys it (design principle 5). A module groups its rows by
// the level that holds their values (core: the process; main: http; server; location), and the parser, `-t`,
// inheritance, defaults and the reference docs all come from these rows. The value of a directive is read under the
// directive's own name: `proxy.location(r.location).proxy_read_timeout` (times in ms, sizes in bytes).
import type { Compiler, Scope } from './compile.ts';
import { errorAt } from './error.ts';
import type { Directive } from './parser.ts';
import type { Template } from './template.ts';
import { parseCount, parseSizeBytes, parseTimeMs } from './values.ts';

/** Contexts a directive may stand in; a row's `in` is their sum. */
export const MAIN = 1;
export const EVENTS = 2;
export const HTTP = 4;
export const SERVER = 8;
export const LOCATION = 16;
export const UPSTREAM = 32;
export const SERVER_IF = 64;
export const LOCATION_IF = 128;
export const LIMIT_EXCEPT = 256;
/** The three usual ones. */
export const HSL = HTTP | SERVER | LOCATION;
export const HSLI = HSL | LOCATION_IF;

/** What `set` gets: the directive, the compiler, the scope it stands in, and ways to fail in nginx's words. */
export class Cf {
  readonly directive: Directive;
  readonly compiler: Compiler;
  readonly scope: Scope;

  constructor(directive: Directive, compiler: Compiler, scope: Scope) {
    this.directive = directive;
    this.compiler = compiler;
    this.scope = scope;
  }

  get name(): string {
    return this.directive.name;
  }

  get args(): readonly string[] {
    return this.directive.args;
  }

  /** Raises `MESSAGE in FILE:LINE`. */
  fail(message: string): never {
    throw errorAt(this.directive, message);
  }

  /** Raises nginx's `"NAME" directive …` texts. */
  invalidValue(): never {
    return this.fail(`"${this.name}" directive invalid value`);
  }

  invalidParameter(value: string): never {
    return this.fail(`invalid parameter "${value}"`);
  }

  template(text: string): Template {
    return this.compiler.template(text, this.directive);
  }

  time(text: string): number {
    return parseTimeMs(text) ?? this.invalidValue();
  }

  size(text: string): number {
    return parseSizeBytes(text) ?? this.invalidValue();
  }
}

/** One directive. `set` turns its words into the value; `previous` is what the same block already holds. */
export interface Row<T> {
  readonly in: number;
  /** `flag`, `none`, `any`, `1`, `2`, `1-3`, `2+`. */
  readonly args: string;
  readonly isBlock?: boolean;
  readonly set: (cf: Cf, previous: T | undefined) => T;
  readonly default: T;
  /** How nested levels inherit; default: the nearest level that sets it. */
  readonly merge?: (parent: T, own: T | undefined) => T;
  /** Value syntax and default as the reference prints them. */
  readonly syntax: string;
  readonly defaultText: string | undefined;
  readonly note?: string;
}

// biome-ignore lint/suspicious/noExplicitAny: rows of all value types stand in one table
export type AnyRow = Row<any>;
export type Rows = Record<string, AnyRow>;
export type ConfOf<R extends Rows> = { readonly [K in keyof R]: R[K] extends Row<infer T> ? T : never };

interface Extras<T> {
  merge?: (parent: T, own: T | undefined) => T;
  note?: string;
  syntax?: string;
}

/** Fails where the block already holds the directive. */
export function once<T>(cf: Cf, previous: T | undefined): void {
  if (previous !== undefined) cf.fail(`"${cf.name}" directive is duplicate`);
}

/** `on` or `off`, in any case. */
export function parseFlag(cf: Cf, value: string): boolean {
  const lower = value.toLowerCase();
  if (lower === 'on') return true;
  if (lower === 'off') return false;
  return cf.fail(`invalid value "${value}" in "${cf.name}" directive, it must be "on" or "off"`);
}

/** `on` or `off`. */
export function flag(contexts: number, standard: boolean, extras: Extras<boolean> = {}): Row<boolean> {
  return {
    in: contexts,
    args: 'flag',
    default: standard,
    syntax: 'on | off',
    defaultText: standard ? 'on' : 'off',
    set(cf, previous) {
      once(cf, previous);
      return parseFlag(cf, cf.args[0]!);
    },
    ...extras,
  };
}

/** A time, kept in ms. */
export function time(contexts: number, standard: string, extras: Extras<number> = {}): Row<number> {
  return {
    in: contexts,
    args: '1',
    default: parseTimeMs(standard)!,
    syntax: 'time',
    defaultText: standard,
    set(cf, previous) {
      once(cf, previous);
      return cf.time(cf.args[0]!);
    },
    ...extras,
  };
}

/** A size, kept in bytes. */
export function size(contexts: number, standard: string, extras: Extras<number> = {}): Row<number> {
  return {
    in: contexts,
    args: '1',
    default: parseSizeBytes(standard)!,
    syntax: 'size',
    defaultText: standard,
    set(cf, previous) {
      once(cf, previous);
      return parseSizeBytes(cf.args[0]!, true) ?? cf.invalidValue();
    },
    ...extras,
  };
}

/** A whole number, within `bounds` where they are given. */
export function count(
  contexts: number,
  standard: number,
  extras: Extras<number> = {},
  bounds?: readonly [number, number],
): Row<number> {
  return {
    in: contexts,
    args: '1',
    default: standard,
    syntax: 'number',
    defaultText: String(standard),
    set(cf, previous) {
      once(cf, previous);
      const value = parseCount(cf.args[0]!) ?? cf.fail(`"${cf.name}" directive invalid number`);
      if (bounds && (value < bounds[0] || value > bounds[1])) {
        cf.fail(`value must be between ${bounds[0]} and ${bounds[1]}`);
      }
      return value;
    },
    ...extras,
  };
}

/** One word out of a list. */
export function oneOf<const T extends string>(
  contexts: number,
  words: readonly T[],
  standard: T,
  extras: Extras<T> = {},
): Row<T> {
  return {
    in: contexts,
    args: '1',
    default: standard,
    syntax: words.join(' | '),
    defaultText: standard,
    set(cf, previous) {
      once(cf, previous);
      const word = words.find((w) => w.toLowerCase() === cf.args[0]!.toLowerCase());
      return word ?? cf.fail(`invalid value "${cf.args[0]}"`);
    },
    ...extras,
  };
}

/** A set of words out of a list. */
export function someOf<const T extends string>(
  contexts: number,
  words: readonly T[],
  standard: readonly T[],
  extras: Extras<ReadonlySet<T>> = {},
): Row<ReadonlySet<T>> {
  return {
    in: contexts,
    args: '1+',
    default: new Set(standard),
    syntax: `${words.join(' | ')} ...`,
    defaultText: standard.join(' '),
    set(cf, previous) {
      // Written several times, such a directive adds up (ngx_conf_set_bitmask_slot).
      const found = new Set<T>(previous);
      for (const arg of cf.args) {
        const word = words.find((w) => w.toLowerCase() === arg.toLowerCase());
        if (word !== undefined && found.has(word)) cf.compiler.warn(`duplicate value "${arg}"`, cf.directive);
        found.add(word ?? cf.fail(`invalid value "${arg}"`));
      }
      return found;
    },
    ...extras,
  };
}

/** A plain string without variables. */
export function text(contexts: number, standard: string, extras?: Extras<string>): Row<string>;
export function text(
  contexts: number,
  standard: undefined,
  extras?: Extras<string | undefined>,
): Row<string | undefined>;
export function text(
  contexts: number,
  standard: string | undefined,
  extras: Extras<string> | Extras<string | undefined> = {},
): AnyRow {
  return {
    in: contexts,
    args: '1',
    default: standard,
    syntax: 'string',
    defaultText: standard,
    set(cf: Cf, previous: string | undefined) {
      once(cf, previous);
      return cf.args[0]!;
    },
    ...(extras as object),
  };
}

/** A string with variables, compiled. */
export function template(contexts: number, extras: Extras<Template | undefined> = {}): Row<Template | undefined> {
  return {
    in: contexts,
    args: '1',
    default: undefined,
    syntax: 'string',
    defaultText: undefined,
    set(cf, previous) {
      once(cf, previous);
      return cf.template(cf.args[0]!);
    },
    ...extras,
  };
}

/** Any other directive. */
export function custom<T>(
  contexts: number,
  args: string,
  row: {
    default: T;
    set: (cf: Cf, previous: T | undefined) => T;
    syntax: string;
    defaultText?: string;
    merge?: (parent: T, own: T | undefined) => T;
    isBlock?: boolean;
    note?: string;
    isRepeatable?: boolean;
  },
): Row<T> {
  return {
    defaultText: undefined,
    ...row,
    in: contexts,
    args,
    set(cf, previous) {
      if (!row.isRepeatable) once(cf, previous);
      return row.set(cf, previous);
    },
  };
}

/** A directive that acts when it is read and holds no value (blocks, `set`, `return`, `deny`, …). */
export function action(
  contexts: number,
  args: string,
  syntax: string,
  act: (cf: Cf) => void,
  extras: { isBlock?: boolean; note?: string; defaultText?: string } = {},
): Row<undefined> {
  return {
    in: contexts,
    args,
    syntax,
    defaultText: undefined,
    default: undefined,
    set(cf) {
      act(cf);
      return undefined;
    },
    ...extras,
  };
}

/** Whether `count` arguments fit the row's arity. */
export function arityFits(arity: string, got: number): boolean {
  if (arity === 'any') return true;
  if (arity === 'none') return got === 0;
  if (arity === 'flag') return got === 1;
  const [low, high] = arity.endsWith('+') ? [arity.slice(0, -1), 'Infinity'] : arity.split('-');
  return got >= Number(low) && got <= Number(high ?? low);
}

export type Level = 'core' | 'main' | 'server' | 'location';

export interface ModuleRows {
  core?: Rows;
  main?: Rows;
  server?: Rows;
  location?: Rows;
}

let moduleCount = 0;

/** What every level of the configuration carries: one frozen object of values a module. */
export interface Holder {
  readonly conf: readonly unknown[];
}

/** A module: its rows by level, and typed access to their values. Made once, at import. */
export class ConfModule<R extends ModuleRows> {
  readonly name: string;
  readonly rows: R;
  readonly #at: number;

  constructor(name: string, rows: R) {
    this.name = name;
    this.rows = rows;
    this.#at = moduleCount++ * 4;
  }

  /** Slot of this module's values of one level in `Holder.conf`. */
  slot(level: Level): number {
    return this.#at + (level === 'core' ? 0 : level === 'main' ? 1 : level === 'server' ? 2 : 3);
  }

  core(holder: Holder): ConfOf<NonNullable<R['core']>> {
    return holder.conf[this.#at] as ConfOf<NonNullable<R['core']>>;
  }

  main(holder: Holder): ConfOf<NonNullable<R['main']>> {
    return holder.conf[this.#at + 1] as ConfOf<NonNullable<R['main']>>;
  }

  server(holder: Holder): ConfOf<NonNullable<R['server']>> {
    return holder.conf[this.#at + 2] as ConfOf<NonNullable<R['server']>>;
  }

  location(holder: Holder): ConfOf<NonNullable<R['location']>> {
    return holder.conf[this.#at + 3] as ConfOf<NonNullable<R['location']>>;
  }
}

/** Declares a module. */
export function defineModule<R extends ModuleRows>(name: string, rows: R): ConfModule<R> {
  return new ConfModule(name, rows);
}
