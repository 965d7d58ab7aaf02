// `stub_status`: the counters of connections and requests as text. Mirrors ngx_http_stub_status_module.

import type { Compiler } from '../config/compile.ts';
import { action, defineModule, LOCATION, SERVER } from '../config/rows.ts';
import type { Variable } from '../config/variables.ts';
import type { Exchange } from '../http/exchange.ts';
import { sendText } from '../http/send-text.ts';
import { shareCounters, totalCounters } from '../http/shared-counters.ts';
import { lifecycle } from '../lifecycle.ts';

export const stubStatusModule = defineModule('stub-status', {
  location: {
    stub_status: action(SERVER | LOCATION, '0-1', '', (cf) => {
      cf.scope.location!.handler = stubStatusHandler;
      showCounters(cf.compiler);
    }),
  },
});

/** The configuration shows the counters: those of all workers are meant. */
export function showCounters(compiler: Compiler): void {
  compiler.shared('zone:connections of all workers', () => {
    lifecycle.start.add(shareCounters);
    return true;
  });
}

function stubStatusHandler(r: Exchange): number {
  if (r.method !== 'GET' && r.method !== 'HEAD') return 405;
  const { accepted, handled, requests, active, reading, writing, waiting } = totalCounters();
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
  ['connections_active', { get: () => String(totalCounters().active) }],
  ['connections_reading', { get: () => String(totalCounters().reading) }],
  ['connections_writing', { get: () => String(totalCounters().writing) }],
  ['connections_waiting', { get: () => String(totalCounters().waiting) }],
];
