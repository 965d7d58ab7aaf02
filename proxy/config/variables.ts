// The table of `$variables`. Modules declare theirs with a getter; directives (`set`, `map`, regex captures) add more.
// A reference is resolved when the whole configuration has been read, so a variable may be used above its definition.
// Cached variables (map, geo, captures) are computed once a request and kept in `r.vars`, as nginx's indexed ones are.
import type { Exchange } from '../http/exchange.ts';
import { ConfigError, errorAt, type Place } from './error.ts';

/** Kept values of a request that has none yet. */
export const NO_VARS: (string | null | undefined)[] = [];

export interface Variable {
  /** Value for this request as bytes in latin1; undefined when not found. */
  readonly get: (r: Exchange) => string | undefined;
  readonly isCached?: boolean;
  /** What `set $name …` does instead of storing the value (`$args`, `$limit_rate`). */
  readonly set?: (r: Exchange, value: string) => void;
  /** False: `set`, `map` and captures may not redefine it. */
  readonly isChangeable?: boolean;
  /** Only declared by `set`: where no `set` was run, a family of that prefix (`http_`, …) answers instead. */
  readonly isWeak?: boolean;
}

/** A place in the configuration that names a variable. */
export class VariableRef {
  readonly name: string;
  readonly index: number;
  variable: Variable | undefined;
  /** `$1` … `$9`. */
  readonly isCapture: boolean;

  constructor(name: string, index: number) {
    this.isCapture = /^[1-9]$/.test(name);
    this.name = name;
    this.index = index;
  }

  get(r: Exchange): string | undefined {
    const { vars } = r;
    const known = vars[this.index];
    if (known !== undefined) return known === null ? undefined : known;
    const variable = this.variable!;
    const value = variable.get(r);
    if (variable.isCached) this.store(r, value === undefined ? null : value);
    return value;
  }

  /** Keeps a value for the rest of the request (`set`, captures); null means "not found". */
  store(r: Exchange, value: string | null): void {
    if (r.vars === NO_VARS) r.vars = [];
    r.vars[this.index] = value;
  }

  /** Drops a kept value, so that the next use computes it again. */
  forget(r: Exchange): void {
    if (r.vars !== NO_VARS) r.vars[this.index] = undefined;
  }
}

type Prefixed = (rest: string) => Variable;

export class VariableTable {
  #known = new Map<string, Variable>();
  #prefixes: [string, Prefixed][] = [];
  #references = new Map<string, VariableRef>();

  constructor(builtIn: Iterable<readonly [string, Variable]>, prefixes: Iterable<readonly [string, Prefixed]>) {
    for (const [name, variable] of builtIn) this.#known.set(name, variable);
    for (const [prefix, make] of prefixes) this.#prefixes.push([prefix, make]);
  }

  /** The shared reference of this name; unresolved until `resolve`. Names are case-insensitive. */
  reference(name: string): VariableRef {
    const key = name.toLowerCase();
    let ref = this.#references.get(key);
    if (!ref) {
      ref = new VariableRef(key, this.#references.size);
      this.#references.set(key, ref);
    }
    return ref;
  }

  /** The reference of a name where captures cannot be named (`if ($1)`, log_format). */
  named(name: string): VariableRef {
    if (/^[1-9]$/.test(name)) throw new ConfigError(`unknown "${name}" variable`);
    return this.reference(name);
  }

  /** Adds a variable that the configuration defines; a built-in one that may not be changed is an error. */
  define(name: string, variable: Variable, place: Place): VariableRef {
    const key = name.toLowerCase();
    const old = this.#known.get(key);
    if (old && old.isChangeable !== true) throw errorAt(place, `the duplicate "${key}" variable`);
    // A second `set` of the same name changes nothing; map and geo replace what `set` declared.
    if (!old || old.set === undefined) this.#known.set(key, { isChangeable: true, ...variable });
    return this.reference(key);
  }

  /** What `set` does: declares a name, unless it has a meaning already that may be stored over. */
  declare(name: string, variable: Variable, place: Place): VariableRef {
    const key = name.toLowerCase();
    const old = this.#known.get(key);
    if (old && old.isChangeable !== true) throw errorAt(place, `the duplicate "${key}" variable`);
    if (!old) this.#known.set(key, { ...variable, isChangeable: true, isWeak: true });
    return this.reference(key);
  }

  /** The variable, also by prefix (`http_`, `arg_`, …). */
  find(name: string): Variable | undefined {
    const known = this.#known.get(name);
    if (known && !known.isWeak) return known;
    if (/^[1-9]$/.test(name)) return { get: (r) => r.captures?.[Number(name)] };
    for (const [prefix, make] of this.#prefixes) {
      if (name.startsWith(prefix)) return make(name.slice(prefix.length));
    }
    return known;
  }

  /** The value of a variable whose name is known at run time only (SSI); undefined when there is none. */
  valueOf(r: Exchange, name: string): string | undefined {
    const ref = this.#references.get(name.toLowerCase());
    return ref?.variable ? ref.get(r) : this.find(name.toLowerCase())?.get(r);
  }

  /** Whether the configuration names one of them. */
  isUsed(list: readonly (readonly [string, Variable])[]): boolean {
    return list.some(([name]) => this.#references.has(name));
  }

  /** Binds every reference; raises nginx's `unknown "x" variable`. */
  resolve(): void {
    for (const ref of this.#references.values()) {
      if (ref.variable) continue;
      ref.variable = this.find(ref.name);
      if (!ref.variable) throw new ConfigError(`unknown "${ref.name}" variable`);
    }
  }
}
