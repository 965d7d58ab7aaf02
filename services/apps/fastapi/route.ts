/**
 * A path operation: its path, what it takes, what it does. Paths are written as FastAPI writes them, `/items/{item_id}` and
 * `/files/{name:path}`.
 */

import type { DependencyMap, DependencyValues } from './dependencies.ts';
import type { Request } from './request.ts';
import type { Fields, Schema, ValuesOf } from './schema.ts';

/** What a handler gets, typed by the operation's declaration. */
export interface Inputs<P extends Fields, Q extends Fields, H extends Fields, B, D extends DependencyMap> {
  readonly path: ValuesOf<P>;
  readonly query: ValuesOf<Q>;
  readonly headers: ValuesOf<H>;
  readonly body: B;
  readonly deps: DependencyValues<D>;
  readonly request: Request;
}

/** The declaration of an operation. Everything is optional: an operation without any takes nothing. */
export interface Operation<P extends Fields, Q extends Fields, H extends Fields, B, D extends DependencyMap> {
  readonly path?: P;
  readonly query?: Q;
  /** Header fields by their name in Python's spelling, `user_agent`. */
  readonly headers?: H;
  readonly body?: Schema<B>;
  readonly deps?: D;
  /** What the operation answers: fields are chosen and written by it. */
  readonly response?: Schema<unknown>;
  readonly status?: number;
  readonly summary?: string;
  readonly tags?: readonly string[];
  /** The operation's name in the documentation; made from the path when it is not given. */
  readonly name?: string;
}

/** An operation with its types forgotten, as the framework keeps it. */
export interface Route {
  readonly path: string;
  readonly methods: readonly string[];
  readonly pattern: RegExp;
  readonly names: readonly string[];
  readonly operation: Operation<Fields, Fields, Fields, unknown, DependencyMap>;
  readonly handler: (inputs: never) => unknown;
  /** A plain `def`: it runs in the thread pool, under this key. */
  readonly poolKey: string | null;
  readonly isHidden: boolean;
}

/** Compiles a path to a pattern and the names of its parameters. */
export function compilePath(path: string): { readonly pattern: RegExp; readonly names: readonly string[] } {
  const names: string[] = [];
  const body = path.replace(/\{(\w+)(?::(\w+))?\}|[.*+?^$()|[\]\\]/g, (part, name, kind) => {
    if (name === undefined) return `\\${part}`;
    names.push(name);
    return kind === 'path' ? '(.*)' : '([^/]+)';
  });
  return { pattern: new RegExp(`^${body}$`), names };
}

/** What a path and method lead to. */
export type Found =
  | { readonly kind: 'route'; readonly route: Route; readonly params: Readonly<Record<string, string>> }
  | { readonly kind: 'method'; readonly allow: string }
  | { readonly kind: 'none' };

/** Looks a path up: the first route in order of definition wins, as in Starlette. */
export function findRoute(routes: readonly Route[], method: string, path: string): Found {
  let partial: Route | null = null;
  for (const route of routes) {
    const match = route.pattern.exec(path);
    if (!match) continue;
    if (route.methods.includes(method)) {
      return {
        kind: 'route',
        route,
        params: Object.fromEntries(route.names.map((name, index) => [name, match[index + 1] ?? ''])),
      };
    }
    partial ??= route;
  }
  return partial ? { kind: 'method', allow: partial.methods.join(', ') } : { kind: 'none' };
}
