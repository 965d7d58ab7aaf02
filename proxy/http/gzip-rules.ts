// Whether a client may be sent a gzipped response: what it accepts, and gzip_http_version, gzip_proxied, gzip_disable.
// Asked by gzip, gunzip and gzip_static; answered once a request. Mirrors ngx_http_gzip_ok.
import { parseHttpDate } from '../clock.ts';
import { compileRegex } from '../config/regex.ts';
import { custom, defineModule, flag, HSL, someOf } from '../config/rows.ts';
import type { Exchange } from './exchange.ts';

interface Disabled {
  /** `msie6`: a faster test for old MSIE. */
  readonly isMsie6: boolean;
  readonly regexes: readonly RegExp[];
}

const PROXIED = [
  'off',
  'expired',
  'no-cache',
  'no-store',
  'private',
  'no_last_modified',
  'no_etag',
  'auth',
  'any',
] as const;

export const gzipRules = defineModule('gzip-rules', {
  location: {
    gzip_vary: flag(HSL, false),
    gzip_http_version: custom<number>(HSL, '1', {
      default: 1001,
      syntax: '1.0 | 1.1',
      defaultText: '1.1',
      set(cf) {
        if (cf.args[0] === '1.0') return 1000;
        if (cf.args[0] === '1.1') return 1001;
        return cf.fail(`invalid value "${cf.args[0]}"`);
      },
    }),
    gzip_proxied: someOf(HSL, PROXIED, ['off']),
    gzip_disable: custom<Disabled | undefined>(HSL, '1+', {
      default: undefined,
      isRepeatable: true,
      syntax: 'regex ...',
      set(cf, previous) {
        let isMsie6 = previous?.isMsie6 ?? false;
        const regexes = [...(previous?.regexes ?? [])];
        for (const arg of cf.args) {
          if (arg === 'msie6') isMsie6 = true;
          else if (arg === 'degradation') continue;
          else {
            try {
              regexes.push(compileRegex(arg, true).regex);
            } catch (error) {
              cf.fail(`${(error as Error).message} in "${arg}"`);
            }
          }
        }
        return { isMsie6, regexes };
      },
    }),
  },
});

/** Whether `r` may be answered with gzip. The response's head must be there as far as gzip_proxied looks at it. */
export function isGzipOk(r: Exchange): boolean {
  r.isGzipOk ??= test(r);
  return r.isGzipOk;
}

function test(r: Exchange): boolean {
  if (r.parent) return false;
  const accepts = r.headers.get('accept-encoding');
  if (accepts === undefined || accepts.length < 4) return false;
  if (!accepts.startsWith('gzip,') && !acceptsGzip(accepts)) return false;
  const conf = gzipRules.location(r.location);
  const agent = r.headers.get('user-agent');
  if (conf.gzip_disable?.isMsie6 && agent !== undefined && isOldMsie(agent)) return false;
  if (r.version < conf.gzip_http_version) return false;
  if (r.headers.has('via') && !isProxiedOk(r, conf.gzip_proxied)) return false;
  if (agent !== undefined && conf.gzip_disable?.regexes.some((regex) => regex.test(agent))) return false;
  return true;
}

/** `gzip` as a word of its own, and not with a quality of zero. */
function acceptsGzip(text: string): boolean {
  const word = /(?:^|[, ])gzip(.*)/is.exec(text);
  if (!word) return false;
  const rest = /^ *(?:(,|$)|; *(?:q(.*)|$))/is.exec(word[1]!);
  if (!rest) return false;
  if (rest[2] === undefined) return true;
  const quality = /^=([01])(?:\.(\d{0,3}))?(?:[, ]|$)/.exec(rest[2]);
  if (!quality) return false;
  const digits = [...(quality[2] ?? '')].reduce((sum, d) => sum + Number(d), 0);
  return quality[1] === '1' ? digits === 0 : digits > 0;
}

function isOldMsie(agent: string): boolean {
  const version = /MSIE ([456])\./.exec(agent)?.[1];
  if (version === undefined || agent.includes('Opera')) return false;
  return version !== '6' || !agent.includes('SV1');
}

/** Whether a response to a proxied request (one with Via) may be compressed. */
function isProxiedOk(r: Exchange, allowed: ReadonlySet<(typeof PROXIED)[number]>): boolean {
  if (allowed.has('off')) return false;
  if (allowed.has('any')) return true;
  if (allowed.has('auth') && r.headers.has('authorization')) return true;
  const { out } = r;
  const expires = out.get('expires');
  if (expires !== undefined) {
    if (!allowed.has('expired')) return false;
    const at = parseHttpDate(expires);
    const now = out.date === undefined ? Math.floor(Date.now() / 1000) : parseHttpDate(out.date);
    return at !== undefined && now !== undefined && at < now;
  }
  const cacheControl = out.names.flatMap((name, i) => (name.toLowerCase() === 'cache-control' ? [out.values[i]!] : []));
  if (cacheControl.length) {
    const words = new Set(
      cacheControl
        .join(',')
        .toLowerCase()
        .split(/[,;\s]+/),
    );
    return (['no-cache', 'no-store', 'private'] as const).some((word) => allowed.has(word) && words.has(word));
  }
  // Named as in nginx, where these two bits work the other way round from what their names say.
  if (allowed.has('no_last_modified') && (out.isLastModifiedListed || out.get('last-modified') !== undefined))
    return false;
  if (allowed.has('no_etag') && out.get('etag') !== undefined) return false;
  return true;
}
