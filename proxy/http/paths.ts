// From URI to path on disk: root and alias as they hold in a location (ngx_http_map_uri_to_path).
import type { Compiler } from '../config/compile.ts';
import { constantTemplate } from '../config/template.ts';
import { coreModule, type RootPath } from '../modules/core-rows.ts';
import type { Exchange } from './exchange.ts';
import type { Location } from './location.ts';

/** The root that holds in a location: its own, or the enclosing one's. */
export interface EffectiveRoot {
  readonly root: RootPath;
  /** Length of the URI part that an alias replaces; 0 for a root; -1: the alias is the whole path (regex location). */
  readonly aliasLength: number;
}

const KEY = Symbol('root');

/** Prepare: computes the effective root. */
export function prepareRoot(location: Location, compiler: Compiler): void {
  const { values } = location.scope!;
  const { root, alias } = coreModule.rows.location;
  const own = (values.get(root) ?? values.get(alias)) as RootPath | undefined;
  let effective: EffectiveRoot | undefined;
  if (own) {
    effective = { root: own, aliasLength: own.isAlias ? (location.kind === 'regex' ? -1 : location.name.length) : 0 };
  } else {
    effective = location.parent?.prepared.get(KEY) as EffectiveRoot | undefined;
    const inherited = coreModule.location(location).root;
    effective ??= {
      root: inherited ?? { path: constantTemplate(compiler.fullPath('html')), isAlias: false },
      aliasLength: 0,
    };
  }
  location.prepared.set(KEY, effective);
}

/** The effective root of the request's location. */
export function rootOf(location: Location): EffectiveRoot {
  return location.prepared.get(KEY) as EffectiveRoot;
}

/** Path of `uri` on disk (bytes in latin1). */
export function pathOf(r: Exchange, uri: string): string {
  const { root, aliasLength } = rootOf(r.location);
  const base = root.path.constant ?? root.path.evaluate(r);
  if (aliasLength === 0) return base + uri;
  if (aliasLength < 0) return base;
  return base + uri.slice(aliasLength);
}
