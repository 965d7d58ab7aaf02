// DESIGN: when a request is sent to another server. These are the rules of proxy_next_upstream as pure functions,
// because what a proxy retries is what its users lose or duplicate work by:
//   - A failure has a kind (below). It may be retried when proxy_next_upstream names the kind, a try is left
//     (servers that are not down, or proxy_next_upstream_tries), and proxy_next_upstream_timeout has not passed.
//   - POST, LOCK and PATCH are not retried once the request has been sent, unless `non_idempotent` is named.
//   - A body that is passed on unbuffered (proxy_request_buffering off) cannot be sent twice: no retry once sent.
//   - A failure on a kept connection before the answer costs no try, because the server may just have closed it.
//   - `http_403` and `http_404` are answers, not failures: they move on without counting against the server.
//   - When nothing is left, the client gets the status of the last failure.
// Mirrors ngx_http_upstream_next and ngx_http_upstream_test_next.

export const NEXT_WORDS = [
  'error',
  'timeout',
  'invalid_header',
  'non_idempotent',
  'http_500',
  'http_502',
  'http_503',
  'http_504',
  'http_403',
  'http_404',
  'http_429',
  'updating',
  'off',
] as const;

export type NextWord = (typeof NEXT_WORDS)[number];

/** Kinds of failure; `no_live` is that of having no server to try. */
export type FailureKind = Exclude<NextWord, 'non_idempotent' | 'updating' | 'off'> | 'no_live';

const BY_STATUS: Readonly<Record<number, FailureKind>> = {
  500: 'http_500',
  502: 'http_502',
  503: 'http_503',
  504: 'http_504',
  403: 'http_403',
  404: 'http_404',
  429: 'http_429',
};

/** The kind of a response's status, undefined for statuses that are always answers. */
export function failureOfStatus(status: number): FailureKind | undefined {
  return BY_STATUS[status];
}

/** What the client is told when `kind` was the last failure. */
export function statusOfFailure(kind: FailureKind): number {
  switch (kind) {
    case 'timeout':
    case 'http_504':
      return 504;
    case 'http_500':
      return 500;
    case 'http_503':
      return 503;
    case 'http_403':
      return 403;
    case 'http_404':
      return 404;
    case 'http_429':
      return 429;
    default:
      return 502;
  }
}

/** Whether the failure counts against the server. */
export function countsAgainstPeer(kind: FailureKind): boolean {
  return kind !== 'http_403' && kind !== 'http_404';
}

/** Methods whose requests are not repeated once sent. */
export function isNonIdempotent(method: string): boolean {
  return method === 'POST' || method === 'LOCK' || method === 'PATCH';
}

/** What the rules look at. */
export interface RetryFacts {
  /** Words of proxy_next_upstream. */
  readonly allowed: ReadonlySet<NextWord>;
  readonly timeoutMs: number;
  readonly triesLeft: number;
  readonly elapsedMs: number;
  readonly isRequestSent: boolean;
  readonly isNonIdempotent: boolean;
  readonly isBodyUnbuffered: boolean;
}

/** Whether a failure of `kind` is followed by another try. */
export function mayTryNext(kind: FailureKind, facts: RetryFacts): boolean {
  if (facts.triesLeft === 0) return false;
  const { allowed } = facts;
  if (kind === 'no_live' || allowed.has('off') || !allowed.has(kind)) return false;
  if (facts.isRequestSent && facts.isNonIdempotent && !allowed.has('non_idempotent')) return false;
  if (facts.isRequestSent && facts.isBodyUnbuffered) return false;
  return facts.timeoutMs === 0 || facts.elapsedMs < facts.timeoutMs;
}
