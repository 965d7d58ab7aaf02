/**
 * PEP 3333 as TypeScript types: how a server calls a synchronous web application. An app is a function of the environ and
 * start_response that returns its body in pieces; it runs on one thread and may block it. Bytes are Uint8Array, and "native strings"
 * hold one byte a character (latin-1), as in the PEP.
 */

/** Header fields in order, names as the application spells them. */
export type WsgiHeaders = readonly (readonly [name: string, value: string])[];

/** The imperative writer that start_response returns, for old applications; prefer to return the body. */
export type WsgiWrite = (data: Uint8Array) => void;

/**
 * Begins a response. `status` is like `200 OK`. Calling it twice is an error unless `excInfo` says why; with `excInfo`, when the
 * head is already sent, that error is thrown again.
 */
export type StartResponse = (status: string, headers: WsgiHeaders, excInfo?: unknown) => WsgiWrite;

/** The request body, read as the application asks for it; reads block. */
export interface WsgiInput extends Iterable<Uint8Array> {
  read(size?: number): Uint8Array;
  readline(size?: number): Uint8Array;
  readlines(hint?: number): Uint8Array[];
}

/** Where an application writes its own errors. */
export interface WsgiErrors {
  write(text: string): void;
  flush(): void;
}

/** The request: the CGI variables as strings, `HTTP_*` for header fields, and the `wsgi.*` keys. */
export interface Environ {
  REQUEST_METHOD: string;
  SCRIPT_NAME: string;
  PATH_INFO: string;
  QUERY_STRING: string;
  RAW_URI: string;
  SERVER_NAME: string;
  SERVER_PORT: string;
  SERVER_PROTOCOL: string;
  SERVER_SOFTWARE: string;
  REMOTE_ADDR: string;
  REMOTE_PORT?: string;
  CONTENT_TYPE?: string;
  CONTENT_LENGTH?: string;
  'wsgi.version': readonly [1, 0];
  'wsgi.url_scheme': string;
  'wsgi.input': WsgiInput;
  'wsgi.errors': WsgiErrors;
  'wsgi.multithread': boolean;
  'wsgi.multiprocess': boolean;
  'wsgi.run_once': boolean;
  'wsgi.input_terminated': boolean;
  'wsgi.file_wrapper': (file: WsgiFile, blockSize?: number) => Iterable<Uint8Array>;
  'wsgi.early_hints': (headers: WsgiHeaders) => void;
  [key: string]: unknown;
}

/** Something that can be read to its end in blocks, for wsgi.file_wrapper. */
export interface WsgiFile {
  read(size: number): Uint8Array;
  close?(): void;
}

/** What an application returns: its body in pieces, and close(), which the server calls at the end whatever happened. */
export type WsgiResult = Iterable<Uint8Array> & { close?(): void };

/** A WSGI application. */
export type WsgiApp = (environ: Environ, startResponse: StartResponse) => WsgiResult;
