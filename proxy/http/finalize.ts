// The end of a request: statuses become error pages or redirects to them, a complete response is logged and its
// connection goes on. Mirrors ngx_http_finalize_request and ngx_http_special_response_handler.

import { writeAccessLog } from '../modules/access-log.ts';
import { flushTurnOfLogs } from '../modules/access-log-file.ts';
import { coreModule } from '../modules/core-rows.ts';
import { startPostAction } from '../modules/post-action.ts';
import {
  AGAIN,
  CERT_ERROR,
  CLIENT_CLOSED,
  CLOSE,
  DECLINED,
  DONE,
  ERROR,
  HEADER_TOO_LARGE,
  NO_CERT,
  OK,
  TO_HTTPS,
} from './codes.ts';
import { errorPage, hasErrorPage, isMsie, MSIE_PADDING, refreshPage, tailOf } from './error-page.ts';
import type { Exchange } from './exchange.ts';
import { FIND_CONFIG, LOCATION_REWRITE, SERVER_REWRITE } from './phases.ts';
import { abandonSubrequests, endSubrequest, hasBackground } from './subrequest.ts';

/** Ends `r` with a return code of codes.ts or an HTTP status. */
export function finalizeRequest(r: Exchange, code: number): void {
  if (r.isFinished || code === DONE || code === AGAIN) return;
  if (code === DECLINED) {
    r.contentHandler = undefined;
    r.run();
    return;
  }
  let rc = code;
  if (r.parent && r.onSubrequestDone) rc = r.onSubrequestDone(r, rc);
  if (rc === ERROR || rc === 408 || rc === CLIENT_CLOSED || r.main.isClientBroken) {
    terminate(r, rc);
    return;
  }
  if (rc >= 300 || rc === 201 || rc === 204) {
    if (rc === CLOSE) {
      terminate(r, rc);
      return;
    }
    if (r.isHeadSent) {
      // The head is on its way: nothing else can be said, the client sees a cut response.
      terminate(r, ERROR);
      return;
    }
    sendSpecialResponse(r, rc);
    return;
  }
  if (r.isHeadSent && !r.isResponseEnded) {
    r.end();
    // A body filter may still be at work; it ends the exchange through the downstream.
  }
  finish(r);
}

function finish(r: Exchange): void {
  if (r.parent) {
    endSubrequest(r);
    return;
  }
  startPostAction(r);
  if (!hasBackground(r)) r.downstream.finished(r);
}

/** Called by the downstream when the last byte is out (or will never be): log, clean up. */
export function closeExchange(r: Exchange): void {
  if (r.isFinished) return;
  r.isFinished = true;
  r.onDrain = undefined;
  r.onAbort = undefined;
  abandonSubrequests(r);
  r.cleanUp();
  writeAccessLog(r.postAction ?? r);
  r.client.trace?.finished(r);
  if (!r.isKeepalive) flushTurnOfLogs();
}

function terminate(r: Exchange, code: number): void {
  const { main } = r;
  if (code > 0 && (main.out.status === 0 || main.bytesSent === 0)) main.out.status = code;
  main.isKeepalive = false;
  main.downstream.abort();
}

/** Answers with an error page: one of `error_page`, or nginx's own. */
export function sendSpecialResponse(r: Exchange, code: number): void {
  r.errStatus = code;
  if (r.isKeepalive && [400, 413, 414, 500, 501, TO_HTTPS, CERT_ERROR, NO_CERT].includes(code)) r.isKeepalive = false;
  if ([400, TO_HTTPS, CERT_ERROR, NO_CERT].includes(code)) r.isLingering = false;
  r.out.contentType = '';
  r.isSeekable = false;
  const conf = coreModule.location(r.location);
  if (!r.isErrorPage && r.uriChangesLeft !== 0) {
    const page = conf.error_page?.find((p) => p.status === code);
    if (page) {
      r.client.trace?.observe('redirect', `${code}: error_page goes on with "${page.uri.source}"`, r.location);
      if (!conf.recursive_error_pages) r.isErrorPage = true;
      redirectToPage(r, page);
      return;
    }
    if (conf.error_page && !conf.recursive_error_pages) r.isErrorPage = true;
  }
  discard(r);
  if (code === TO_HTTPS || code === CERT_ERROR || code === NO_CERT || code === HEADER_TOO_LARGE) r.errStatus = 400;
  sendPage(r, code);
}

