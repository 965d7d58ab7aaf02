// Conditional requests: a 200 that the client has already becomes 304, one that breaks its precondition 412. The first
// of the header filters. Mirrors ngx_http_not_modified_filter_module.
import { parseHttpDate } from '../clock.ts';
import type { Exchange } from '../http/exchange.ts';
import { sendSpecialResponse } from '../http/finalize.ts';
import { coreModule } from './core-rows.ts';

/** Tests If-Unmodified-Since, If-Match, If-Modified-Since and If-None-Match, in this order. */
export function notModifiedFilter(r: Exchange): 'replaced' | undefined {
  const { out } = r;
  if (out.status !== 200 || r.parent || r.ignoresConditions) return undefined;
  const { headers } = r;
  const unmodifiedSince = headers.get('if-unmodified-since');
  if (unmodifiedSince !== undefined && !isUnmodified(r, unmodifiedSince)) return preconditionFailed(r);
  const match = headers.get('if-match');
  if (match !== undefined && !hasEtag(r, match, false)) return preconditionFailed(r);

  const modifiedSince = headers.get('if-modified-since');
  const noneMatch = headers.get('if-none-match');
  if (modifiedSince === undefined && noneMatch === undefined) return undefined;
  if (modifiedSince !== undefined && isModified(r, modifiedSince)) return undefined;
  if (noneMatch !== undefined && !hasEtag(r, noneMatch, true)) return undefined;

  out.status = 304;
  out.statusText = '';
  out.contentType = '';
  out.clearContentLength();
  out.clearAcceptRanges();
  out.remove('content-encoding');
  out.isEncoded = false;
  return undefined;
}

function preconditionFailed(r: Exchange): 'replaced' {
  r.resetResponse();
  sendSpecialResponse(r, 412);
  return 'replaced';
}

function isUnmodified(r: Exchange, since: string): boolean {
  const { lastModified } = r.out;
  return lastModified !== -1 && (parseHttpDate(since) ?? -1) >= lastModified;
}

function isModified(r: Exchange, since: string): boolean {
  const { lastModified } = r.out;
  if (lastModified === -1) return true;
  const rule = coreModule.location(r.location).if_modified_since;
  if (rule === 'off') return true;
  const time = parseHttpDate(since) ?? -1;
  if (time === lastModified) return false;
  return rule === 'exact' || time < lastModified;
}

/** Whether the response's entity tag stands in the list; `isWeak`: by weak comparison. */
function hasEtag(r: Exchange, list: string, isWeak: boolean): boolean {
  if (list === '*') return true;
  let etag = r.out.get('etag');
  if (etag === undefined) return false;
  if (isWeak && etag.length > 2 && etag.startsWith('W/')) etag = etag.slice(2);
  let at = 0;
  const end = list.length;
  while (at < end) {
    if (isWeak && end - at > 2 && list.startsWith('W/', at)) at += 2;
    if (etag.length > end - at) return false;
    if (list.startsWith(etag, at)) {
      at += etag.length;
      while (at < end && (list[at] === ' ' || list[at] === '\t')) at++;
      if (at === end || list[at] === ',') return true;
    }
    while (at < end && list[at] !== ',') at++;
    while (at < end && (list[at] === ' ' || list[at] === '\t' || list[at] === ',')) at++;
  }
  return false;
}
