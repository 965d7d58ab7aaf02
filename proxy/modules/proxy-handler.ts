// The content handler of a location with proxy_pass: it decides where the request goes and what it says there, reads
// the client's body (or lets it stream), and hands over to the upstream room. Mirrors ngx_http_proxy_handler and
// ngx_http_proxy_create_request.

import { httpDate } from '../clock.ts';
import type { Template } from '../config/template.ts';
import type { Variable } from '../config/variables.ts';
import { DONE } from '../http/codes.ts';
import type { Exchange } from '../http/exchange.ts';
import { escapeLineBreaks, escapeUri } from '../http/uri.ts';
import { type RequestMaker, UpstreamRequest } from '../upstream/request.ts';
import type { UpstreamSettings, UpstreamTarget } from '../upstream/settings.ts';
import type { RequestHeaders } from './proxy-headers.ts';
import { type ProxyPass, targetOf } from './proxy-pass.ts';

/** Key of a location's ProxyLocation. */
export const PROXY_LOCATION = Symbol('proxy');

/** What a location says about proxying, ready for requests. */
export interface ProxyLocation {
  readonly pass: ProxyPass;
  readonly settings: UpstreamSettings;
  readonly headers: RequestHeaders;
  /** For requests whose response may be kept. */
  readonly cacheHeaders: RequestHeaders | undefined;
  readonly isHttp11: boolean;
  readonly method: Template | undefined;
  /** `proxy_set_body`. */
  readonly body: Template | undefined;
  readonly passesClientHeaders: boolean;
}

class ProxyMaker implements RequestMaker {
  readonly #r: Exchange;
  readonly #location: ProxyLocation;
  readonly #target: UpstreamTarget;
  readonly uri: string;
  method: string;
  readonly sendsBody: boolean;
  /** `$proxy_internal_chunked`. */
  isChunked = false;
  /** `$proxy_internal_body_length`, -1: not known. */
  bodyLength = -1;

  constructor(r: Exchange, location: ProxyLocation, target: UpstreamTarget) {
    this.#r = r;
    this.#location = location;
    this.#target = target;
    this.method = location.method ? location.method.evaluate(r) : r.method;
    const uri = upstreamUri(r, location.pass, target);
    this.uri = r.hasLineBreak ? escapeLineBreaks(uri) : uri;
    this.sendsBody = location.body === undefined && location.settings.passesRequestBody;
  }

  get cacheKey(): string {
    const { schema, host, hostHeader } = this.#target;
    return `${schema}${host.startsWith('unix:') ? `${host}:` : hostHeader}${this.uri}`;
  }

  head(u: UpstreamRequest): string {
    const r = this.#r;
    const location = this.#location;
    const isCacheable = u.cache?.isCacheable === true;
    if (u.cache?.convertsHead && r.method === 'HEAD') this.method = 'GET';
    const headers = (isCacheable && location.cacheHeaders) || location.headers;
    const body = location.body?.evaluate(r);
    if (body !== undefined) this.bodyLength = body.length;
    else if (r.isChunked && u.isBodyUnbuffered) this.isChunked = true;
    else this.bodyLength = r.isChunked ? (r.body?.received ?? -1) : r.contentLength;
    const host = this.#target.hostHeader;
    const hostHeader = r.hasLineBreak ? escapeLineBreaks(host) : host;
    const facts = { hostHeader, bodyLength: this.bodyLength, isChunked: this.isChunked };
    const lines = headers.lines(r, facts, location.passesClientHeaders);
    return `${this.method} ${this.uri} HTTP/1.${location.isHttp11 ? '1' : '0'}\r\n${lines}\r\n${body ?? ''}`;
  }
}

/** Path and query that the upstream is asked for. */
function upstreamUri(r: Exchange, pass: ProxyPass, target: UpstreamTarget): string {
  if (pass.template && target.uri !== '') return target.uri;
  if (target.uri === '' && r.isUnparsedValid) return r.unparsedUri;
  const replaces = r.isLocationValid && target.uri !== '';
  const rest = replaces ? r.uri.slice(pass.locationLength) : r.uri;
  const isQuoted = r.isInternal || r.unparsedUri.includes('%');
  const path = (replaces ? target.uri : '') + (isQuoted ? escapeUri(rest) : rest);
  return r.args === '' ? path : `${path}?${r.args}`;
}

/** Handles a request of a location with proxy_pass. */
export function proxyHandler(r: Exchange): number {
  const location = r.location.prepared.get(PROXY_LOCATION) as ProxyLocation | undefined;
  if (!location) {
    // The handler of one `if` block and the settings of another.
    r.log('alert', 'no upstream configuration');
    return 500;
  }
  const target = targetOf(location.pass, r);
  if (!target) return 500;
  const maker = new ProxyMaker(r, location, target);
  if (maker.uri === '') {
    r.log('error', 'zero length URI to proxy');
    return 500;
  }
  const { settings } = location;
  const body = r.parent ? undefined : r.body;
  const isUnbuffered =
    body !== undefined &&
    !body.isComplete &&
    !body.store &&
    !settings.isRequestBuffering &&
    maker.sendsBody &&
    (!r.isChunked || location.isHttp11);
  const u = new UpstreamRequest(r, settings, target, maker);
  r.upstream = u;
  r.testExpect();
  if (isUnbuffered) u.streamBody(body);
  if (!body || isUnbuffered || (r.contentLength < 0 && !r.isChunked)) {
    u.start();
    return DONE;
  }
  body.readAll((code) => {
    if (code === 0) u.start();
    else r.finalize(code);
  });
  return DONE;
}

function makerOf(r: Exchange): ProxyMaker | undefined {
  const { upstream } = r;
  return upstream instanceof UpstreamRequest && upstream.maker instanceof ProxyMaker ? upstream.maker : undefined;
}

/** Client addresses that the request came over, ours added. */
function addForwardedFor(r: Exchange): string {
  const before = r.headers.joined('x-forwarded-for');
  return before === undefined || before === '' ? r.client.remoteAddress : `${before}, ${r.client.remoteAddress}`;
}

export const PROXY_VARIABLES: readonly (readonly [string, Variable])[] = [
  ['proxy_host', { get: (r) => r.upstream?.hostHeader }],
  ['proxy_port', { get: (r) => r.upstream?.portText }],
  ['proxy_add_x_forwarded_for', { get: addForwardedFor }],
  [
    'proxy_internal_body_length',
    {
      get(r) {
        const length = makerOf(r)?.bodyLength ?? -1;
        return length < 0 ? undefined : String(length);
      },
    },
  ],
  [
    'upstream_cache_last_modified',
    {
      get(r) {
        const lastModified = r.upstream?.cacheCondition?.lastModified ?? -1;
        return lastModified < 0 ? undefined : httpDate(lastModified);
      },
    },
  ],
  ['upstream_cache_etag', { get: (r) => r.upstream?.cacheCondition?.etag || undefined }],
  ['proxy_internal_chunked', { get: (r) => (makerOf(r)?.isChunked ? 'chunked' : undefined) }],
];
