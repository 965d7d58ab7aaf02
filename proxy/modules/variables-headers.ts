// Variables named after a header, cookie or argument: `http_*`, `sent_http_*`, `sent_trailer_*`, `cookie_*`, `arg_*`,
// and the lookups behind them, which the upstream variables use too. Mirrors ngx_http_variable_unknown_header,
// ngx_http_arg and ngx_http_parse_multi_header_lines of nginx 1.22.
import type { Variable } from '../config/variables.ts';
import type { Exchange } from '../http/exchange.ts';
import { loggedKeepAlive } from './variables-response.ts';

/** The value of the first header whose name is `wanted` in variable spelling (lower case, `_` for `-`). */
export function headerValue(names: readonly string[], values: readonly string[], wanted: string): string | undefined {
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    if (name.length === wanted.length && asVariable(name) === wanted) return values[i];
  }
  return undefined;
}

const SPELLED = new Map<string, string>();

function asVariable(name: string): string {
  let spelled = SPELLED.get(name);
  if (spelled === undefined) {
    spelled = name.toLowerCase().replaceAll('-', '_');
    if (SPELLED.size < 2048) SPELLED.set(name, spelled);
  }
  return spelled;
}

/** The value of a cookie in one `Cookie` header line; names are compared without regard to case. */
export function cookieValue(line: string, name: string): string | undefined {
  let at = 0;
  while (at < line.length) {
    if (startsWithNoCase(line, at, name)) {
      let p = skipSpaces(line, at + name.length);
      if (line[p] === '=') {
        p = skipSpaces(line, p + 1);
        const end = line.indexOf(';', p);
        return line.slice(p, end < 0 ? line.length : end);
      }
    }
    while (at < line.length) {
      const c = line[at++];
      if (c === ';' || c === ',') break;
    }
    at = skipSpaces(line, at);
  }
  return undefined;
}

function skipSpaces(line: string, from: number): number {
  let at = from;
  while (line[at] === ' ') at++;
  return at;
}

function startsWithNoCase(line: string, at: number, lower: string): boolean {
  return line.length - at >= lower.length && line.slice(at, at + lower.length).toLowerCase() === lower;
}

/** The value of the first argument of that name in a query string. */
export function argumentValue(args: string, name: string): string | undefined {
  if (args === '' || name === '') return undefined;
  let at = 0;
  while (at < args.length) {
    let end = args.indexOf('&', at);
    if (end < 0) end = args.length;
    if (args[at + name.length] === '=' && at + name.length < end && startsWithNoCase(args, at, name)) {
      return args.slice(at + name.length + 1, end);
    }
    at = end + 1;
  }
  return undefined;
}

function requestHeader(name: string): Variable {
  // X-Forwarded-For and Cookie are joined when they come more than once; of others the first counts.
  if (name === 'x_forwarded_for') return { get: (r) => r.headers.joined('x-forwarded-for') };
  if (name === 'cookie') return { get: (r) => r.headers.joined('cookie', '; ') };
  return { get: (r) => (r.headers ? headerValue(r.headers.lower, r.headers.values, name) : undefined) };
}

function responseHeader(name: string): Variable {
  const special = SENT[name];
  if (special) return { get: special, isCached: true };
  return { get: (r) => headerValue(r.out.names, r.out.values, name), isCached: true };
}

/** Response headers that nginx does not keep in the list, or joins. */
const SENT: Readonly<Record<string, (r: Exchange) => string | undefined>> = {
  content_type: (r) => (r.out.contentType === '' ? undefined : r.out.fullContentType()),
  content_length: (r) => {
    if (r.out.contentLength >= 0) return String(r.out.contentLength);
    return r.out.get('content-length');
  },
  last_modified: (r) => r.out.lastModifiedText() ?? r.out.get('last-modified'),
  // The log is written when nothing is known any more of what becomes of the connection: `close` (as in nginx).
  connection(r) {
    if (r.out.status === 101) return 'upgrade';
    return r.main.isKeepalive && !r.main.isFinished ? 'keep-alive' : 'close';
  },
  keep_alive: loggedKeepAlive,
  transfer_encoding: (r) => (r.isChunkedOut ? 'chunked' : undefined),
  cache_control: (r) => joinedOut(r, 'cache-control'),
  link: (r) => joinedOut(r, 'link'),
};

function joinedOut(r: Exchange, lower: string): string | undefined {
  const found = r.out.values.filter((_, i) => r.out.names[i]!.toLowerCase() === lower);
  return found.length === 0 ? undefined : found.join(', ');
}

function trailer(name: string): Variable {
  return { get: (r) => r.out.trailers?.find(([key]) => asVariable(key) === name)?.[1] };
}

function cookie(name: string): Variable {
  return {
    get(r) {
      const { lower, values } = r.headers;
      for (let i = 0; i < lower.length; i++) {
        if (lower[i] !== 'cookie') continue;
        const value = cookieValue(values[i]!, name);
        if (value !== undefined) return value;
      }
      return undefined;
    },
  };
}

function argument(name: string): Variable {
  return { get: (r) => argumentValue(r.args, name) };
}

/** `[prefix, maker]` for every family of this file. */
export const HEADER_PREFIXES: readonly (readonly [string, (rest: string) => Variable])[] = [
  ['http_', requestHeader],
  ['sent_http_', responseHeader],
  ['sent_trailer_', trailer],
  ['cookie_', cookie],
  ['arg_', argument],
];
