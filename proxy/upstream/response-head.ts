// The head of an upstream's response: parsed strictly, then translated into the head of ours. Which headers are obeyed,
// passed on, rewritten or dropped, and in which order, is nginx's table ngx_http_upstream_headers_in.
import { parseHttpDate } from '../clock.ts';
import type { Exchange } from '../http/exchange.ts';
import {
  BadHead,
  Fields,
  faultInFields,
  findHeadEnd,
  mayBeStatusLine,
  parseFields,
  parseStatusLine,
} from '../http/head.ts';
import { charsetIn } from '../http/media-type.ts';
import type { UpstreamSettings } from './settings.ts';

/** A parsed head. */
export interface UpstreamHead {
  readonly status: number;
  /** `200 OK`; '' for an HTTP/0.9 answer. */
  readonly statusText: string;
  readonly fields: Fields;
  /** -1: not declared (or chunked). */
  readonly contentLength: number;
  readonly isChunked: boolean;
  /** The server will close the connection after this response. */
  readonly isClose: boolean;
  /** Length of the head in bytes. */
  readonly bytes: number;
}

/** What came instead of a head. */
export type HeadFailure = { readonly invalid: string };

const RULES = { hasUnderscores: true, ignoresInvalid: false, isUpstream: true } as const;

/**
 * Parses the head at the start of `text`. Undefined: more bytes are needed. An answer that does not begin like HTTP is
 * taken for HTTP/0.9: `statusText` is '' and `bytes` 0.
 */
export function parseUpstreamHead(text: string): UpstreamHead | HeadFailure | undefined {
  const newline = text.indexOf('\n');
  if (newline < 0) return mayBeStatusLine(text) ? undefined : ancientHead();
  const status = parseStatusLine(text.slice(0, text.charCodeAt(newline - 1) === 13 ? newline - 1 : newline));
  if (!status) return ancientHead();
  const end = findHeadEnd(text, newline);
  if (end < 0) {
    const partial = faultInFields(text.slice(newline + 1), true);
    return partial === undefined ? undefined : { invalid: partial };
  }
  const fields = new Fields();
  try {
    parseFields(text, newline + 1, RULES, fields);
  } catch (error) {
    if (!(error instanceof BadHead)) throw error;
    return { invalid: faultInFields(text.slice(newline + 1, end), true) ?? error.line };
  }
  return settle(status.code, status.text, status.version, fields, end);
}

function ancientHead(): UpstreamHead {
  return {
    status: 0,
    statusText: '',
    fields: new Fields(),
    contentLength: -1,
    isChunked: false,
    isClose: true,
    bytes: 0,
  };
}

function settle(status: number, statusText: string, version: number, fields: Fields, bytes: number): UpstreamHead {
  let contentLength = -1;
  let isChunked = false;
  let isClose = version < 1001;
  const { lower, values } = fields;
  for (let i = 0; i < lower.length; i++) {
    switch (lower[i]) {
      case 'content-length':
        contentLength = /^\d{1,18}$/.test(values[i]!) ? Number(values[i]) : -1;
        break;
      case 'transfer-encoding':
        if (values[i]!.toLowerCase().includes('chunked')) isChunked = true;
        break;
      case 'connection':
        if (values[i]!.toLowerCase().includes('close')) isClose = true;
        break;
    }
  }
  return { status, statusText, fields, contentLength: isChunked ? -1 : contentLength, isChunked, isClose, bytes };
}

const OBEYED = new Map<string, number>(
  [
    'content-type',
    'content-length',
    'last-modified',
    'server',
    'date',
    'location',
    'refresh',
    'set-cookie',
    'accept-ranges',
    'connection',
    'keep-alive',
    'transfer-encoding',
    'content-encoding',
    'x-accel-limit-rate',
    'x-accel-charset',
    'x-accel-redirect',
  ].map((name, i) => [name, i]),
);

/** What the response becomes, beyond its head. */
export interface HeadContext {
  readonly settings: UpstreamSettings;
  /** Kept in a cache, or answered from it: ranges can be cut by us. */
  readonly isCacheable: boolean;
  readonly isCached: boolean;
}

