// `set_real_ip_from`, `real_ip_header`, `real_ip_recursive`: the client's address as a trusted proxy reports it. The
// exchange gets a client of its own that differs in the address only, so that other requests of the connection (and
// other streams) are not touched. Mirrors ngx_http_realip_module.
import { custom, defineModule, flag, HSL } from '../config/rows.ts';
import type { Variable } from '../config/variables.ts';
import type { ClientConnection } from '../http/client.ts';
import { DECLINED } from '../http/codes.ts';
import type { Exchange } from '../http/exchange.ts';
import { type ForwardedAddress, forwardedAddress, type TrustedProxies } from '../http/forwarded.ts';
import { type Cidr, parseCidr } from '../listen/cidr.ts';

export const realipModule = defineModule('realip', {
  location: {
    set_real_ip_from: custom<TrustedProxies | undefined>(HSL, '1', {
      default: undefined,
      isRepeatable: true,
      syntax: 'address | CIDR | hostname | unix:',
      set(cf, previous) {
        // One list for the whole block: addresses of names come later.
        const networks = (previous?.networks ?? []) as Cidr[];
        const from = { networks, hasUnix: previous?.hasUnix ?? false };
        const text = cf.args[0]!;
        if (text === 'unix:') return { networks, hasUnix: true };
        const cidr = parseCidr(text);
        if (cidr) {
          if (cidr.hasLowBits) cf.compiler.warn(`low address bits of ${text} are meaningless`, cf.directive);
          networks.push(cidr);
          return from;
        }
        cf.compiler.pendingHosts.push({
          host: text,
          place: cf.directive,
          message: `host not found in set_real_ip_from "${text}"`,
          apply(addresses) {
            for (const { address } of addresses) networks.push(parseCidr(address)!);
          },
        });
        return from;
      },
    }),
    real_ip_header: custom(HSL, '1', {
      default: 'x-real-ip',
      syntax: 'field | X-Real-IP | X-Forwarded-For | proxy_protocol',
      defaultText: 'X-Real-IP',
      set: (cf) => cf.args[0]!.toLowerCase(),
    }),
    real_ip_recursive: flag(HSL, false),
  },
});

/** Runs when the request was read, and again when its location is known. */
export function realipHandler(r: Exchange): number {
  const conf = realipModule.location(r.location);
  const from = conf.set_real_ip_from;
  if (!from || r.client.original) return DECLINED;
  const header = conf.real_ip_header;
  let values: string[];
  if (header === 'proxy_protocol') {
    const { proxyProtocol } = r.client;
    if (!proxyProtocol) return DECLINED;
    values = [proxyProtocol.address];
  } else {
    const { lower } = r.headers;
    values = r.headers.values.filter((_, i) => lower[i] === header);
    if (values.length === 0) return DECLINED;
    if (header !== 'x-forwarded-for') values.length = 1;
  }
  const found = forwardedAddress(r.client.remoteAddress, values, from, conf.real_ip_recursive);
  if (!found) return DECLINED;
  const port = header === 'proxy_protocol' ? r.client.proxyProtocol!.port : found.port;
  useAddress(r, { address: found.address, port });
  return DECLINED;
}

function useAddress(r: Exchange, to: ForwardedAddress): void {
  const own = Object.create(r.client) as ClientConnection;
  own.original = r.client;
  own.remoteAddress = to.address;
  own.remotePort = to.port;
  r.client = own;
}

function originalPort(r: Exchange): string {
  const { remotePort } = r.client.original ?? r.client;
  return remotePort > 0 ? String(remotePort) : '';
}

export const REALIP_VARIABLES: readonly (readonly [string, Variable])[] = [
  ['realip_remote_addr', { get: (r) => (r.client.original ?? r.client).remoteAddress }],
  ['realip_remote_port', { get: originalPort }],
];
