// The find-config phase: choose the location, then check what only it knows (internal, body size, `/dir` redirects).
import { turnMs } from '../clock.ts';
import { coreModule } from '../modules/core-rows.ts';
import type { Exchange } from './exchange.ts';
import { findLocation } from './location.ts';
import { locationText } from './trace.ts';
import { escapeUri } from './uri.ts';

/** Chooses `r.location`; false when the request was answered here. */
export function selectLocation(r: Exchange): boolean {
  const { trace } = r.client;
  trace?.observe('location', `looking for the location of "${r.uri}"`, r.server);
  const found = findLocation(
    r.server.root,
    r.uri,
    (location, match) => {
      r.captures = match;
      keepNamedCaptures(r, match);
      r.location = location;
    },
    trace,
  );
  r.location = found.location;
  if (trace) {
    const why = found.isFinal ? '' : ' (the remembered prefix)';
    trace.observe(
      'location',
      `=> ${locationText(r.location)}${r.location.parent ? why : ': no location matches'}`,
      r.location,
    );
  }
  const conf = coreModule.location(r.location);
  if (!r.isInternal && conf.internal) {
    trace?.observe('location', 'it is internal, and this request comes from outside: 404', r.location);
    r.finalize(404);
    return false;
  }
  enterLocation(r);
  const limit = conf.client_max_body_size;
  if (!r.parent && limit > 0 && r.contentLength > limit && !r.body?.isDiscarded) {
    r.log('error', `client intended to send too large body: ${r.contentLength} bytes`);
    r.isExpectTested = true;
    r.finalize(413);
    return false;
  }
  if (found.isAutoRedirect) {
    const path = escapeUri(r.location.name);
    r.out.setLocation(r.args === '' ? path : `${path}?${r.args}`);
    r.finalize(301);
    return false;
  }
  return true;
}

/** What changes with the location: content handler, keepalive. (ngx_http_update_location_config) */
export function enterLocation(r: Exchange): void {
  const { limitExcept } = r.location;
  if (limitExcept && !limitExcept.methods.has(r.method)) r.location = limitExcept.location;
  const conf = coreModule.location(r.location);
  if (r.parent === undefined && r.isKeepalive) {
    if (conf.keepalive_timeout.timeoutMs === 0) r.isKeepalive = false;
    else if (r.client.requests >= conf.keepalive_requests) r.isKeepalive = false;
    else if (turnMs() - r.client.startMs > conf.keepalive_time) r.isKeepalive = false;
    else if (isBadAtKeepalive(r, conf.keepalive_disable)) r.isKeepalive = false;
  }
  if (r.location.handler) r.contentHandler = r.location.handler;
}

/** MSIE 5 and 6 stall after POST, Safari on macOS may POST into a closed connection. */
function isBadAtKeepalive(r: Exchange, disabled: ReadonlySet<string>): boolean {
  const agent = r.headers.get('user-agent');
  if (agent === undefined) return false;
  if (r.method === 'POST' && disabled.has('msie6')) return /MSIE [4-6]\./.test(agent) && !agent.includes('Opera');
  return (
    disabled.has('safari') && agent.includes('Safari/') && agent.includes('Mac OS X') && !/Gecko\/|Chrome\//.test(agent)
  );
}

/** Stores named captures as variables. */
export function keepNamedCaptures(r: Exchange, match: RegExpExecArray): void {
  if (!match.groups) return;
  const table = r.client.listen.variables!;
  for (const [name, value] of Object.entries(match.groups)) table.reference(name).store(r, value ?? null);
}
