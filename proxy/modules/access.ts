// `allow` and `deny`, in the access phase: the first rule that names the client's address decides. Mirrors
// ngx_http_access_module.
import { type AnyRow, action, type Cf, custom, defineModule } from '../config/rows.ts';
import { DECLINED, OK } from '../http/codes.ts';
import type { Exchange } from '../http/exchange.ts';
import { addressBytes, type Cidr, isIn, mappedIPv4, parseCidr } from '../listen/cidr.ts';
import { coreModule, HSL_LIMIT } from './core-rows.ts';

interface AccessRule {
  readonly isDeny: boolean;
  /** `all`, `unix:`, or a network. */
  readonly whom: 'all' | 'unix' | Cidr;
}

const SYNTAX = 'address | CIDR | unix: | all';

export const accessModule = defineModule('access', {
  location: {
    allow: custom<readonly AccessRule[]>(HSL_LIMIT, '1', {
      default: [],
      isRepeatable: true,
      syntax: SYNTAX,
      set: (cf, previous) => [...(previous ?? []), parseRule(cf, false)],
    }),
    // Both directives make one list, in the order in which they stand.
    deny: action(HSL_LIMIT, '1', SYNTAX, (cf) => {
      const row = accessModule.rows.location.allow as AnyRow;
      const rules = (cf.scope.values.get(row) ?? []) as readonly AccessRule[];
      cf.scope.values.set(row, [...rules, parseRule(cf, true)]);
    }),
  },
});

function parseRule(cf: Cf, isDeny: boolean): AccessRule {
  const text = cf.args[0]!;
  if (text === 'all') return { isDeny, whom: 'all' };
  if (text === 'unix:') return { isDeny, whom: 'unix' };
  const cidr = parseCidr(text) ?? cf.invalidParameter(text);
  if (cidr.hasLowBits) cf.compiler.warn(`low address bits of ${text} are meaningless`, cf.directive);
  return { isDeny, whom: cidr };
}

export function accessHandler(r: Exchange): number {
  const rules = accessModule.location(r.location).allow;
  if (rules.length === 0) return DECLINED;
  let bytes = addressBytes(r.client.remoteAddress);
  // An IPv4 client on an IPv6 socket is judged as IPv4.
  if (bytes) bytes = mappedIPv4(bytes) ?? bytes;
  for (const rule of rules) {
    const { whom } = rule;
    const isHit = whom === 'all' || (whom === 'unix' ? bytes === undefined : bytes !== undefined && isIn(whom, bytes));
    if (!isHit) continue;
    if (!rule.isDeny) return OK;
    if (coreModule.location(r.location).satisfy === 'all') r.log('error', 'access forbidden by rule');
    return 403;
  }
  return DECLINED;
}
