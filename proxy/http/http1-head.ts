// The response head of an HTTP/1.x exchange as text, in nginx's order, and the framing that it announces.
import { httpDate, httpDateNow } from '../clock.ts';
import { coreModule } from '../modules/core-rows.ts';
import { STATUS_TEXT } from './codes.ts';
import { serverToken } from './error-page.ts';
import type { Exchange } from './exchange.ts';

/** Decides the framing (ngx_http_chunked_header_filter and the tail of ngx_http_header_filter). */
export function settleFraming(r: Exchange, isExiting: boolean): void {
  const { out } = r;
  if (r.method === 'HEAD') r.isHeaderOnly = true;
  if (out.lastModified >= 0 && out.status !== 200 && out.status !== 206 && out.status !== 304) {
    // A listed one (an upstream's) stays.
    out.lastModified = -1;
  }
  // A status line of an upstream's is passed on with what goes with it, even where it makes no sense.
  if (out.status === 204 && out.statusText === '') {
    r.isHeaderOnly = true;
    out.contentType = '';
    out.lastModified = -1;
    out.clearContentLength();
  } else if (out.status === 304 && out.statusText === '') r.isHeaderOnly = true;
  if (isExiting) r.isKeepalive = false;

  if (out.status !== 304 && out.status !== 204 && out.status >= 200 && r.method !== 'HEAD') {
    if (out.contentLength < 0 || out.trailers) {
      if (r.version < 1001) r.isKeepalive &&= out.contentLength >= 0;
      else if (coreModule.location(r.location).chunked_transfer_encoding) {
        if (out.trailers) out.clearContentLength();
        r.isChunkedOut = true;
      } else if (out.contentLength < 0) r.isKeepalive = false;
    }
  }
}

/** A redirect to a path, made absolute as server_name_in_redirect, port_in_redirect and absolute_redirect say. */
export function absoluteLocation(r: Exchange, path: string): string {
  const conf = coreModule.location(r.location);
  const { client } = r;
  const host = conf.server_name_in_redirect ? r.server.name : r.host || client.localAddress;
  const scheme = client.tls ? 'https' : 'http';
  const isUsual = client.localPort === (client.tls ? 443 : 80) || client.localPort === 0;
  const port = conf.port_in_redirect && !isUsual ? `:${client.localPort}` : '';
  return `${scheme}://${host}${port}${path}`;
}

/** The head as bytes in latin1, empty line included. `settleFraming` ran before. */
export function headText(r: Exchange): string {
  const { out } = r;
  if (r.hasLineBreak) out.escapeLineBreaks();
  const conf = coreModule.location(r.location);
  let head = `HTTP/1.1 ${out.statusText || STATUS_TEXT[out.status] || `${String(out.status).padStart(3, '0')} `}\r\n`;
  const server = out.server ?? serverToken(conf.server_tokens);
  if (server !== '') head += `Server: ${server}\r\n`;
  const date = out.date ?? httpDateNow();
  if (date !== '') head += `Date: ${date}\r\n`;
  if (out.contentType !== '')
    head += `Content-Type: ${out.charset === '' ? out.contentType : out.fullContentType()}\r\n`;
  if (out.contentLength >= 0) head += `Content-Length: ${out.contentLength}\r\n`;
  if (out.lastModified >= 0 && !out.isLastModifiedListed) head += `Last-Modified: ${httpDate(out.lastModified)}\r\n`;
  const { names, values, locationAt } = out;
  let skipped = -1;
  if (locationAt >= 0 && values[locationAt]!.startsWith('/') && conf.absolute_redirect) {
    skipped = locationAt;
    // Kept for the log, too.
    values[locationAt] = absoluteLocation(r, values[locationAt]!);
    head += `Location: ${values[locationAt]}\r\n`;
  }
  if (r.isChunkedOut) head += 'Transfer-Encoding: chunked\r\n';
  if (out.status === 101) head += 'Connection: upgrade\r\n';
  else if (r.isKeepalive) {
    head += 'Connection: keep-alive\r\n';
    const seconds = conf.keepalive_timeout.headerSeconds;
    if (seconds) head += `Keep-Alive: timeout=${seconds}\r\n`;
  } else head += 'Connection: close\r\n';
  if (r.hasGzipVary) head += 'Vary: Accept-Encoding\r\n';
  for (let i = 0; i < names.length; i++) {
    if (names[i] !== '' && i !== skipped) head += `${names[i]}: ${values[i]}\r\n`;
  }
  return `${head}\r\n`;
}
