/**
 * Responses of the FastAPI-style framework: whole or streamed, with Starlette's header fields in Starlette's order. Also the errors that
 * are answers.
 */

import type { AsgiHeader, Receive, Send } from '../../asgi.ts';
import { field } from '../../event-loop/cycle.ts';
import { PYTHON_PHRASES } from '../../http/status-phrases.ts';

/** Beside the body. */
export interface ResponseOptions {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly mediaType?: string | null;
  /** Runs after the response has been sent. */
  readonly background?: () => Promise<void> | void;
}

/** A response that can send itself. */
export class Response {
  readonly status: number;
  readonly headers: [string, string][];
  readonly body: Uint8Array;
  readonly background: (() => Promise<void> | void) | null;

  constructor(body: string | Uint8Array = '', options: ResponseOptions = {}) {
    this.status = options.status ?? 200;
    this.body = typeof body === 'string' ? Buffer.from(body) : body;
    this.background = options.background ?? null;
    this.headers = Object.entries(options.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]);
    this.setDefaults(options.mediaType ?? null);
  }

  /** Adds what the response itself knows, unless it was given. */
  protected setDefaults(mediaType: string | null): void {
    const has = (name: string): boolean => this.headers.some(([each]) => each === name);
    const omitsBody = this.status < 200 || this.status === 204 || this.status === 304;
    if (!has('content-length') && !omitsBody && !(this instanceof StreamingResponse)) {
      this.headers.push(['content-length', String(this.body.length)]);
    }
    if (mediaType !== null && !has('content-type')) {
      const charset = mediaType.startsWith('text/') && !mediaType.includes('charset=') ? '; charset=utf-8' : '';
      this.headers.push(['content-type', mediaType + charset]);
    }
  }

  protected get rawHeaders(): AsgiHeader[] {
    return this.headers.map(([name, value]) => field(name, value));
  }

  async send(send: Send, _receive: Receive): Promise<void> {
    await send({ type: 'http.response.start', status: this.status, headers: this.rawHeaders });
    await send({ type: 'http.response.body', body: this.body });
  }
}

function refuseNaN(_: string, value: unknown): unknown {
  if (typeof value !== 'number' || Number.isFinite(value)) return value;
  throw new RangeError('Out of range float values are not JSON compliant');
}

/** JSON as FastAPI writes it: no spaces, UTF-8. Throws RangeError for numbers that are none. */
export function jsonResponse(value: unknown, options: ResponseOptions = {}): Response {
  const text = JSON.stringify(value);
  // JavaScript writes null for what Python refuses to write; whoever sees no null need not look.
  if (text?.includes('null')) JSON.stringify(value, refuseNaN);
  return new Response(text, { ...options, mediaType: 'application/json' });
}

export function plainText(text: string, options: ResponseOptions = {}): Response {
  return new Response(text, { ...options, mediaType: 'text/plain' });
}

export function html(text: string, options: ResponseOptions = {}): Response {
  return new Response(text, { ...options, mediaType: 'text/html' });
}

/** A body that is made while it is sent; it is abandoned when the client goes away. */
export class StreamingResponse extends Response {
  readonly #pieces: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>;

  constructor(
    pieces: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
    options: ResponseOptions = {},
  ) {
    super('', options);
    this.#pieces = pieces;
  }

  override async send(send: Send, receive: Receive): Promise<void> {
    let isGone = false;
    const watch = async (): Promise<void> => {
      while ((await receive()).type !== 'http.disconnect');
      isGone = true;
    };
    await send({ type: 'http.response.start', status: this.status, headers: this.rawHeaders });
    void watch();
    for await (const piece of this.#pieces) {
      if (isGone) return;
      const body = typeof piece === 'string' ? Buffer.from(piece) : piece;
      await send({ type: 'http.response.body', body, more_body: true });
    }
    await send({ type: 'http.response.body', body: Buffer.alloc(0) });
  }
}

/** An error that is answered with `{"detail": ...}`. */
export class HTTPException extends Error {
  override readonly name = 'HTTPException';
  readonly status: number;
  readonly detail: unknown;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, detail?: unknown, headers: Readonly<Record<string, string>> = {}) {
    super(String(detail ?? PYTHON_PHRASES[status]));
    this.status = status;
    this.detail = detail ?? PYTHON_PHRASES[status];
    this.headers = headers;
  }
}
