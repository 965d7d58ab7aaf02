// `stub_status`: the counters of connections and requests as text. Mirrors ngx_http_stub_status_module.
import { action, defineModule, LOCATION, SERVER } from '../config/rows.ts';
import type { Variable } from '../config/variables.ts';
import { counters } from '../http/client.ts';
import type { Exchange } from '../http/exchange.ts';
import { sendText } from '../http/send-text.ts';

export const stubStatusModule = defineModule('stub-status', {
  location: {
    stub_status: action(SERVER | LOCATION, '0-1', '', (cf) => {
      cf.scope.location!.handler = stubStatusHandler;
    }),
  },
});

function stubStatusHandler(r: Exchange): number {
  if (r.method !== 'GET' && r.method !== 'HEAD') return 405;
  const { accepted, handled, requests, active, reading, writing, waiting } = counters;
  const text = [
    `Active connections: ${active} \n`,
    'server accepts handled requests\n',
    ` ${accepted} ${handled} ${requests} \n`,
    `Reading: ${reading} Writing: ${writing} Waiting: ${waiting} \n`,
  ].join('');
  return sendText(r, 200, text, 'text/plain');
}

/** The gauges as variables. */
export const STUB_STATUS_VARIABLES: readonly (readonly [string, Variable])[] = [
  ['connections_active', { get: () => String(counters.active) }],
  ['connections_reading', { get: () => String(counters.reading) }],
  ['connections_writing', { get: () => String(counters.writing) }],
  ['connections_waiting', { get: () => String(counters.waiting) }],
];
