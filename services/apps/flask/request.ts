/**
 * The request as a view sees it, over the environ: query arguments, header fields, body. Reading the body blocks.
 */
import type { Environ } from '../../wsgi.ts';
import { abort } from './http-exception.ts';

/** Bytes in a latin-1 string, read as UTF-8: how WSGI carries text. */
const utf8 = (text: string): string => Buffer.from(text, 'latin1').toString('utf8');

/** One request. Values are read on demand. */
export class Request {
  readonly environ: Environ;
  #args: URLSearchParams | null = null;
  #data: Uint8Array | null = null;

  constructor(environ: Environ) {
    this.environ = environ;
  }

  get method(): string {
    return this.environ.REQUEST_METHOD;
  }

  get path(): string {
    return `/${utf8(this.environ.PATH_INFO).replace(/^\/+/, '')}`;
  }

  /** The prefix under which the application is mounted. */
  get scriptRoot(): string {
    return utf8(this.environ.SCRIPT_NAME).replace(/\/+$/, '');
  }

  get queryString(): string {
    return this.environ.QUERY_STRING;
  }

  get scheme(): string {
    return this.environ['wsgi.url_scheme'];
  }

  get host(): string {
    const host = this.environ['HTTP_HOST'] as string | undefined;
    if (host) return host;
    const { SERVER_NAME: name, SERVER_PORT: port } = this.environ;
    return port === (this.scheme === 'https' ? '443' : '80') ? name : `${name}:${port}`;
  }

  get remoteAddr(): string {
    return this.environ.REMOTE_ADDR;
  }

  get contentType(): string | null {
    return this.environ.CONTENT_TYPE ?? null;
  }

  get args(): URLSearchParams {
    return (this.#args ??= new URLSearchParams(utf8(this.queryString)));
  }

  /** A query argument as a number: `fallback` when it is missing or none. Without a fallback that is answered with 400. */
  number(name: string, fallback?: number): number {
    const text = this.args.get(name);
    const value = text === null || text.trim() === '' ? Number.NaN : Number(text);
    if (!Number.isNaN(value)) return value;
    return fallback ?? abort(400);
  }

  /** Header fields by their usual spelling, `User-Agent`, as Werkzeug rebuilds them from the environ. */
  get headers(): Record<string, string> {
    const found: Record<string, string> = {};
    for (const [key, value] of Object.entries(this.environ)) {
      if (typeof value !== 'string') continue;
      if (key.startsWith('HTTP_')) found[spell(key.slice(5))] = value;
      else if ((key === 'CONTENT_TYPE' || key === 'CONTENT_LENGTH') && value !== '') found[spell(key)] = value;
    }
    return found;
  }

  /** The whole body. */
  get data(): Uint8Array {
    return (this.#data ??= this.environ['wsgi.input'].read());
  }

  get text(): string {
    return Buffer.from(this.data).toString('utf8');
  }

  /** The body as JSON: 415 when it is not declared as JSON, 400 when it is none. */
  get json(): unknown {
    if (!/^application\/(?:[\w.+-]+\+)?json\b/i.test(this.contentType ?? '')) abort(415);
    try {
      return JSON.parse(this.text);
    } catch {
      return abort(400);
    }
  }
}

const spell = (key: string): string =>
  key
    .toLowerCase()
    .replace(/(^|_)([a-z])/g, (_, gap: string, letter: string) => (gap ? '-' : '') + letter.toUpperCase())
    .replaceAll('_', '-');
