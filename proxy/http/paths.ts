// From a request's URI to a path on disk: `root` appends the URI, `alias` replaces the location's name by its own path.
// Used by the modules that serve or test files and by $request_filename and its like. Mirrors
// ngx_http_map_uri_to_path. Paths are byte strings (latin1), like everything that came over the wire.
import type { Compiler } from '../config/compile.ts';
import { constantTemplate, type Template } from '../config/template.ts';
import { coreModule } from '../modules/core-rows.ts';
import type { Exchange } from './exchange.ts';
import type { Location } from './location.ts';

/** The whole URI is replaced (an `alias` in a regex location). */
const WHOLE = -1;

/** `root` or `alias` as it holds in one location. */
export class FileRoot {
  readonly template: Template;
  /** Put before a path that turns out to be relative; ends with a slash. */
  readonly prefix: string;
  /** 0: `root`; else how much of the URI the alias replaces. */
  readonly aliasLength: number;

  constructor(template: Template, prefix: string, aliasLength: number) {
    this.template = template;
    this.prefix = prefix;
    this.aliasLength = aliasLength;
  }

  get isAlias(): boolean {
    return this.aliasLength !== 0;
  }

  /** An alias that takes the place of the whole URI. */
  get isWhole(): boolean {
    return this.aliasLength === WHOLE;
  }

  /** The path without any part of the URI. */
  evaluate(r: Exchange): string {
    const { constant } = this.template;
    if (constant !== undefined) return constant;
    const path = this.template.evaluate(r);
    return path.startsWith('/') ? path : this.prefix + path;
  }
}

/** Settles which of `root` and `alias` holds here: the nearer one. To be run on every location. */
export function prepareRoot(location: Location, compiler: Compiler): void {
  const { rows } = coreModule;
  const written = location.scope?.values;
  const conf = coreModule.location(location);
  const { prefix } = compiler.options;
  let root: FileRoot | undefined;
  if (written?.has(rows.location.alias)) {
    const length = location.kind === 'regex' ? WHOLE : location.name.length;
    root = new FileRoot(conf.alias!.path, prefix, length);
  } else if (!written?.has(rows.location.root) && location.parent) {
    root = rootOf(location.parent);
  } else {
    root = new FileRoot(conf.root?.path ?? constantTemplate(compiler.fullPath('html')), prefix, 0);
  }
  location.prepared.set(FileRoot, root);
}

/** The root of a location. */
export function rootOf(location: Location): FileRoot {
  return location.prepared.get(FileRoot) as FileRoot;
}

/** The path of `uri`; undefined (and an alert in the log) where an alias cannot be applied: answer 500. */
export function pathOf(r: Exchange, uri = r.uri): string | undefined {
  const root = rootOf(r.location);
  const { aliasLength } = root;
  if (aliasLength === 0) return root.evaluate(r) + uri;
  if (!isUsable(r, root)) return undefined;
  if (aliasLength === WHOLE) return r.addsUriToAlias ? root.evaluate(r) + uri : root.evaluate(r);
  return root.evaluate(r) + uri.slice(aliasLength);
}

/** The root's own path; undefined as for `pathOf`. */
export function rootPathOf(r: Exchange): string | undefined {
  const root = rootOf(r.location);
  return isUsable(r, root) ? root.evaluate(r) : undefined;
}

function isUsable(r: Exchange, root: FileRoot): boolean {
  if (!root.isAlias || r.isLocationValid) return true;
  r.log('alert', `"alias" cannot be used in location "${r.location.name}" where URI was rewritten`);
  return false;
}

export { fsPath } from './fs-path.ts';
