// Why a request got no answer, told apart as an operator would: by what the kernel, TLS or the wire said. The table is the
// only place that knows these kinds; results count by them, and the report names them.

/** Every way to fail without a response, with what it means. */
export const FAILURES = {
  refused: 'nothing listens there (connection refused)',
  unreachable: 'no route to the host',
  dns: 'the name does not resolve',
  'connect-timeout': 'the connection was not accepted in time (a full listen queue, or packets dropped)',
  tls: 'the TLS handshake or the certificate failed',
  timeout: 'no complete answer in time',
  reset: 'the connection was reset before the answer was complete',
  closed: 'the connection was closed before the answer was complete',
  stale: 'a kept-alive connection was closed under the request (the keepalive race)',
  protocol: 'the answer is not valid HTTP',
  descriptors: 'the generator has no file descriptors left',
  ports: 'the generator has no local ports left (too many connections in TIME_WAIT)',
  unsent: 'no connection was free for it before the run ended',
  other: 'another error',
} as const;

export type FailureKind = keyof typeof FAILURES;

const BY_CODE: Record<string, FailureKind> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  ENOENT: 'refused',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  ETIMEDOUT: 'connect-timeout',
  UND_ERR_CONNECT_TIMEOUT: 'connect-timeout',
  UND_ERR_HEADERS_TIMEOUT: 'timeout',
  UND_ERR_BODY_TIMEOUT: 'timeout',
  UND_ERR_SOCKET: 'closed',
  UND_ERR_ABORTED: 'timeout',
  EMFILE: 'descriptors',
  ENFILE: 'descriptors',
  EADDRNOTAVAIL: 'ports',
  EPROTO: 'tls',
};

/** The kind of an error of node:net, node:tls or undici. */
export function failureOf(error: Error & { code?: string }): FailureKind {
  const code = error.code ?? (error.cause as { code?: string } | undefined)?.code ?? '';
  const known = BY_CODE[code];
  if (known !== undefined) return known;
  if (/^(ERR_SSL|ERR_TLS|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_OSSL)/.test(code)) return 'tls';
  if (/^(HPE_|ERR_HTTP2)/.test(code)) return 'protocol';
  return 'other';
}

/** A failure of the wire format, made by our own reader. */
export class ProtocolError extends Error {
  readonly code = 'HPE_INVALID';
}
