// Third step: the tree of directives, walked against the table of rows, becomes the frozen, typed Config. Values are
// first kept by scope (as written), then every level gets its final object: own value, else the enclosing level's,
// else the default. Handlers see only these objects.
import { Location, LocationTable } from '../http/location.ts';
import type { Server } from '../http/virtual-server.ts';
import type { ListenAddress } from '../listen/address.ts';
import type { LogFile } from '../log.ts';
import { whyOutOfScope } from '../modules/out-of-scope.ts';
import type { Surroundings } from '../surroundings.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { ConfigError, errorAt, type Place } from './error.ts';
import type { Directive } from './parser.ts';
import * as rows from './rows.ts';
import {
  type AnyRow,
  arityFits,
  Cf,
  type ConfModule,
  type Holder,
  type Level,
  type ModuleRows,
  type Rows,
} from './rows.ts';
import { compileTemplate, type Template } from './template.ts';
import type { VariableTable } from './variables.ts';

// biome-ignore lint/suspicious/noExplicitAny: modules of all row types stand in one list
export type AnyModule = ConfModule<any>;

/** One block while the configuration is being read. */
export class Scope {
  readonly context: number;
  readonly parent: Scope | undefined;
  readonly values = new Map<AnyRow, unknown>();
  server: Server | undefined;
  location: Location | undefined;
  upstream: Upstream | undefined;

  constructor(context: number, parent: Scope | undefined) {
    this.context = context;
    this.parent = parent;
    this.server = parent?.server;
    this.location = parent?.location;
  }
}

/** What runs on every location once its values are final (a module's derived data, checks across directives). */
export type Prepare = (location: Location, compiler: Compiler) => void;

/** A name in the configuration that has an address to be looked up before the configuration is complete. */
export interface PendingHost {
  readonly host: string;
  readonly place: Place;
  readonly message: string;
  readonly apply: (addresses: readonly { address: string; family: number }[]) => void;
}

export interface CompileOptions {
  /** Prefix of relative paths, with a trailing slash. */
  readonly prefix: string;
  /** Directory of the configuration file, with a trailing slash; `include` and certificates are relative to it. */
  readonly confPrefix: string;
  readonly warn: (message: string) => void;
  readonly surroundings?: Surroundings | undefined;
  /** Sees every directive that was understood, and the scope that it stands in. */
  readonly onDirective?: ((directive: Directive, scope: Scope) => void) | undefined;
}

export class Compiler {
  readonly options: CompileOptions;
  readonly variables: VariableTable;
  readonly servers: Server[] = [];
  readonly upstreams = new Map<string, Upstream>();
  readonly listens = new Map<string, ListenAddress>();
  readonly pendingHosts: PendingHost[] = [];
  /** Files to open, checks to make and tables to build when everything was read, in order. */
  readonly atEnd: (() => void)[] = [];
  /** Names of the thread pools that are declared. */
  readonly threadPools = new Set(['default']);
  /** Every log file of the configuration. */
  readonly logFiles: LogFile[] = [];
  /** Things shared by name across the configuration: zones, log formats, caches. */
  readonly named = new Map<string, unknown>();
  readonly #modules: readonly AnyModule[];
  readonly #table = new Map<string, AnyRow[]>();
  readonly #prepare: readonly Prepare[];
  hasHttp = false;
  httpScope: Scope | undefined;
  /** Where http ends: the place of mistakes that show only when its levels are put together. */
  httpEnd: Place = { file: '', line: 0 };
  readonly serverScopes = new Map<Server, Scope>();

  constructor(
    options: CompileOptions,
    modules: readonly AnyModule[],
    variables: VariableTable,
    prepare: readonly Prepare[],
  ) {
    this.options = options;
    this.variables = variables;
    this.#modules = modules;
    this.#prepare = prepare;
    for (const module of modules) {
      for (const level of Object.values(module.rows as Record<string, Rows>)) {
        for (const [name, row] of Object.entries(level)) {
          const same = this.#table.get(name);
          if (same) same.push(row);
          else this.#table.set(name, [row]);
        }
      }
    }
  }

  /** Runs the directives of one block in order. */
  walk(directives: readonly Directive[], scope: Scope): void {
    for (const directive of directives) {
      if (directive.fault) throw directive.fault;
      this.#one(directive, scope);
    }
  }

  #one(directive: Directive, scope: Scope): void {
    const { name, args, block } = directive;
    const candidates = this.#table.get(name);
    if (!candidates) throw errorAt(directive, whyOutOfScope(directive) ?? `unknown directive "${name}"`);
    const row = candidates.find((r) => r.in & scope.context);
    if (!row) throw errorAt(directive, `"${name}" directive is not allowed here`);
    if (block && !row.isBlock) throw errorAt(directive, `directive "${name}" is not terminated by ";"`);
    if (!block && row.isBlock) throw errorAt(directive, `directive "${name}" has no opening "{"`);
    if (!arityFits(row.args, args.length)) {
      throw errorAt(directive, `invalid number of arguments in "${name}" directive`);
    }
    const value = row.set(new Cf(directive, this, scope), scope.values.get(row));
    if (value !== undefined) scope.values.set(row, value);
    this.options.onDirective?.(directive, scope);
  }

  /** Declares a named capture of a regular expression as a variable. */
  capture(name: string, place: Place): void {
    this.variables.define(name, { get: () => undefined, isChangeable: true }, place);
  }

  template(text: string, place: Place): Template {
    return compileTemplate(text, this.variables, place);
  }

  /** A path of the configuration, absolute; `kind` says relative to what. */
  fullPath(path: string, kind: 'prefix' | 'conf' = 'prefix'): string {
    if (path.startsWith('/')) return path;
    return (kind === 'conf' ? this.options.confPrefix : this.options.prefix) + path;
  }

  warn(message: string, place?: Place): void {
    this.options.warn(place ? `${message} in ${place.file}:${place.line}` : message);
  }

  /** The value objects of one level, from the scopes between it and the top. */
  level(level: Level, scope: Scope, parent: readonly unknown[] | undefined, into: unknown[]): void {
    for (const module of this.#modules) {
      const own = (module.rows as ModuleRows)[level];
      if (!own) continue;
      const slot = module.slot(level);
      const above = parent?.[slot] as Record<string, unknown> | undefined;
      const values: Record<string, unknown> = {};
      for (const [name, row] of Object.entries(own)) {
        const set = scope.values.get(row);
        const inherited = above ? above[name] : row.default;
        values[name] = row.merge ? row.merge(inherited, set) : set !== undefined ? set : inherited;
      }
      into[slot] = Object.freeze(values);
    }
  }

  /** Fills in the location's values, then those of the locations inside it. */
  finishLocation(location: Location, parent: Holder): void {
    const conf: unknown[] = [...parent.conf];
    this.level('location', location.scope!, parent.conf, conf);
    location.conf = conf;
    for (const prepare of this.#prepare) prepare(location, this);
    for (const child of location.children) this.finishLocation(child, location);
    location.table = LocationTable.build(location.children);
    location.scope = undefined;
  }

  /** Looks a named thing up, or makes it. */
  shared<T>(key: string, make: () => T): T {
    let found = this.named.get(key) as T | undefined;
    if (found === undefined) {
      found = make();
      this.named.set(key, found);
    }
    return found;
  }
}

export { ConfigError, Location, rows };
