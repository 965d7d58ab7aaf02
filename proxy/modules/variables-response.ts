// Variables about the answer: status, bytes, times, rate.

import { turnMs } from '../clock.ts';
import { parseSizeBytes } from '../config/values.ts';
import type { Variable } from '../config/variables.ts';
import type { Exchange } from '../http/exchange.ts';
import { coreModule } from './core-rows.ts';
import { loggedStatus, seconds } from './log-format.ts';

/** `timeout=N` where the `Keep-Alive` header is sent. */
export function loggedKeepAlive(r: Exchange): string | undefined {
  if (!r.main.isKeepalive || r.main.isFinished) return undefined;
  const { headerSeconds } = coreModule.location(r.location).keepalive_timeout;
  return headerSeconds ? `timeout=${headerSeconds}` : undefined;
}

export const RESPONSE_VARIABLES: readonly (readonly [string, Variable])[] = [
  ['status', { get: loggedStatus }],
  ['bytes_sent', { get: (r) => String(r.main.bytesSent), isCached: true }],
  ['body_bytes_sent', { get: (r) => String(Math.max(0, r.main.bytesSent - r.main.headBytesSent)), isCached: true }],
  ['request_time', { get: (r) => seconds(turnMs() - r.startMs) }],
  ['request_completion', { get: (r) => (r.main.isResponseEnded ? 'OK' : ''), isCached: true }],
  [
    'limit_rate',
    {
      get: (r) => String(Math.max(0, r.main.limitRate)),
      isChangeable: true,
      set(r, value) {
        const rate = parseSizeBytes(value);
        if (rate === undefined) r.log('error', `invalid $limit_rate "${value}"`);
        else r.limitRate = rate;
      },
    },
  ],
];
