// Locations and how one is chosen: an exact match ends the search; else the longest prefix is remembered, and unless it
// says `^~` the regular expressions are tried in order; the first that matches wins, else the remembered prefix.
// Locations nest, and the search goes on inside the chosen one. Mirrors ngx_http_core_find_location.

import type { Scope } from '../config/compile.ts';
import type { CompiledRegex } from '../config/regex.ts';
import type { Exchange } from './exchange.ts';
import { locationText, type Trace, tracePrefixes, traceSkipped } from './trace.ts';

export type LocationKind = 'exact' | 'prefix' | 'regex' | 'named' | 'noname';

/** What answers a request in the content phase. */
export type ContentHandler = (r: Exchange) => number;

export class Location {
  readonly kind: LocationKind;
  /** As nginx shows it: the prefix, the pattern, or `@name`. */
  readonly name: string;
  readonly regex: CompiledRegex | undefined;
  /** `^~`: no regular expressions after this prefix. */
  readonly isRegexOff: boolean;
  readonly file: string;
  readonly line: number;
  /** Final values, by module; set when the whole configuration was read. */
  conf: readonly unknown[] = [];
  /** Derived data of modules, by their own keys. */
  readonly prepared = new Map<unknown, unknown>();
  readonly children: Location[] = [];
  table: LocationTable = NO_LOCATIONS;
  handler: ContentHandler | undefined;
  /** `/dir` is redirected to this `/dir/` location (it proxies). */
  isAutoRedirect = false;
  isInternal = false;
  /** `limit_except`: the methods that this location serves, and the location that serves the others. */
  limitExcept: { readonly methods: ReadonlySet<string>; readonly location: Location } | undefined;
  /** Values as written; gone once `conf` is there. */
  scope: Scope | undefined;
  /** The server's outermost location or the enclosing one. */
  readonly parent: Location | undefined;

  constructor(
    kind: LocationKind,
    name: string,
    place: { file: string; line: number },
    parent?: Location,
    regex?: CompiledRegex,
    isRegexOff = false,
  ) {
    this.kind = kind;
    this.name = name;
    this.file = place.file;
    this.line = place.line;
    this.parent = parent;
    this.regex = regex;
    this.isRegexOff = isRegexOff;
  }
}

export class LocationTable {
  #exact = new Map<string, Location>();
  #prefixes = new Map<string, Location>();
  /** Distinct lengths of the prefixes, longest first. */
  #lengths: number[] = [];
  #redirects = new Map<string, Location>();
  readonly regexes: Location[] = [];
  readonly named = new Map<string, Location>();

  static build(locations: readonly Location[]): LocationTable {
    if (locations.length === 0) return NO_LOCATIONS;
    const table = new LocationTable();
    for (const location of locations) {
      if (location.kind === 'exact') table.#exact.set(location.name, location);
      else if (location.kind === 'prefix') {
        table.#prefixes.set(location.name, location);
        if (!table.#lengths.includes(location.name.length)) table.#lengths.push(location.name.length);
      } else if (location.kind === 'regex') table.regexes.push(location);
      else if (location.kind === 'named') {
        // The first of two with one name is the one that is found.
        if (!table.named.has(location.name)) table.named.set(location.name, location);
      }
      if (location.isAutoRedirect) table.#redirects.set(location.name.slice(0, -1), location);
    }
    table.#lengths.sort((a, b) => b - a);
    return table;
  }

  exact(uri: string): Location | undefined {
    return this.#exact.get(uri);
  }

  longestPrefix(uri: string): Location | undefined {
    for (const length of this.#lengths) {
      if (length > uri.length) continue;
      const found = this.#prefixes.get(length === uri.length ? uri : uri.slice(0, length));
      if (found) return found;
    }
    return undefined;
  }

  redirect(uri: string): Location | undefined {
    return this.#redirects.get(uri);
  }
}

const NO_LOCATIONS = new LocationTable();

/** Outcome of a search: the location, whether `/dir` is to be redirected to `/dir/`, whether regexes are still tried. */
export interface Search {
  readonly location: Location;
  readonly isAutoRedirect: boolean;
  readonly isFinal: boolean;
}

/** Finds the location of `uri` inside `outer`; `onRegex` gets the match of each regular expression that is entered. */
export function findLocation(
  outer: Location,
  uri: string,
  onRegex: (location: Location, match: RegExpExecArray) => void,
  trace?: Trace,
): Search {
  const { table } = outer;
  if (table === NO_LOCATIONS) return { location: outer, isAutoRedirect: false, isFinal: false };
  const exact = table.exact(uri);
  if (trace) tracePrefixes(trace, outer, uri, exact ?? table.longestPrefix(uri));
  if (exact) {
    if (trace) traceSkipped(trace, table.regexes, 'an exact location was found');
    return { location: exact, isAutoRedirect: false, isFinal: true };
  }
  const prefix = table.longestPrefix(uri);
  let inner: Search | undefined;
  if (prefix?.name.length !== uri.length) {
    const redirect = table.redirect(uri);
    if (redirect) {
      trace?.observe(
        'location',
        `${locationText(redirect)} passes requests on, and lacks only the slash: redirect`,
        redirect,
      );
      return { location: redirect, isAutoRedirect: true, isFinal: true };
    }
  }
  if (prefix) {
    inner = findLocation(prefix, uri, onRegex, trace);
    if (inner.isFinal) return inner;
  }
  if (!prefix?.isRegexOff) {
    for (let i = 0; i < table.regexes.length; i++) {
      const location = table.regexes[i]!;
      const match = location.regex!.regex.exec(uri);
      if (trace) {
        const text = match ? 'matches: chosen, the search ends' : 'does not match';
        trace.observe('location', `${locationText(location)} ${text}`, location);
      }
      if (!match) continue;
      if (trace) traceSkipped(trace, table.regexes.slice(i + 1), 'an earlier one matched');
      onRegex(location, match);
      return { location: findLocation(location, uri, onRegex, trace).location, isAutoRedirect: false, isFinal: true };
    }
  } else if (trace) traceSkipped(trace, table.regexes, `"^~" of ${prefix.name} forbids it`);
  return inner ?? { location: outer, isAutoRedirect: false, isFinal: false };
}
