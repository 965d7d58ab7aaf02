// The response head of an HTTP/2 stream: the same fields in the same order as over HTTP/1.x, names in lower case, no
// framing and no connection headers. Mirrors ngx_http_v2_header_filter.
import { httpDate, httpDateNow } from '../clock.ts';
import { coreModule } from '../modules/core-rows.ts';
import { serverToken } from './error-page.ts';
import type { Exchange } from './exchange.ts';
import { encodeField, encodeStatus } from './h2-hpack.ts';
import { absoluteLocation } from './http1-head.ts';

/** Headers that belong to a connection of HTTP/1.x (RFC 9113 8.2.2). */
const CONNECTION_HEADERS = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);

/** Decides what a body would be for this response; to be called before the block is made. */
export function settleH2(r: Exchange): void {
  const { out } = r;
  if (r.method === 'HEAD') r.isHeaderOnly = true;
  if (out.lastModified >= 0 && out.status !== 200 && out.status !== 206 && out.status !== 304) out.lastModified = -1;
  if (out.status === 204) {
    r.isHeaderOnly = true;
    out.contentType = '';
    out.clearLastModified();
    out.clearContentLength();
  } else if (out.status === 304) r.isHeaderOnly = true;
  if (out.trailers) out.clearContentLength();
}

/** The header block, as bytes in latin1. */
export function headerBlock(r: Exchange): string {
  const { out } = r;
  if (r.hasLineBreak) out.escapeLineBreaks();
  const conf = coreModule.location(r.location);
  let block = encodeStatus(out.status);
  const server = out.server ?? serverToken(conf.server_tokens);
  if (server !== '') block += encodeField('server', server);
  block += encodeField('date', out.date ?? httpDateNow());
  if (out.contentType !== '') block += encodeField('content-type', out.fullContentType());
  if (out.contentLength >= 0) block += encodeField('content-length', String(out.contentLength));
  if (out.lastModified >= 0 && !out.isLastModifiedListed) {
    block += encodeField('last-modified', httpDate(out.lastModified));
  }
  const { names, values, locationAt } = out;
  let skipped = -1;
  if (locationAt >= 0 && values[locationAt]!.startsWith('/') && conf.absolute_redirect) {
    skipped = locationAt;
    block += encodeField('location', absoluteLocation(r, values[locationAt]!));
  }
  if (r.hasGzipVary) block += encodeField('vary', 'Accept-Encoding');
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!.toLowerCase();
    if (name !== '' && i !== skipped && !CONNECTION_HEADERS.has(name)) block += encodeField(name, values[i]!);
  }
  return block;
}

/** The block of trailer fields. */
export function trailerBlock(trailers: readonly (readonly [string, string])[]): string {
  return trailers.map(([name, value]) => encodeField(name.toLowerCase(), value)).join('');
}
