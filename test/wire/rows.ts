// The corpus's form: one case is a row of raw bytes and of what must come of them.

export interface Row {
  /** Kind of attack. */
  readonly kind: string;
  readonly name: string;
  /** What the client sends; several pieces go in writes of their own. */
  readonly send: string | readonly string[];
  /** Status of each answer, in order; [] when the connection is closed without one, `0.9` for a bare body. */
  readonly answers: readonly number[] | '0.9';
  /** `METHOD target` of each request that reaches the upstream, in order, and its body behind a space when it has one. */
  readonly forwards: readonly string[];
  /** The connection can be used after the last answer. */
  readonly isKept: boolean;
  /** Why nginx 1.22 does otherwise, where it does. */
  readonly unlike?: string;
  /** Why strict llhttp does not read what is forwarded, where it does not. */
  readonly odd?: string;
}

/** Refused with `status`, closed, nothing forwarded. */
export function refused(kind: string, name: string, send: Row['send'], status = 400): Row {
  return { kind, name, send, answers: [status], forwards: [], isKept: false };
}

/** Taken for the requests in `forwards`, each answered with 200, and the connection goes on. */
export function taken(kind: string, name: string, send: Row['send'], ...forwards: string[]): Row {
  return { kind, name, send, answers: forwards.map(() => 200), forwards, isKept: true };
}

export const GET = 'GET /a HTTP/1.1\r\nHost: a\r\n\r\n';
/** What a smuggler wants to be read as a request of its own. */
export const HIDDEN = 'GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n';

/** A POST with these field lines, and what follows its head. */
export function post(fields: readonly string[], rest = '', target = '/p'): string {
  return [`POST ${target} HTTP/1.1`, 'Host: a', ...fields, '', rest].join('\r\n');
}

/** A GET with these field lines. */
export function get(...fields: string[]): string {
  return ['GET /a HTTP/1.1', ...fields, '', ''].join('\r\n');
}