/** Fills in `r.out` from the upstream's head (ngx_http_upstream_process_headers). */
export function copyHead(r: Exchange, head: UpstreamHead, context: HeadContext): void {
  const { settings } = context;
  const { out } = r;
  const { names, lower, values } = head.fields;
  const { hidden, ignored } = settings;
  let charset: string | undefined;
  let hasServer = false;
  let hasDate = false;
  for (let i = 0; i < lower.length; i++) {
    const key = lower[i]!;
    const name = names[i]!;
    const value = values[i]!;
    const at = OBEYED.get(key);
    if (at === 13) {
      if (!ignored.has(key) && /^\d+$/.test(value)) r.limitRate = Number(value);
    } else if (at === 14 && !ignored.has(key)) charset = value;
    if (hidden.has(key)) continue;
    switch (at) {
      case 0:
        out.contentType = value;
        out.charset = charsetIn(value);
        break;
      case 1:
      case 9:
      case 10:
      case 11:
        break;
      case 2: {
        out.add(name, value);
        out.isLastModifiedListed = true;
        out.lastModified = parseHttpDate(value) ?? -1;
        break;
      }
      case 3:
        hasServer = true;
        out.add(name, value);
        break;
      case 4:
        hasDate = true;
        out.add(name, value);
        break;
      case 5:
        copyLocation(r, name, value, settings);
        break;
      case 6:
        out.add(name, rewriteRefresh(r, value, settings));
        break;
      case 7:
        out.add(name, settings.rewriteCookie?.(r, value) ?? value);
        break;
      case 8:
        if (settings.forcesRanges) break;
        if (context.isCached || context.isCacheable) {
          out.allowsRanges = true;
          r.isSingleRange = !context.isCached;
          break;
        }
        out.add(name, value);
        break;
      case 12:
        out.isEncoded = true;
        out.add(name, value);
        break;
      default:
        out.add(name, value);
    }
  }
  // A header that is passed on keeps its place in the list; one that is passed on and was not sent is left out.
  if (hasServer || !hidden.has('server')) out.server = '';
  if (hasDate || !hidden.has('date')) out.date = '';
  if (charset !== undefined) out.overrideCharset = charset;
  out.status = head.status;
  out.statusText = head.statusText;
  out.contentLength = head.contentLength;
  r.ignoresConditions = !context.isCacheable;
  if (settings.forcesRanges) {
    out.allowsRanges = true;
    r.isSingleRange = !context.isCached;
  }
}

function copyLocation(r: Exchange, name: string, value: string, settings: UpstreamSettings): void {
  const { out } = r;
  const at = out.names.length;
  if (settings.rewriteRedirect) {
    const rewritten = settings.rewriteRedirect(r, value);
    out.add(name, rewritten ?? value);
    if (rewritten !== undefined) out.locationAt = at;
    return;
  }
  out.add(name, value);
  if (!value.startsWith('/')) out.locationAt = at;
}

function rewriteRefresh(r: Exchange, value: string, settings: UpstreamSettings): string {
  const at = value.toLowerCase().indexOf('url=');
  if (at < 0 || !settings.rewriteRedirect) return value;
  const rewritten = settings.rewriteRedirect(r, value.slice(at + 4));
  return rewritten === undefined ? value : value.slice(0, at + 4) + rewritten;
}

/** Headers that go with an X-Accel-Redirect: the target's response keeps them. */
export function copyAcceleratedHead(r: Exchange, head: UpstreamHead, settings: UpstreamSettings): void {
  const { names, lower, values } = head.fields;
  for (let i = 0; i < lower.length; i++) {
    const value = values[i]!;
    switch (lower[i]) {
      case 'content-type':
        r.out.contentType = value;
        r.out.charset = charsetIn(value);
        break;
      case 'set-cookie':
        r.out.add(names[i]!, settings.rewriteCookie?.(r, value) ?? value);
        break;
      case 'content-disposition':
      case 'cache-control':
      case 'expires':
        r.out.add(names[i]!, value);
        break;
      case 'accept-ranges':
        r.out.add(names[i]!, value);
        break;
      case 'x-accel-limit-rate':
        if (!settings.ignored.has('x-accel-limit-rate') && /^\d+$/.test(value)) r.limitRate = Number(value);
        break;
      case 'x-accel-charset':
        if (!settings.ignored.has('x-accel-charset')) r.out.overrideCharset = value;
        break;
    }
  }
}
