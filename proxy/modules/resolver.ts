// `resolver` and `resolver_timeout`: which DNS servers names are looked up with while the proxy runs.
import { type Cf, custom, defineModule, HSL, time } from '../config/rows.ts';
import { parseTimeMs } from '../config/values.ts';
import { parseAddress } from '../listen/address.ts';
import { logProcessError } from '../log.ts';
import { Resolver, type ResolverSettings } from '../resolver.ts';

export const resolverModule = defineModule('resolver', {
  location: {
    resolver: custom<Resolver | undefined>(HSL, '1+', {
      default: undefined,
      syntax: 'address ... [valid=time] [ipv4=on|off] [ipv6=on|off]',
      set: parseResolver,
    }),
    resolver_timeout: time(HSL, '30s'),
  },
});

/** Reads the words of a `resolver` directive. */
export function parseResolver(cf: Cf): Resolver {
  let validS = 0;
  let hasIpv4 = true;
  let hasIpv6 = true;
  const names: string[] = [];
  for (const arg of cf.args) {
    if (arg.startsWith('valid=')) {
      // In seconds: nginx knows no milliseconds here.
      const ms = arg.endsWith('ms') ? undefined : parseTimeMs(arg.slice(6));
      validS = (ms ?? cf.fail(`invalid parameter: ${arg}`)) / 1000;
    } else if (arg.startsWith('ipv4=') || arg.startsWith('ipv6=')) {
      const value = arg.slice(5);
      if (value !== 'on' && value !== 'off') cf.fail(`invalid parameter: ${arg}`);
      if (arg.startsWith('ipv4=')) hasIpv4 = value === 'on';
      else hasIpv6 = value === 'on';
    } else names.push(arg);
  }
  if (!hasIpv4 && !hasIpv6) cf.fail('"ipv4" and "ipv6" cannot both be "off"');
  if (names.length === 0) cf.fail('no name servers defined');
  const { surroundings } = cf.compiler.options;
  const lookup = surroundings && ((host: string) => surroundings.lookup(host));
  const settings: ResolverSettings = { servers: [], validS, hasIpv4, hasIpv6, log: logProcessError, lookup };
  for (const name of names) {
    const parsed = parseAddress(name, 53);
    if (typeof parsed === 'string') return cf.fail(`${parsed} in resolver "${name}"`);
    const { host, port } = parsed;
    if (parsed.family === 'unix') return cf.fail(`a unix socket cannot be a name server in resolver "${name}"`);
    if (parsed.family === 'name') {
      cf.compiler.pendingHosts.push({
        host,
        place: cf.directive,
        message: `host not found in resolver "${name}"`,
        apply: (addresses) => {
          for (const { address } of addresses) settings.servers.push({ address, port });
        },
      });
    } else settings.servers.push({ address: host, port });
  }
  return new Resolver(settings);
}
