/**
 * What can be wrong with a request on the WSGI side: one table of error codes, each with its status, reason and the text that
 * Gunicorn puts into the log and the page. The classes of gunicorn/http/errors.py are the rows.
 */
import { reprBytes, reprString } from '../python-repr.ts';
import { versionProfile } from '../versions.ts';

interface ErrorRow {
  readonly status: number;
  readonly reason: string;
  /** The exception's text, from its argument. */
  readonly text: (about: string) => string;
  /** What the error page says, when it is more than the text. */
  readonly page?: (text: string) => string;
}

const bad = (text: (about: string) => string, page?: (text: string) => string): ErrorRow =>
  page ? { status: 400, reason: 'Bad Request', text, page } : { status: 400, reason: 'Bad Request', text };

const ROWS = {
  InvalidRequestLine: bad(
    (about) => `Invalid HTTP request line: ${reprString(about)}`,
    (text) => `Invalid Request Line '${text}'`,
  ),
  InvalidRequestMethod: bad(
    (about) => `Invalid HTTP method: ${reprString(about)}`,
    (text) => `Invalid Method '${text}'`,
  ),
  InvalidHTTPVersion: bad(
    (about) => `Invalid HTTP Version: ${about}`,
    (text) => `Invalid HTTP Version '${text}'`,
  ),
  InvalidHeader: bad((about) => `Invalid HTTP Header: ${reprString(about)}`),
  InvalidHeaderName: bad((about) => `Invalid HTTP header name: ${reprString(about)}`),
  ObsoleteFolding: bad((about) => `Obsolete line folding is unacceptable: ${reprString(about)}`),
  InvalidSchemeHeaders: bad(() => 'Contradictory scheme headers'),
  InvalidChunkSize: bad((about) => `Invalid chunk size: ${reprBytes(Buffer.from(about, 'latin1'))}`),
  InvalidChunkExtension: bad((about) => `Invalid chunk extension: ${about}`),
  ChunkMissingTerminator: bad(
    (about) => `Invalid chunk terminator is not '\\r\\n': ${reprBytes(Buffer.from(about, 'latin1'))}`,
  ),
  InvalidProxyLine: bad(
    (about) => `Invalid PROXY line: ${reprString(about)}`,
    (text) => `'${text}'`,
  ),
  InvalidProxyHeader: {
    status: 500,
    reason: 'Internal Server Error',
    text: (about) => `Invalid PROXY header: ${about}`,
  },
  ForbiddenProxyRequest: {
    status: 403,
    reason: 'Forbidden',
    text: (about) => `Proxy request from ${reprString(about)} not allowed`,
    page: () => 'Request forbidden',
  },
  LimitRequestLine: { status: 414, reason: 'URI Too Long', text: (about) => `Request Line is too large (${about})` },
  LimitRequestHeaders: {
    status: 431,
    reason: 'Request Header Fields Too Large',
    text: (about) => about,
    page: (text) => `Error parsing headers: '${text}'`,
  },
  ExpectationFailed: {
    status: 417,
    reason: 'Expectation Failed',
    text: (about) => `Unable to comply with expectation: ${reprString(about)}`,
  },
  UnsupportedTransferCoding: {
    status: 501,
    reason: 'Bad Request',
    text: (about) => `Unsupported transfer coding: ${reprString(about)}`,
  },
  ConfigurationProblem: { status: 500, reason: 'Bad Request', text: (about) => `Configuration problem: ${about}` },
} as const satisfies Record<string, ErrorRow>;

/** The codes of the table. */
export type RequestErrorCode = keyof typeof ROWS;

/** A request that cannot be served; the client's doing, except for ConfigurationProblem. Source: downstream, never retried. */
export class RequestError extends Error {
  readonly code: RequestErrorCode;

  constructor(code: RequestErrorCode, about = '') {
    super(ROWS[code].text(about));
    this.name = code;
    this.code = code;
  }

  get status(): number {
    return this.code === 'LimitRequestLine' ? versionProfile().requestLineTooLong : ROWS[this.code].status;
  }

  get reason(): string {
    return this.status === 400 ? 'Bad Request' : ROWS[this.code].reason;
  }

  /** What the error page shows, not yet escaped. */
  get page(): string {
    const row: ErrorRow = ROWS[this.code];
    return row.page?.(this.message) ?? this.message;
  }
}

/** The client's TLS failed, so nothing can be answered; the message is OpenSSL's. */
export class TlsFailure extends Error {
  override readonly name = 'SSLError';
}

/** The client went away, or sent nothing: the connection closes and nothing is answered. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

/** The response broke its protocol after its head was sent: the connection must close, so that the client sees the error. */
export class ResponseBroken extends Error {
  override readonly name = 'ResponseBroken';
}

/** Python's SystemExit inside the application: sys.exit(), or the timeout that ABRT brings. */
export class SystemExit extends Error {
  override readonly name = 'SystemExit';
  readonly status: number;

  constructor(status: number) {
    super(String(status));
    this.status = status;
  }
}

/** Gunicorn's own error page, whole: head and body, always `Connection: close`. */
export function errorPage(status: number, reason: string, message: string): string {
  const escaped = message
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#x27;');
  const body = `<html>\n  <head>\n    <title>${reason}</title>\n  </head>\n  <body>\n    <h1><p>${reason}</p></h1>\n    ${escaped}\n  </body>\n</html>\n`;
  const head = `HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\nContent-Type: text/html\r\nContent-Length: ${body.length}\r\n\r\n`;
  return head + body;
}
