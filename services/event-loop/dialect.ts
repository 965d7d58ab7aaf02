/**
 * How a server words its responses: Uvicorn's way, and that of Gunicorn's own `asgi` worker (gunicorn/asgi/protocol.py), which is another
 * server for the same applications: other fields in another order, HTTP/1.0 answered in kind, limits for heads, and its own refusals.
 */
import { httpDate } from '../http/http-date.ts';
import type { RequestRules } from '../http/rules.ts';
import { GUNICORN_ASGI_PHRASES, PYTHON_PHRASES } from '../http/status-phrases.ts';
import { checkHandshake, type Handshake, isRefusal, phrase, type Refusal, refusalBytes } from './handshake.ts';
import { type LifespanWords, uvicornLifespan } from './lifespan.ts';
import type { InvalidRequest, RequestHead } from './request-parser.ts';

/** A response's head before it is put into words. */
export interface ResponseHead {
  readonly version: string;
  readonly status: number;
  /** The application's fields as lines. */
  readonly fields: string;
  readonly isChunked: boolean;
  readonly closes: boolean;
}

/** One server's way. */
export interface Dialect {
  /** Whether HTTP/1.0 is answered as such: kept alive when asked, and never in chunks. */
  readonly knowsHttp10: boolean;
  /** Whether a client that waits for 100 gets it also when its body is there already. */
  readonly alwaysContinues: boolean;
  /** Whether a head waits for its body, is checked before the response counts as begun, and keeps the spelling of its names. */
  readonly holdsHeads: boolean;
  /** Whether a body of another length than its Content-Length is cut, or else the connection closed, and not an error. */
  readonly cutsBodies: boolean;
  /** Whether an application is told that its answer to HEAD has a body. */
  readonly warnsOfBodies: boolean;
  /** Whether the client's address is taken from a trusted proxy's fields. */
  readonly believesClient: boolean;
  /** The fields of every 101 beside those of the handshake. */
  readonly marksUpgrades: boolean;
  readonly logsUpgrades: boolean;
  head(response: ResponseHead, defaults: string): string;
  /** The answer to what is no request. */
  invalid(error: InvalidRequest, defaults: string): Buffer;
  /** Looks at a request before anything else does: the fields to keep, or the answer that refuses it. */
  filter(head: RequestHead): RequestHead | Buffer;
  /** Checks a WebSocket's handshake: a refusal comes with its bytes and what the log says. */
  handshake(
    head: RequestHead,
    hasDeflate: boolean,
  ): Handshake | { readonly bytes: Buffer; readonly log: string | null };
  readonly lifespanWords: LifespanWords;
  /** What the log says before the traceback of an application that failed; null for nothing. */
  failure(isComplete: boolean): string | null;
  /** What it says of one that returns too early; null for nothing. */
  earlyReturn(isStarted: boolean): string | null;
  /** The answer for an application that has failed; null for an ordinary response. */
  readonly serverError: Buffer | null;
  /** Refuses a handshake for the application; null for the fuller answer that Uvicorn gives. */
  deny(status: number): Buffer | null;
}

const INVALID = 'Invalid HTTP request received.';
const PLAIN = 'content-type: text/plain; charset=utf-8\r\n';

export const UVICORN: Dialect = {
  knowsHttp10: false,
  alwaysContinues: true,
  holdsHeads: false,
  cutsBodies: false,
  warnsOfBodies: false,
  believesClient: true,
  marksUpgrades: true,
  logsUpgrades: true,
  head({ status, fields, isChunked, closes }, defaults) {
    const close = closes && !/^connection:.*\bclose\b/im.test(fields) ? 'connection: close\r\n' : '';
    const chunked = isChunked ? 'transfer-encoding: chunked\r\n' : '';
    return `HTTP/1.1 ${status} ${PYTHON_PHRASES[status] ?? ''}\r\n${defaults}${fields}${close}${chunked}`;
  },
  invalid(_error, defaults) {
    const own = `${PLAIN}content-length: ${INVALID.length}\r\nconnection: close\r\n`;
    return Buffer.from(`HTTP/1.1 400 Bad Request\r\n${defaults}${own}\r\n${INVALID}`);
  },
  filter: (head) => head,
  handshake(head, hasDeflate) {
    const result = checkHandshake(head, hasDeflate);
    return isRefusal(result) ? { bytes: refusalBytes(result), log: `connection rejected (${phrase(result)})` } : result;
  },
  lifespanWords: uvicornLifespan,
  failure: () => 'Exception in ASGI application',
  earlyReturn: (isStarted) => `ASGI callable returned without ${isStarted ? 'completing' : 'starting'} response.`,
  serverError: null,
  deny: () => null,
};

