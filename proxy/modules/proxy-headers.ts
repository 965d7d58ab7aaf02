// The head of the request that proxy_pass sends on: the headers of proxy_set_header and the standard ones, compiled
// once for each location into literals with templates between them, then those of the client that neither replaces.
// Mirrors ngx_http_proxy_init_headers and the header part of ngx_http_proxy_create_request.
import type { Compiler } from '../config/compile.ts';
import type { Template } from '../config/template.ts';
import type { Exchange } from '../http/exchange.ts';
import { escapeLineBreaks } from '../http/uri.ts';

/** One `proxy_set_header`. */
export interface SetHeader {
  readonly name: string;
  readonly value: string;
  readonly place: { file: string; line: number };
}

type Defaults = readonly (readonly [name: string, value: string])[];

/** Sent unless proxy_set_header says otherwise; an empty value takes the client's header away. */
export const STANDARD_HEADERS: Defaults = [
  ['Host', '$proxy_host'],
  ['Connection', 'close'],
  ['Content-Length', '$proxy_internal_body_length'],
  ['Transfer-Encoding', '$proxy_internal_chunked'],
  ['TE', ''],
  ['Keep-Alive', ''],
  ['Expect', ''],
  ['Upgrade', ''],
];

/** The same for a request whose response goes into a cache: conditions are the cache's, ranges are cut by us. */
export const CACHE_HEADERS: Defaults = [
  ...STANDARD_HEADERS,
  ['If-Modified-Since', '$upstream_cache_last_modified'],
  ['If-Unmodified-Since', ''],
  ['If-None-Match', '$upstream_cache_etag'],
  ['If-Match', ''],
  ['Range', ''],
  ['If-Range', ''],
];

/** What the default headers need to know of a request. */
export interface HeaderFacts {
  readonly hostHeader: string;
  /** -1: no Content-Length. */
  readonly bodyLength: number;
  readonly isChunked: boolean;
}

interface Variable {
  readonly prefix: string;
  readonly template: Template;
}

type Part = string | Variable | 'host' | 'length' | 'chunked';

const HOST = 'host';
const LENGTH = 'length';
const CHUNKED = 'chunked';

export class RequestHeaders {
  readonly #parts: readonly Part[];
  readonly #replaced: ReadonlySet<string>;

  constructor(own: readonly SetHeader[], defaults: Defaults, compiler: Compiler) {
    const parts: Part[] = [];
    const replaced = new Set<string>();
    const literal = (text: string): void => {
      const last = parts.length - 1;
      const before = parts[last];
      if (typeof before === 'string' && before.endsWith('\n')) parts[last] = before + text;
      else parts.push(text);
    };
    for (const { name, value, place } of own) {
      replaced.add(name.toLowerCase());
      if (value === '') continue;
      const template = compiler.template(value, place);
      if (template.constant === undefined) parts.push({ prefix: `${name}: `, template });
      else literal(`${name}: ${value}\r\n`);
    }
    for (const [name, value] of defaults) {
      const lower = name.toLowerCase();
      if (replaced.has(lower)) continue;
      replaced.add(lower);
      if (value === '') continue;
      if (value === '$proxy_host') parts.push(HOST);
      else if (value === '$proxy_internal_body_length') parts.push(LENGTH);
      else if (value === '$proxy_internal_chunked') parts.push(CHUNKED);
      else if (value.startsWith('$')) {
        parts.push({ prefix: `${name}: `, template: compiler.template(value, { file: '', line: 0 }) });
      } else literal(`${name}: ${value}\r\n`);
    }
    this.#parts = parts;
    this.#replaced = replaced;
  }

  /** The header lines, without the empty one. */
  lines(r: Exchange, facts: HeaderFacts, passesClientHeaders: boolean): string {
    let out = '';
    for (const part of this.#parts) {
      if (typeof part !== 'string') {
        const raw = part.template.evaluate(r);
        const value = r.hasLineBreak ? escapeLineBreaks(raw) : raw;
        if (value !== '') out += `${part.prefix}${value}\r\n`;
      } else if (part === HOST) {
        if (facts.hostHeader !== '') out += `Host: ${facts.hostHeader}\r\n`;
      } else if (part === LENGTH) {
        if (facts.bodyLength >= 0) out += `Content-Length: ${facts.bodyLength}\r\n`;
      } else if (part === CHUNKED) {
        if (facts.isChunked) out += 'Transfer-Encoding: chunked\r\n';
      } else out += part;
    }
    if (!passesClientHeaders) return out;
    const { names, lower, values } = r.headers;
    for (let i = 0; i < names.length; i++) {
      if (!this.#replaced.has(lower[i]!)) out += `${names[i]}: ${values[i]}\r\n`;
    }
    return out;
  }
}
