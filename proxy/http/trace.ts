// What `portico explain` sees of a request: the places where the proxy decides tell it what they decided. A connection
// that is served has no trace, so that all it costs is looking for one. The texts are made here and by the deciders, in
// the configuration's own words; nothing is decided twice.
import type { Place } from '../config/error.ts';
import type { Directive } from '../config/parser.ts';
import type { ListenAddress } from '../listen/address.ts';
import type { Peer } from '../upstream/peer.ts';
import type { UpstreamRequest } from '../upstream/request.ts';
import type { Exchange } from './exchange.ts';
import type { Location } from './location.ts';
import type { Found } from './virtual-server.ts';

/** What a decision is about. */
export type Stage = 'server' | 'location' | 'rewrite' | 'phase' | 'file' | 'redirect' | 'upstream' | 'log';

export interface Trace {
  /** Takes one decision; `at` is the directive that it comes from. */
  observe(stage: Stage, text: string, at?: Place): void;
  /** Called in place of connecting to `peer`; takes the request over. */
  connecting(u: UpstreamRequest, peer: Peer): void;
  /** A request is over and logged. */
  finished(r: Exchange): void;
}

/** A directive as written, without its block. */
export function directiveText({ name, args, isQuoted, block }: Directive): string {
  const words = args.map((arg, i) => (isQuoted[i] || arg === '' || /[\s;{}]/.test(arg) ? JSON.stringify(arg) : arg));
  return `${[name, ...words].join(' ')}${block ? ' { ... }' : ';'}`;
}

/** A location as the configuration writes it. */
export function locationText({ kind, name, regex, isRegexOff, parent }: Location): string {
  if (kind === 'regex') return `location ${regex!.regex.ignoreCase ? '~*' : '~'} ${name}`;
  if (kind === 'exact') return `location = ${name}`;
  if (kind === 'noname') return parent ? 'the block' : 'the server block';
  return `location ${isRegexOff ? '^~ ' : ''}${name}`;
}

/** Tells what a search for `uri` inside `outer` found in the exact and prefix locations there. */
export function tracePrefixes(trace: Trace, outer: Location, uri: string, chosen: Location | undefined): void {
  for (const location of outer.children) {
    if (location.kind === 'exact') {
      const why = location === chosen ? 'is the URI: chosen, the search ends' : 'is not the URI';
      trace.observe('location', `${locationText(location)} ${why}`, location);
    } else if (location.kind === 'prefix') {
      let why = uri.startsWith(location.name) ? 'matches, but a longer prefix does too' : 'is no prefix of the URI';
      if (chosen?.kind === 'exact') why = 'is not looked at, an exact location was found';
      else if (location === chosen) why = 'is the longest prefix that matches: remembered';
      trace.observe('location', `${locationText(location)} ${why}`, location);
    }
  }
}

/** Tells of the regular expressions that a search did not come to. */
export function traceSkipped(trace: Trace, locations: readonly Location[], why: string): void {
  for (const location of locations)
    trace.observe('location', `${locationText(location)} is not tried, ${why}`, location);
}

const NAME_KINDS = {
  exact: 'is its name',
  dot: 'matches',
  head: 'is the longest name with a leading * that matches',
  tail: 'is the longest name with a trailing * that matches',
  regex: 'is the first regular expression that matches',
  invalid: 'never matches',
} as const;

/** Tells which server a host leads to. */
export function traceServer(trace: Trace, listen: ListenAddress, host: string, found: Found | undefined): void {
  const asked = host === '' ? 'no host is named' : `host "${host}"`;
  if (found) {
    trace.observe('server', `${asked}: server_name "${found.name.text}" ${NAME_KINDS[found.name.kind]}`, found.server);
    return;
  }
  const why = listen.isDefault ? 'is the default_server of this address' : 'stands first on this address';
  trace.observe('server', `${asked}: no server_name matches, this server ${why}`, listen.defaultServer);
}
