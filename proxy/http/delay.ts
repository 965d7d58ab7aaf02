// A request that waits on purpose (limit_req, auth_delay) and is given up when its client leaves. Mirrors
// ngx_http_limit_req_delay and ngx_http_core_auth_delay.
import { CLIENT_CLOSED } from './codes.ts';
import type { Exchange } from './exchange.ts';

/** Calls `then` after `ms`, unless the request is over by then. */
export function delayRequest(r: Exchange, ms: number, then: (r: Exchange) => void): void {
  const timer = setTimeout(() => {
    r.onAbort = undefined;
    if (!r.isFinished) then(r);
  }, ms);
  r.onAbort = () => {
    clearTimeout(timer);
    r.finalize(CLIENT_CLOSED);
  };
  r.onCleanup(() => clearTimeout(timer));
}
