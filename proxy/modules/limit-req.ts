// `limit_req`: the leaky bucket, in the preaccess phase. Requests above the rate wait, those above the burst are
// refused. Mirrors ngx_http_limit_req_module; amounts are in 1/1000 requests.
import { turnMs } from '../clock.ts';
import { count, custom, defineModule, flag, HSL, HTTP, oneOf } from '../config/rows.ts';
import type { Variable } from '../config/variables.ts';
import { AGAIN, DECLINED } from '../http/codes.ts';
import { delayRequest } from '../http/delay.ts';
import type { Exchange } from '../http/exchange.ts';
import { declareZone, type Zone, zoneNamed } from '../http/zone.ts';
import type { ZoneRecord } from '../http/zone-table.ts';
import type { LogLevel } from '../log.ts';

interface Limit {
  readonly zone: Zone;
  readonly burst: number;
  readonly delay: number;
}

export const limitReqModule = defineModule('limit-req', {
  main: {
    limit_req_zone: custom<undefined>(HTTP, '3', {
      default: undefined,
      isRepeatable: true,
      syntax: 'key zone=name:size rate=rate',
      set(cf) {
        const key = cf.template(cf.args[0]!);
        let zone: Zone | undefined;
        let rate = 1000;
        for (const arg of cf.args.slice(1)) {
          if (arg.startsWith('zone=')) zone = declareZone(cf, arg, 'limit_req', key);
          else if (arg.startsWith('rate=')) rate = parseRate(arg) ?? cf.fail(`invalid rate "${arg}"`);
          else cf.invalidParameter(arg);
        }
        if (!zone) return cf.fail('"limit_req_zone" must have "zone" parameter');
        zone.rate = rate;
        return undefined;
      },
    }),
  },
  location: {
    limit_req: custom<readonly Limit[]>(HSL, '1-3', {
      default: [],
      isRepeatable: true,
      syntax: 'zone=name [burst=number] [nodelay | delay=number]',
      set(cf, previous = []) {
        let zone: Zone | undefined;
        let burst = 0;
        let delay = 0;
        const amount = (arg: string, what: string): number => {
          const value = Number(arg.slice(6));
          return /^\d+$/.test(arg.slice(6)) && value > 0 ? value * 1000 : cf.fail(`invalid ${what} value "${arg}"`);
        };
        for (const arg of cf.args) {
          if (arg.startsWith('zone=')) zone = zoneNamed(cf, arg.slice(5), 'limit_req');
          else if (arg.startsWith('burst=')) burst = amount(arg, 'burst');
          else if (arg.startsWith('delay=')) delay = amount(arg, 'delay');
          else if (arg === 'nodelay') delay = Number.POSITIVE_INFINITY;
          else cf.invalidParameter(arg);
        }
        if (!zone) return cf.fail('"limit_req" must have "zone" parameter');
        if (previous.some((limit) => limit.zone === zone)) cf.fail('"limit_req" directive is duplicate');
        return [...previous, { zone, burst, delay }];
      },
    }),
    limit_req_log_level: oneOf(HSL, ['info', 'notice', 'warn', 'error'], 'error'),
    limit_req_status: count(HSL, 503, {}, [400, 599]),
    limit_req_dry_run: flag(HSL, false),
  },
});

function parseRate(arg: string): number | undefined {
  const match = /^rate=(\d+)(r\/s|r\/m)?$/.exec(arg);
  if (!match || Number(match[1]) === 0) return undefined;
  return Math.floor((Number(match[1]) * 1000) / (match[2] === 'r/m' ? 60 : 1));
}

/** Delays are told one level less urgently than refusals. */
const DELAY_LEVEL: Readonly<Record<string, LogLevel>> = { error: 'warn', warn: 'notice', notice: 'info', info: 'info' };

/** Record: [requests that are looking at other zones, excess, time of the last request in ms]. */
const EXCESS = 1;
const LAST = 2;

function excessNow(record: ZoneRecord, rate: number, ms: number): number {
  return Math.max(0, record[EXCESS]! - Math.trunc((rate * ms) / 1000) + 1000);
}

function elapsed(now: number, last: number): number {
  const ms = now - last;
  // The clock was set back: as good as no time, or a fresh start.
  return ms < -60_000 ? 1 : Math.max(0, ms);
}

type Outcome = 'passed' | 'busy' | 'full';

