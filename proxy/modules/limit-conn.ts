// `limit_conn`: how many requests with one key may be at work at once, in the preaccess phase. Mirrors
// ngx_http_limit_conn_module.
import { count, custom, defineModule, flag, HSL, HTTP, oneOf } from '../config/rows.ts';
import type { Variable } from '../config/variables.ts';
import { DECLINED } from '../http/codes.ts';
import type { Exchange } from '../http/exchange.ts';
import { declareZone, type Zone, zoneNamed } from '../http/zone.ts';

interface Limit {
  readonly zone: Zone;
  readonly connections: number;
}

export const limitConnModule = defineModule('limit-conn', {
  main: {
    limit_conn_zone: custom<undefined>(HTTP, '2', {
      default: undefined,
      isRepeatable: true,
      syntax: 'key zone=name:size',
      set(cf) {
        const key = cf.template(cf.args[0]!);
        const arg = cf.args[1]!;
        if (!arg.startsWith('zone=')) cf.invalidParameter(arg);
        declareZone(cf, arg, 'limit_conn', key);
        return undefined;
      },
    }),
  },
  location: {
    limit_conn: custom<readonly Limit[]>(HSL, '2', {
      default: [],
      isRepeatable: true,
      syntax: 'zone number',
      set(cf, previous = []) {
        const zone = zoneNamed(cf, cf.args[0]!, 'limit_conn');
        if (previous.some((limit) => limit.zone === zone)) cf.fail('"limit_conn" directive is duplicate');
        const number = cf.args[1]!;
        const connections = Number(number);
        if (!/^\d+$/.test(number) || connections === 0) cf.fail(`invalid number of connections "${number}"`);
        if (connections > 65_535) cf.fail('connection limit must be less 65536');
        return [...previous, { zone, connections }];
      },
    }),
    limit_conn_log_level: oneOf(HSL, ['info', 'notice', 'warn', 'error'], 'error'),
    limit_conn_status: count(HSL, 503, {}, [400, 599]),
    limit_conn_dry_run: flag(HSL, false),
  },
});

function take(limit: Limit, key: string): 'taken' | 'busy' | 'full' {
  let isBusy = false;
  const hasRoom = limit.zone.table.update(key, (record) => {
    if (record[0]! >= limit.connections) isBusy = true;
    else record[0]!++;
    return true;
  });
  return !hasRoom ? 'full' : isBusy ? 'busy' : 'taken';
}

function giveBack(limit: Limit, key: string): void {
  limit.zone.table.update(key, (record) => {
    record[0] = Math.max(0, record[0]! - 1);
    return true;
  });
}

export function limitConnHandler(r: Exchange): number {
  const conf = limitConnModule.location(r.location);
  if (conf.limit_conn.length === 0 || r.main.limitConnStatus) return DECLINED;
  const taken: [Limit, string][] = [];
  for (const limit of conf.limit_conn) {
    const key = limit.zone.key!.evaluate(r);
    if (key === '') continue;
    if (key.length > 255) {
      r.log('error', `the value of the "${limit.zone.key!.source}" key is more than 255 bytes: "${key}"`);
      continue;
    }
    r.main.limitConnStatus = 'PASSED';
    const outcome = take(limit, key);
    if (outcome === 'taken') {
      taken.push([limit, key]);
      continue;
    }
    const isDry = conf.limit_conn_dry_run;
    if (outcome === 'busy') {
      const dry = isDry ? ', dry run,' : '';
      r.log(conf.limit_conn_log_level, `limiting connections${dry} by zone "${limit.zone.name}"`);
    }
    for (const [other, used] of taken) giveBack(other, used);
    r.main.limitConnStatus = isDry ? 'REJECTED_DRY_RUN' : 'REJECTED';
    return isDry ? DECLINED : conf.limit_conn_status;
  }
  if (taken.length) {
    r.main.onCleanup(() => {
      for (const [limit, key] of taken) giveBack(limit, key);
    });
  }
  return DECLINED;
}

export const LIMIT_CONN_VARIABLES: readonly (readonly [string, Variable])[] = [
  ['limit_conn_status', { get: (r) => r.main.limitConnStatus }],
];