function discard(r: Exchange): void {
  r.isExpectTested = true;
  r.body?.discard();
}

function sendPage(r: Exchange, code: number): void {
  const conf = coreModule.location(r.location);
  const { out } = r;
  let page = '';
  const agent = r.headers.get('user-agent') ?? '';
  if (conf.msie_refresh && (code === 301 || code === 302) && out.locationAt >= 0 && isMsie(agent)) {
    page = refreshPage(out.values[out.locationAt]!);
    out.remove('location');
    out.contentType = 'text/html';
    r.errStatus = 200;
  } else if (hasErrorPage(code)) {
    page = errorPage(code) + tailOf(conf.server_tokens);
    if (conf.msie_padding && r.version >= 1000 && code >= 400 && /MSIE [4-9]|Chrome\//.test(agent))
      page += MSIE_PADDING;
    out.contentType = 'text/html';
  }
  out.clearContentLength();
  out.contentLength = page.length;
  out.clearAcceptRanges();
  out.clearLastModified();
  out.clearEtag();
  if (!r.sendHeader()) return;
  if (!r.isHeaderOnly) r.write(page);
  finalizeRequest(r, OK);
}

function redirectToPage(
  r: Exchange,
  page: NonNullable<ReturnType<typeof coreModule.location>['error_page']>[number],
): void {
  if (page.overwrite > 0 && page.overwrite !== 200) r.isExpectTested = true;
  if (page.overwrite >= 0) r.errStatus = page.overwrite;
  const target = page.uri.evaluate(r);
  if (target.startsWith('/')) {
    const question = target.indexOf('?');
    if (r.method !== 'HEAD') r.method = 'GET';
    internalRedirect(
      r,
      question < 0 ? target : target.slice(0, question),
      question < 0 ? '' : target.slice(question + 1),
    );
    return;
  }
  if (target.startsWith('@')) {
    namedLocation(r, target);
    return;
  }
  discard(r);
  if (![301, 302, 303, 307, 308].includes(page.overwrite)) r.errStatus = 302;
  r.out.setLocation(target);
  sendPage(r, r.errStatus);
}

/** Sends the request through the phases again under another URI (ngx_http_internal_redirect). */
export function internalRedirect(r: Exchange, uri: string, args: string): void {
  if (--r.uriChangesLeft === 0) {
    r.log('error', `rewrite or internal redirection cycle while internally redirecting to "${uri}"`);
    r.uriChangesLeft = 0;
    r.finalize(500);
    return;
  }
  r.client.trace?.observe('redirect', `internal redirect to "${uri}"${args === '' ? '' : `, arguments "${args}"`}`);
  r.main.logAction = '';
  r.setUri(uri);
  r.args = args;
  r.isInternal = true;
  r.isUnparsedValid = false;
  r.contexts = undefined;
  r.location = r.server.root;
  r.contentHandler = undefined;
  r.phase = SERVER_REWRITE;
  r.run();
}

/** Goes on in a named location (ngx_http_named_location). */
export function namedLocation(r: Exchange, name: string): void {
  if (--r.uriChangesLeft === 0) {
    r.log('error', `rewrite or internal redirection cycle while redirect to named location "${name}"`);
    r.finalize(500);
    return;
  }
  if (r.uri === '') {
    r.log('error', `empty URI in redirect to named location "${name}"`);
    r.finalize(500);
    return;
  }
  const found = r.server.root.table.named.get(name);
  if (!found) {
    r.log('error', `could not find named location "${name}"`);
    r.finalize(500);
    return;
  }
  r.client.trace?.observe('redirect', `on to location ${name}`, found);
  r.isInternal = true;
  r.contentHandler = undefined;
  r.isUriRewritten = false;
  r.location = found;
  r.contexts = undefined;
  if (r.location.handler) r.contentHandler = r.location.handler;
  r.phase = LOCATION_REWRITE;
  r.run();
}

export { FIND_CONFIG };
