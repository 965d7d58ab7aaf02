/**
 * One request of a blocking connection from its first byte to the access log: parse, environ, application, response, errors. What the
 * sync worker calls for each connection, and a gthread worker on each of its threads. Mirrors handle(), handle_request() and
 * handle_error() of Gunicorn's workers, pages and log lines included.
 */
import { settle } from '../cost/bill.ts';
import type { GunicornLog } from '../log/gunicorn-log.ts';
import type { GunicornSettings } from '../settings/gunicorn-settings.ts';
import { collectTimings } from '../timed.ts';
import type { Environ, WsgiApp, WsgiResult } from '../wsgi.ts';
import type { BlockingSocket } from './blocking-socket.ts';
import { createEnviron, type EnvironBase } from './environ.ts';
import { ClientGone, errorPage, RequestError, TlsFailure } from './errors.ts';
import { readRequest, WsgiRequest } from './request.ts';
import { WsgiResponse } from './response.ts';
import type { RequestRules } from './rules.ts';
import { ServerTiming } from './server-timing.ts';

/** What serving needs from the worker it happens in. */
export interface WsgiServer {
  readonly app: WsgiApp;
  readonly rules: RequestRules;
  readonly environ: EnvironBase;
  readonly log: GunicornLog;
  readonly settings: GunicornSettings;
  /** Owes what a request costs in Python's server of this class until its response leaves. */
  oweBefore(): void;
  /** Spends what comes then, while the client takes the response in. */
  spendAfter(): void;
  /** Counts a request; true when its connection must close after it. */
  countRequest(): boolean;
}

/** What became of a connection: it can serve another request, or it must close. */
export type Outcome = 'keep-alive' | 'close';

type Hook = (...args: unknown[]) => unknown;

/** Serves request number `number` of a connection. Never throws for what a client or an application did. At most `drainBytes`
 * of a body that the application left unread are read to keep the connection. */
export function serveRequest(server: WsgiServer, socket: BlockingSocket, number: number, drainBytes = 0): Outcome {
  const request = new WsgiRequest();
  let isParsed = false;
  let response: WsgiResponse | null = null;
  try {
    readRequest(socket, server.rules, number, request);
    isParsed = true;
    const requestStart = request.header('X-REQUEST-START');
    response = new WsgiResponse(request, socket, requestStart === undefined ? null : new ServerTiming(requestStart));
    response.warn = (message) => server.log.warning(message);
    const outcome = run(server, socket, request, response);
    // What the application left unread of the body would be taken for the next request.
    return outcome === 'keep-alive' && !request.body.drain(drainBytes) ? 'close' : outcome;
  } catch (error) {
    if (error instanceof ClientGone) {
      server.log.debug(`Ignored premature client disconnection. ${error.message}`);
      return 'close';
    }
    if (error instanceof TlsFailure) {
      server.log.warning(`Invalid request from ip=${socket.peer.address}: ${error.message}`);
      return 'close';
    }
    if (response?.isHeadSent) {
      // The head has gone out, so only an early close can tell the client that the body is not whole.
      server.log.exception('Error handling request', error);
      return 'close';
    }
    answerError(server, socket, isParsed || isFramingError(error) ? request : null, error);
    return 'close';
  }
}

// Gunicorn attaches the request to errors about its framing, so these appear in the access log and others do not.
function isFramingError(error: unknown): boolean {
  return (
    error instanceof RequestError && /: '(CONTENT-LENGTH|TRANSFER-ENCODING|HOST|CONTENT-TYPE)'$/.test(error.message)
  );
}

function run(server: WsgiServer, socket: BlockingSocket, request: WsgiRequest, response: WsgiResponse): Outcome {
  const { settings, log } = server;
  const started = performance.now();
  (settings.pre_request as Hook | null)?.(server, request);
  let environ: ReturnType<typeof createEnviron> | null = null;
  try {
    if (request.expectsContinue) socket.write(Buffer.from('HTTP/1.1 100 Continue\r\n\r\n'));
    environ = createEnviron(request, socket, server.environ, response.earlyHints);
    if (server.countRequest()) response.forceClose();
    server.oweBefore();
    const { startResponse } = response;
    const result: WsgiResult = collectTimings(response.timings, () => server.app(environ as Environ, startResponse));
    settle();
    try {
      for (const piece of result) response.write(piece);
      response.close();
    } finally {
      if (log.wantsAccess) log.access(record(socket, request, environ, response, performance.now() - started));
      result.close?.();
      server.spendAfter();
    }
  } finally {
    try {
      (settings.post_request as Hook | null)?.(server, request, environ, response);
    } catch (error) {
      log.exception('Exception in post_request hook', error);
    }
  }
  return response.shouldClose() ? 'close' : 'keep-alive';
}

function record(
  socket: BlockingSocket,
  request: WsgiRequest,
  environ: Readonly<Record<string, unknown>>,
  response: { status: string | null; sentBytes: number; headers: readonly (readonly [string, string])[] },
  durationMs: number,
): Parameters<GunicornLog['access']>[0] {
  return {
    remoteAddr: (environ['REMOTE_ADDR'] as string | undefined) ?? socket.peer.address,
    method: request.method,
    rawUri: request.uri,
    protocol: `HTTP/${request.version.join('.')}`,
    path: environ['PATH_INFO'] as string | undefined,
    query: request.query,
    status: response.status ?? 'None',
    sentBytes: response.sentBytes,
    durationMs,
    requestHeaders: request.headers,
    responseHeaders: response.headers,
    environ,
  };
}

/** Answers with Gunicorn's own page and logs why, as its handle_error() does. */
function answerError(server: WsgiServer, socket: BlockingSocket, request: WsgiRequest | null, error: unknown): void {
  let [status, reason, page] = [500, 'Internal Server Error', ''];
  if (error instanceof RequestError && error.code !== 'InvalidProxyHeader') {
    [status, reason, page] = [error.status, error.reason, error.page];
    server.log.warning(`Invalid request from ip=${socket.peer.address}: ${error.message}`);
  } else {
    const about = request ? `${request.method} ${request.uri}` : '(no URI read)';
    server.log.exception(`Error handling request ${about}`, error);
  }
  if (request && server.log.wantsAccess) {
    const response = { status: `${status} ${reason}`, sentBytes: 0, headers: [] };
    server.log.access(record(socket, request, {}, response, 0));
  }
  try {
    socket.write(Buffer.from(errorPage(status, reason, page), 'latin1'));
  } catch {
    server.log.debug('Failed to send error message.');
  }
}