function refuse(status: number, text: string, extra: Refusal['headers'] = []): Buffer {
  const more = extra.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const body = Buffer.from(text);
  const reason = GUNICORN_ASGI_PHRASES[status] ?? PYTHON_PHRASES[status];
  const head = `HTTP/1.1 ${status} ${reason}\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n`;
  return Buffer.concat([Buffer.from(`${head}${more}Connection: close\r\n\r\n`), body]);
}

const gunicornLifespan: LifespanWords = (phase, message, error) => {
  const why = error instanceof Error ? error.message : message;
  const begin =
    phase === 'startup' ? 'ASGI lifespan startup failed: Lifespan startup failed' : 'Lifespan shutdown error';
  return [`${begin}: ${why === '' ? 'Unknown error' : why}`];
};

const INCOMPLETE = 'ASGI application returned without completing the response; closing the connection';

/** Gunicorn's, under its settings for request heads. */
export function gunicornDialect(rules: RequestRules): Dialect {
  const tooLarge = (head: RequestHead): Buffer | null => {
    const line = `${head.method} ${head.target} HTTP/${head.version}`.length;
    if (rules.limitLine > 0 && line > rules.limitLine) return refuse(414, 'Request line is too large');
    if (head.headers.length > rules.limitFields) return refuse(431, 'Too many headers');
    const isLong = head.headers.some(([name, value]) => name.length + value.length + 2 > rules.limitFieldBytes);
    return isLong ? refuse(431, 'Request header field is too large') : null;
  };
  return {
    knowsHttp10: true,
    alwaysContinues: false,
    holdsHeads: true,
    cutsBodies: true,
    warnsOfBodies: true,
    believesClient: false,
    marksUpgrades: false,
    logsUpgrades: false,
    head({ version, status, fields, isChunked, closes }) {
      const has = (name: string): boolean => new RegExp(`^${name}:`, 'im').test(fields);
      const own = [
        isChunked ? 'transfer-encoding: chunked\r\n' : '',
        has('server') ? '' : 'Server: gunicorn/asgi\r\n',
        has('date') ? '' : `Date: ${httpDate()}\r\n`,
        closes && !has('connection') ? 'Connection: close\r\n' : '',
      ].join('');
      const protocol = version === '1.0' ? 'HTTP/1.0' : 'HTTP/1.1';
      return `${protocol} ${status} ${GUNICORN_ASGI_PHRASES[status] ?? 'Unknown'}\r\n${fields}${own}`;
    },
    invalid: (error) => refuse(400, error.text),
    filter(head) {
      const refusal = tooLarge(head);
      if (refusal) return refusal;
      const odd = rules.headerMap === 'dangerous' ? undefined : head.headers.find(([name]) => name.includes('_'));
      if (!odd) return head;
      if (rules.headerMap === 'refuse') return refuse(400, odd[0]);
      return { ...head, headers: head.headers.filter(([name]) => !name.includes('_')) };
    },
    handshake(head) {
      const last = (name: string): string => head.headers.findLast(([each]) => each === name)?.[1].trim() ?? '';
      if (last('sec-websocket-version') !== '13') {
        return { bytes: refuse(426, 'Upgrade Required', [['Sec-WebSocket-Version', '13']]), log: null };
      }
      const key = last('sec-websocket-key');
      if (!/^[A-Za-z0-9+/]{22}==$/.test(key)) return { bytes: refuse(400, 'Bad Request'), log: null };
      return { key, deflate: null };
    },
    lifespanWords: gunicornLifespan,
    failure: (isComplete) => (isComplete ? null : 'Error in ASGI application'),
    earlyReturn: (isStarted) => (isStarted ? INCOMPLETE : null),
    serverError: refuse(500, 'Internal Server Error'),
    deny: (status) =>
      Buffer.from(`HTTP/1.1 ${status} ${PYTHON_PHRASES[status]}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`),
  };
}
