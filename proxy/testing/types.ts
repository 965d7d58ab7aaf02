// What a test of a configuration sees: the arguments and results of startProxy. This file imports nothing, so that the
// published types need none of the proxy's own.

/** What a fake upstream answers with. A `body` that is neither text nor bytes is sent as JSON. */
export interface FakeAnswer {
  /** Default: 200. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: unknown;
}

/** A request as a fake upstream received it. */
export interface UpstreamRequest {
  readonly method: string;
  /** Path and query as sent. */
  readonly url: string;
  /** `1.0` or `1.1`. */
  readonly httpVersion: string;
  /** By lower-case name; several of one name are joined as Node joins them. */
  readonly headers: Readonly<Record<string, string>>;
  /** In order and as spelled. */
  readonly rawHeaders: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  /** The request's body as JSON. */
  json(): unknown;
}

/**
 * What stands for an upstream: an answer (a string is a body), several in turn (the last one stays), or a function that
 * makes one from each request. A function that throws ends the connection without an answer, as an app server does that
 * dies; `null` is a server that is down.
 */
export type FakeUpstream =
  | string
  | FakeAnswer
  | readonly (string | FakeAnswer)[]
  | ((request: UpstreamRequest) => string | FakeAnswer | Promise<string | FakeAnswer>)
  | null;

export interface StartOptions {
  /**
   * By the name of an `upstream` block, by a server of such a block as written (`10.0.0.1:8000`, `unix:/run/app.sock`),
   * or by the host (with or without its port) of a `proxy_pass`. Whatever is not named here refuses connections.
   */
  readonly upstreams?: Readonly<Record<string, FakeUpstream>>;
  /**
   * nginx's `-p`: where relative paths start. Default: the directory of the file, or the one above when that is `conf`;
   * the current one for a text.
   */
  readonly prefix?: string;
  /** Texts of included files, by path (relative ones start at the configuration's directory). */
  readonly files?: Readonly<Record<string, string>>;
}

/** A line of an access log. */
export interface AccessLogEntry {
  /** The log file that the configuration names. */
  readonly file: string;
  readonly line: string;
  /** The variables of the log's format, by name without `$`; one that is not there is `-`, as in the line. */
  readonly values: Readonly<Record<string, string>>;
}

/** A line of an error log. */
export interface ErrorLogEntry {
  readonly file: string;
  readonly level: string;
  readonly message: string;
  readonly line: string;
}

/** A fake upstream, while the proxy runs. */
export interface UpstreamRecord {
  /** Every request that it received, in order. */
  readonly requests: readonly UpstreamRequest[];
}

export interface TestedProxy {
  /** A URL on 127.0.0.1 for every listen address, by the address as nginx spells it (`0.0.0.0:8443`). */
  readonly urls: Readonly<Record<string, string>>;
  /** The URL of the first listen address. */
  readonly url: string;
  /** The URL of a listen address (`8443`, `127.0.0.1:8080`), or of the first address of the server of that name. */
  urlOf(listenOrName: string): string;
  /**
   * Sends a request to the configuration under test as its clients do: `https://shop.example/cart` goes to the address
   * that listens on port 443, with that Host and SNI. A path goes to the first address. Redirects are not followed
   * unless `redirect` says so, and certificates are not verified.
   */
  fetch(url: string | URL, init?: RequestInit): Promise<Response>;
  readonly upstreams: Readonly<Record<string, UpstreamRecord>>;
  /** Lines so far. A line is written when its request is over, which may be after the client has the response: see `idle`. */
  readonly accessLog: readonly AccessLogEntry[];
  readonly errorLog: readonly ErrorLogEntry[];
  /** Resolves when every request that has arrived is over and logged. */
  idle(): Promise<void>;
  /** Closes everything. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
