/**
 * A response as a view returns it: text, a plain object (JSON), bytes, a list of them, or a Response with everything set. Werkzeug's
 * defaults: text/html in UTF-8, the status phrase in capitals, Content-Length when the body is whole.
 */
import { WERKZEUG_PHRASES } from '../../http/status-phrases.ts';
import type { WsgiHeaders } from '../../wsgi.ts';

/** What a body can be: whole, or pieces that are made while they are sent. */
export type ResponseBody = string | Uint8Array | Iterable<string | Uint8Array>;

/** What may stand beside the body. */
export interface ResponseOptions {
  readonly status?: number;
  readonly headers?: WsgiHeaders;
  /** A full Content-Type. */
  readonly contentType?: string;
  /** A type; a charset is added to text. */
  readonly mimetype?: string;
}

/** One response; header fields keep the order in which they were set. */
export class Response {
  status: number;
  readonly headers: [string, string][];
  readonly body: ResponseBody;

  constructor(body: ResponseBody = '', options: ResponseOptions = {}) {
    this.status = options.status ?? 200;
    this.body = body;
    this.headers = (options.headers ?? []).map(([name, value]) => [name, value]);
    if (!this.get('Content-Type')) this.headers.push(['Content-Type', contentType(options)]);
    const length = typeof body === 'string' ? Buffer.byteLength(body) : body instanceof Uint8Array ? body.length : null;
    if (length !== null) this.headers.push(['Content-Length', String(length)]);
  }

  get(name: string): string | undefined {
    return this.headers.find(([each]) => each.toLowerCase() === name.toLowerCase())?.[1];
  }

  set(name: string, value: string): void {
    const field = this.headers.find(([each]) => each.toLowerCase() === name.toLowerCase());
    if (field) field[1] = value;
    else this.headers.push([name, value]);
  }

  get statusLine(): string {
    return `${this.status} ${(WERKZEUG_PHRASES[this.status] ?? 'UNKNOWN').toUpperCase()}`;
  }
}

function contentType({ contentType: full, mimetype = 'text/html' }: ResponseOptions): string {
  if (full !== undefined) return full;
  const isText = mimetype.startsWith('text/') || /[+/]xml$/.test(mimetype) || mimetype === 'application/javascript';
  return isText ? `${mimetype}; charset=utf-8` : mimetype;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => [k, sorted(v)]),
  );
}

/** JSON as Flask's provider writes it: keys sorted, no spaces, ASCII only, a newline at the end. */
export function jsonify(value: unknown, options: ResponseOptions = {}): Response {
  const text = JSON.stringify(sorted(value)).replace(
    /[\u0080-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return new Response(`${text}\n`, { ...options, mimetype: 'application/json' });
}

/** A redirect with Werkzeug's page; 308 keeps the method. */
export function redirect(location: string, status: 301 | 302 | 303 | 307 | 308 = 302): Response {
  const shown = location
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&#34;');
  const page = `<!doctype html>\n<html lang=en>\n<title>Redirecting...</title>\n<h1>Redirecting...</h1>\n<p>You should be redirected automatically to the target URL: <a href="${shown}">${shown}</a>. If not, click the link.\n`;
  const response = new Response(page, { status });
  response.headers.push(['Location', location]);
  return response;
}
