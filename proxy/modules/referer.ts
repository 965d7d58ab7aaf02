// `valid_referers` and `$invalid_referer`. Mirrors ngx_http_referer_module.
import { ConfigError } from '../config/error.ts';
import { compileRegex } from '../config/regex.ts';
import { custom, defineModule, LOCATION, SERVER } from '../config/rows.ts';
import { unused } from '../config/unused-row.ts';
import type { Variable } from '../config/variables.ts';
import { WildcardMap } from '../config/wildcard-map.ts';
import type { Exchange } from '../http/exchange.ts';
import type { Location } from '../http/location.ts';

interface ValidReferers {
  /** Path that must begin the referrer's, or '' for any, by host name. */
  readonly hosts: WildcardMap<string>;
  readonly regexes: RegExp[];
  readonly serverNames: RegExp[];
  readonly allowsNone: boolean;
  readonly allowsBlocked: boolean;
  readonly hasServerNames: boolean;
}

export const refererModule = defineModule('referer', {
  location: {
    valid_referers: custom<ValidReferers | undefined>(SERVER | LOCATION, '1+', {
      default: undefined,
      isRepeatable: true,
      syntax: 'none | blocked | server_names | string ...',
      set(cf, previous) {
        const hosts = previous?.hosts ?? new WildcardMap<string>();
        const regexes = previous?.regexes ?? [];
        let allowsNone = previous?.allowsNone ?? false;
        let allowsBlocked = previous?.allowsBlocked ?? false;
        let hasServerNames = previous?.hasServerNames ?? false;
        for (const arg of cf.args) {
          if (arg === '') cf.fail('invalid referer ""');
          else if (arg === 'none') allowsNone = true;
          else if (arg === 'blocked') allowsBlocked = true;
          else if (arg === 'server_names') hasServerNames = true;
          else if (arg.startsWith('~')) {
            if (arg === '~') cf.fail('empty regex in "~"');
            try {
              regexes.push(compileRegex(arg.slice(1), true).regex);
            } catch (error) {
              cf.fail(`${(error as Error).message} in "${arg.slice(1)}"`);
            }
          } else {
            const slash = arg.indexOf('/');
            const host = slash < 0 ? arg : arg.slice(0, slash);
            const outcome = hosts.add(host, slash < 0 ? '' : arg.slice(slash));
            if (outcome === 'invalid') cf.fail(`invalid hostname or wildcard "${host}"`);
            if (outcome === 'conflict') cf.fail(`conflicting parameter "${host}"`);
          }
        }
        return { hosts, regexes, serverNames: [], allowsNone, allowsBlocked, hasServerNames };
      },
    }),
    referer_hash_max_size: unused(SERVER | LOCATION, '1', 'size', '2048', 'tables size themselves'),
    referer_hash_bucket_size: unused(SERVER | LOCATION, '1', 'size', '64', 'tables size themselves'),
  },
});

/** Prepare: adds the names of the server where `server_names` was given. */
export function prepareReferers(location: Location): void {
  const own = location.scope?.values.get(refererModule.rows.location.valid_referers) as ValidReferers | undefined;
  if (!own) return;
  if (own.hasServerNames) {
    for (const name of location.scope!.server!.names) {
      if (name.regex) own.serverNames.push(name.regex.regex);
      else if (name.text !== '') own.hosts.add(name.text, '');
      else own.hosts.addExact('', '');
    }
  }
  if ((own.allowsNone || own.allowsBlocked) && own.hosts.size === 0) {
    throw new ConfigError(
      'the "none" or "blocked" referers are specified in the "valid_referers" directive without any valid referer',
    );
  }
}

function isInvalid(r: Exchange): boolean {
  const conf = refererModule.location(r.location).valid_referers;
  if (!conf || (conf.hosts.size === 0 && conf.regexes.length === 0 && conf.serverNames.length === 0)) return false;
  const referer = r.headers.get('referer');
  if (referer === undefined) return !conf.allowsNone;
  const scheme = referer.length >= 11 ? /^https?:\/\//i.exec(referer) : null;
  if (!scheme) return !conf.allowsBlocked;
  const rest = referer.slice(scheme[0].length);
  const host = /^[^/:]*/.exec(rest)![0];
  if (host.length > 256) return true;
  const uri = conf.hosts.find(host);
  if (uri !== undefined) {
    if (uri === '') return false;
    const slash = rest.indexOf('/', host.length);
    return !(slash < 0 ? '' : rest.slice(slash)).startsWith(uri);
  }
  if (conf.serverNames.some((regex) => regex.test(host.toLowerCase()))) return false;
  return !conf.regexes.some((regex) => regex.test(rest));
}

export const REFERER_VARIABLES: readonly (readonly [string, Variable])[] = [
  ['invalid_referer', { get: (r) => (isInvalid(r) ? '1' : ''), isCached: true, isChangeable: true }],
];
