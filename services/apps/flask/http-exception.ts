/**
 * Errors that are answers: what abort(404) throws in a view, with Werkzeug's pages. An error handler may catch them by status.
 */
import { WERKZEUG_PHRASES } from '../../http/status-phrases.ts';

const DESCRIPTIONS: Readonly<Record<number, string>> = {
  400: 'The browser (or proxy) sent a request that this server could not understand.',
  401: 'The server could not verify that you are authorized to access the URL requested. You either supplied the wrong credentials (e.g. a bad password), or your browser doesn&#39;t understand how to supply the credentials required.',
  403: 'You don&#39;t have the permission to access the requested resource. It is either read-protected or not readable by the server.',
  404: 'The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again.',
  405: 'The method is not allowed for the requested URL.',
  413: 'The data value transmitted exceeds the capacity limit.',
  415: 'The server does not support the media type transmitted in the request.',
  500: 'The server encountered an internal error and was unable to complete your request. Either the server is overloaded or there is an error in the application.',
};

/** An error with a status, a page and header fields of its own. */
export class HttpException extends Error {
  override readonly name: string = 'HttpException';
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];

  constructor(status: number, description?: string, headers: readonly (readonly [string, string])[] = []) {
    super(description ?? DESCRIPTIONS[status] ?? '');
    this.status = status;
    this.headers = headers;
  }

  /** The page, as Werkzeug writes it. */
  get page(): string {
    const name = WERKZEUG_PHRASES[this.status] ?? 'Unknown Error';
    return `<!doctype html>\n<html lang=en>\n<title>${this.status} ${name}</title>\n<h1>${name}</h1>\n<p>${this.message}</p>\n`;
  }
}

/** Ends the request with a status, from anywhere in a view. */
export function abort(status: number, description?: string): never {
  throw new HttpException(status, description);
}
