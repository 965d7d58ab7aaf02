// What a differential test is made of: a configuration that both servers start on, and requests that both are sent.
// Cases are data, by feature, in the files beside this one; twin.ts runs them, nginx-differential.test.ts judges.

/** The parts of a case in which the two servers are compared. */
export type Part = 'head' | 'body' | 'reuse' | 'log' | 'upstream';

export interface Case {
  /** What is written; the elements of an array one after another, each once the answer to the one before is there. */
  readonly send: string | readonly string[];
  /** Answers of the upstream to the requests of this case, in order; the last one serves all further ones. */
  readonly upstream?: string | readonly string[];
  /** Index of the port to connect to; default 0. */
  readonly port?: number;
  /** Speak TLS; the value is the server name to ask for. */
  readonly tls?: string;
  /** Close the writing half after the last piece. */
  readonly isHalfClosed?: true;
  /** What stands before the dash in a title, when the request's first line says too little. */
  readonly title?: string;
  /** The parts that differ from nginx's, and why that is right; the test fails when one does not differ. */
  readonly differs?: { readonly parts: readonly Part[]; readonly reason: string };
}

export interface Group {
  readonly name: string;
  /** The inside of `http { }`. `%%PORT_0%%` … are ports to listen on, `%%UP_0%%` … those of the upstream, `%%DIR%%` is
   * the server's directory. */
  readonly conf: string;
  /** The inside of the file beside `http { }`. */
  readonly main?: string;
  /** Files below the directory; all have the same, fixed time of change. */
  readonly files?: Readonly<Record<string, string | Buffer>>;
  readonly cases: readonly Case[];
  /** Why the error logs are not compared. */
  readonly errorsDiffer?: string;
}

/** A request of HTTP/1.1 with the host `localhost`. */
export function get(target: string, ...headers: readonly string[]): string {
  return request('GET', target, headers);
}

/** The same with another method. */
export function ask(method: string, target: string, ...headers: readonly string[]): string {
  return request(method, target, headers);
}

/** A request with a body and its Content-Length. */
export function post(target: string, body: string, ...headers: readonly string[]): string {
  return `${request('POST', target, [...headers, `Content-Length: ${body.length}`])}${body}`;
}

/** A request with a chunked body, given as it goes over the wire. */
export function postChunks(target: string, chunks: string, ...headers: readonly string[]): string {
  return `${request('POST', target, [...headers, 'Transfer-Encoding: chunked'])}${chunks}`;
}

function request(method: string, target: string, headers: readonly string[]): string {
  return lines(`${method} ${target} HTTP/1.1`, 'Host: localhost', ...headers);
}

/** Lines as the head of a message: each ended, and an empty one behind them. */
export function lines(...text: readonly string[]): string {
  return `${text.join('\r\n')}\r\n\r\n`;
}

/** A response with Content-Length. */
export function answer(body: string, ...headers: readonly string[]): string {
  return lines('HTTP/1.1 200 OK', ...headers, `Content-Length: ${body.length}`) + body;
}

/** Cases from plain requests. */
export function each(...requests: readonly (string | readonly string[])[]): Case[] {
  return requests.map((send) => ({ send }));
}

/** Cases from pairs of a request and the upstream's answer. */
export function proxied(...pairs: readonly (readonly [string, string])[]): Case[] {
  return pairs.map(([send, upstream]) => ({ send, upstream }));
}
