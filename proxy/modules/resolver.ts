// `resolver` and `resolver_timeout`: which DNS servers names are looked up with while the proxy runs.
import { isIP } from 'node:net';
import { type Cf, custom, defineModule, HSL, time } from '../config/rows.ts';
import { parseTimeMs } from '../config/values.ts';
import { parseAddress } from '../listen/address.ts';
import { Resolver, type ResolverSettings } from '../resolver.ts';

export const resolverModule = defineModule('resolver', {
  location: {
    resolver: custom<Resolver | undefined>(HSL, '1+', {
      default: undefined,
      syntax: 'address ... [valid=time] [ipv4=on|off] [ipv6=on|off] [status_zone=zone]',
      set: parseResolver,
    }),
    resolver_timeout: time(HSL, '30s'),
  },
});

/** Reads the words of a `resolver` directive. */
export function parseResolver(cf: Cf): Resolver {
  let validMs = -1;
  let hasIpv4 = true;
  let hasIpv6 = true;
  const names: string[] = [];
  for (const arg of cf.args) {
    if (arg.startsWith('valid=')) {
      validMs = parseTimeMs(arg.slice(6)) ?? cf.fail(`invalid parameter: ${arg}`);
    } else if (arg.startsWith('ipv4=') || arg.startsWith('ipv6=')) {
      const value = arg.slice(5);
      if (value !== 'on' && value !== 'off') cf.fail(`invalid parameter: ${arg}`);
      if (arg.startsWith('ipv4=')) hasIpv4 = value === 'on';
      else hasIpv6 = value === 'on';
    } else if (!arg.startsWith('status_zone=')) names.push(arg);
  }
  if (!hasIpv4 && !hasIpv6) cf.fail('"ipv4" and "ipv6" cannot both be "off"');
  if (names.length === 0) cf.fail('no name servers defined');
  const { surroundings } = cf.compiler.options;
  const lookup = surroundings && ((host: string) => surroundings.lookup(host));
  const settings: ResolverSettings = { servers: [], validMs, hasIpv4, hasIpv6, lookup };
  for (const name of names) {
    const parsed = parseAddress(name, 53);
    if (typeof parsed === 'string') return cf.fail(`${parsed} in resolver "${name}"`);
    const add = (host: string): void => {
      settings.servers.push(isIP(host) === 6 ? `[${host}]:${parsed.port}` : `${host}:${parsed.port}`);
    };
    if (parsed.family === 'name') {
      cf.compiler.pendingHosts.push({
        host: parsed.host,
        place: cf.directive,
        message: `host not found in resolver "${name}"`,
        apply: (addresses) => {
          for (const { address } of addresses) add(address);
        },
      });
    } else add(parsed.host);
  }
  return new Resolver(settings);
}