/** Looks at one zone; the last one of a request is charged at once, the others when all have agreed. */
function look(limit: Limit, key: string, isLast: boolean): { outcome: Outcome; excess: number } {
  const now = turnMs();
  let excess = 0;
  let isBusy = false;
  const hasRoom = limit.zone.table.update(key, (record, isNew) => {
    if (isNew) {
      if (isLast) record[LAST] = now;
      else record[0] = 1;
      return true;
    }
    const ms = elapsed(now, record[LAST]!);
    excess = excessNow(record, limit.zone.rate, ms);
    if (excess > limit.burst) {
      isBusy = true;
      return true;
    }
    if (isLast) {
      record[EXCESS] = excess;
      if (ms) record[LAST] = now;
    } else record[0]!++;
    return true;
  });
  return { outcome: !hasRoom ? 'full' : isBusy ? 'busy' : 'passed', excess };
}

/** Charges a zone that was only looked at. */
function charge(limit: Limit, key: string): number {
  const now = turnMs();
  let excess = 0;
  limit.zone.table.update(key, (record) => {
    const ms = elapsed(now, record[LAST]!);
    excess = excessNow(record, limit.zone.rate, ms);
    if (ms) record[LAST] = now;
    record[EXCESS] = excess;
    record[0] = Math.max(0, record[0]! - 1);
    return true;
  });
  return excess;
}

function release(looked: readonly [Limit, string][]): void {
  for (const [limit, key] of looked) {
    limit.zone.table.update(key, (record) => {
      record[0] = Math.max(0, record[0]! - 1);
      return true;
    });
  }
}

function amountText(excess: number): string {
  return `${Math.floor(excess / 1000)}.${String(excess % 1000).padStart(3, '0')}`;
}

export function limitReqHandler(r: Exchange): number {
  const conf = limitReqModule.location(r.location);
  const limits = conf.limit_req;
  if (limits.length === 0 || r.main.limitReqStatus) return DECLINED;

  const looked: [Limit, string][] = [];
  let last: { limit: Limit; excess: number } | undefined;
  for (let i = 0; i < limits.length; i++) {
    const limit = limits[i]!;
    const key = limit.zone.key!.evaluate(r);
    if (key === '') continue;
    if (key.length > 65_535) {
      r.log('error', `the value of the "${limit.zone.key!.source}" key is more than 65535 bytes: "${key}"`);
      continue;
    }
    const isLast = i === limits.length - 1;
    const { outcome, excess } = look(limit, key, isLast);
    if (outcome !== 'passed') {
      if (outcome === 'busy') {
        const dry = conf.limit_req_dry_run ? ', dry run' : '';
        r.log(
          conf.limit_req_log_level,
          `limiting requests${dry}, excess: ${amountText(excess)} by zone "${limit.zone.name}"`,
        );
      }
      release(looked);
      r.main.limitReqStatus = conf.limit_req_dry_run ? 'REJECTED_DRY_RUN' : 'REJECTED';
      return conf.limit_req_dry_run ? DECLINED : conf.limit_req_status;
    }
    if (isLast) last = { limit, excess };
    else looked.push([limit, key]);
  }
  if (!last && looked.length === 0) return DECLINED;

  let delayMs = 0;
  let slowest = last;
  if (last && last.excess > last.limit.delay) delayMs = delayOf(last.limit, last.excess);
  for (const [limit, key] of looked.reverse()) {
    const excess = charge(limit, key);
    const ms = excess > limit.delay ? delayOf(limit, excess) : 0;
    if (ms > delayMs) {
      delayMs = ms;
      slowest = { limit, excess };
    }
  }
  if (delayMs === 0) {
    r.main.limitReqStatus = 'PASSED';
    return DECLINED;
  }
  const dry = conf.limit_req_dry_run ? ', dry run' : '';
  r.log(
    DELAY_LEVEL[conf.limit_req_log_level]!,
    `delaying request${dry}, excess: ${amountText(slowest!.excess)}, by zone "${slowest!.limit.zone.name}"`,
  );
  if (conf.limit_req_dry_run) {
    r.main.limitReqStatus = 'DELAYED_DRY_RUN';
    return DECLINED;
  }
  r.main.limitReqStatus = 'DELAYED';
  delayRequest(r, delayMs, (waiting) => waiting.run());
  return AGAIN;
}

function delayOf(limit: Limit, excess: number): number {
  return Math.floor(((excess - limit.delay) * 1000) / limit.zone.rate);
}

export const LIMIT_REQ_VARIABLES: readonly (readonly [string, Variable])[] = [
  ['limit_req_status', { get: (r) => r.main.limitReqStatus }],
];
