// `proxy_cache_path` and its relatives: the directives of the response cache. What obeys them stands in upstream/cache.
// Mirrors the cache part of ngx_http_proxy_module and ngx_http_file_cache_set_slot.
import { errorAt, type Place } from '../config/error.ts';
import {
  type Cf,
  count,
  custom,
  defineModule,
  flag,
  HSL,
  HTTP,
  type Row,
  someOf,
  template,
  time,
} from '../config/rows.ts';
import type { Template } from '../config/template.ts';
import { parseCount, parseSizeBytes, parseTimeMs } from '../config/values.ts';
import type { Location } from '../http/location.ts';
import { zoneNamed } from '../http/zone.ts';
import { lifecycle } from '../lifecycle.ts';
import { FileCache } from '../upstream/cache/file-cache.ts';
import type { CacheSettings } from '../upstream/cache/settings.ts';
import { NEXT_WORDS } from '../upstream/next-upstream.ts';
import { neededDirectory } from '../worker-directories.ts';

/** A cache that `proxy_cache` names before or after its `proxy_cache_path`. */
interface NamedCache {
  readonly name: string;
  readonly caches: Map<string, FileCache>;
}

type CacheChoice = 'off' | NamedCache | { readonly template: Template; readonly caches: Map<string, FileCache> };

const METHODS = ['GET', 'HEAD', 'POST'] as const;

interface ValidRule {
  readonly status: number;
  readonly seconds: number;
}

function conditions(syntax: string): Row<readonly Template[]> {
  return custom<readonly Template[]>(HSL, '1+', {
    default: [],
    isRepeatable: true,
    syntax,
    set: (cf, previous) => [...(previous ?? []), ...cf.args.map((arg) => cf.template(arg))],
  });
}

function cachesOf(cf: Cf): Map<string, FileCache> {
  return cf.compiler.shared('proxy-caches', () => new Map<string, FileCache>());
}

export const proxyCacheModule = defineModule('proxy-cache', {
  main: {
    proxy_cache_path: custom<readonly FileCache[]>(HTTP, '2+', {
      default: [],
      isRepeatable: true,
      syntax: 'path keys_zone=name:size [levels=levels] [use_temp_path=on|off] [inactive=time] [max_size=size] ...',
      set: (cf, previous) => [...(previous ?? []), readPath(cf)],
    }),
  },
  location: {
    proxy_cache: custom<CacheChoice>(HSL, '1', {
      default: 'off',
      syntax: 'zone | off',
      defaultText: 'off',
      set(cf) {
        const name = cf.args[0]!;
        if (name === 'off') return 'off';
        const caches = cachesOf(cf);
        const value = cf.template(name);
        return value.constant === undefined ? { template: value, caches } : { name, caches };
      },
    }),
    proxy_cache_key: template(HSL),
    proxy_cache_bypass: conditions('string ...'),
    proxy_no_cache: conditions('string ...'),
    proxy_cache_valid: custom<readonly ValidRule[]>(HSL, '1+', {
      default: [],
      isRepeatable: true,
      syntax: '[code ...] time',
      set: (cf, previous) => [...(previous ?? []), ...readValid(cf)],
    }),
    proxy_cache_min_uses: count(HSL, 1),
    proxy_cache_max_range_offset: custom<number>(HSL, '1', {
      default: Number.MAX_SAFE_INTEGER,
      syntax: 'number',
      set: (cf) => parseSizeBytes(cf.args[0]!, true) ?? cf.invalidValue(),
    }),
    proxy_cache_use_stale: someOf(HSL, NEXT_WORDS, ['off']),
    proxy_cache_methods: someOf(HSL, METHODS, ['GET', 'HEAD']),
    proxy_cache_lock: flag(HSL, false),
    proxy_cache_lock_timeout: time(HSL, '5s'),
    proxy_cache_lock_age: time(HSL, '5s'),
    proxy_cache_revalidate: flag(HSL, false),
    proxy_cache_convert_head: flag(HSL, true),
    proxy_cache_background_update: flag(HSL, false),
  },
});

/** What a location says about caching; undefined when it is off. Throws ConfigError for a zone that is not there. */
export function cacheSettings(location: Location, httpEnd: Place): CacheSettings | undefined {
  const conf = proxyCacheModule.location(location);
  const choice = conf.proxy_cache;
  if (choice === 'off') return undefined;
  let cache: CacheSettings['cache'];
  if ('template' in choice) cache = choice.template;
  else {
    const named = choice.caches.get(choice.name);
    if (!named) throw errorAt(httpEnd, `"proxy_cache" zone "${choice.name}" is unknown`);
    cache = named;
  }
  return {
    cache,
    caches: choice.caches,
    key: conf.proxy_cache_key,
    bypass: conf.proxy_cache_bypass,
    noCache: conf.proxy_no_cache,
    valid: conf.proxy_cache_valid,
    minUses: conf.proxy_cache_min_uses,
    useStale: conf.proxy_cache_use_stale,
    methods: new Set<string>([...conf.proxy_cache_methods, 'GET', 'HEAD']),
    isLocking: conf.proxy_cache_lock,
    lockTimeoutMs: conf.proxy_cache_lock_timeout,
    lockAgeMs: conf.proxy_cache_lock_age,
    revalidates: conf.proxy_cache_revalidate,
    convertsHead: conf.proxy_cache_convert_head,
    updatesInBackground: conf.proxy_cache_background_update,
    maxRangeOffset: conf.proxy_cache_max_range_offset,
  };
}

function readValid(cf: Cf): ValidRule[] {
  const args = [...cf.args];
  const timeText = args.pop()!;
  const ms = parseTimeMs(timeText) ?? cf.fail(`invalid time value "${timeText}"`);
  const seconds = Math.floor(ms / 1000);
  if (args.length === 0) return [200, 301, 302].map((status) => ({ status, seconds }));
  return args.map((arg) => {
    if (arg === 'any') return { status: 0, seconds };
    const status = parseCount(arg);
    if (status === undefined || status < 100 || status > 599) return cf.fail(`invalid status "${arg}"`);
    return { status, seconds };
  });
}

const SMALLEST_ZONE_BYTES = 2 * 4096;
/** nginx says that 1 MB holds about 8000 keys. */
const KEY_BYTES = 128;

function readPath(cf: Cf): FileCache {
  const [path, ...words] = cf.args as [string, ...string[]];
  let name = '';
  let zoneBytes = 0;
  let levels: number[] = [];
  let usesTempPath = true;
  let inactiveMs = 600_000;
  let maxSizeBytes = Number.POSITIVE_INFINITY;
  let minFreeBytes = 0;
  let managerFiles = 100;
  let managerSleepMs = 50;
  for (const word of words) {
    const equals = word.indexOf('=');
    const value = word.slice(equals + 1);
    switch (equals < 0 ? '' : word.slice(0, equals)) {
      case 'levels':
        if (!/^[12](:[12]){0,2}$/.test(value)) cf.fail(`invalid "levels" "${word}"`);
        levels = value.split(':').map(Number);
        break;
      case 'use_temp_path':
        if (value !== 'on' && value !== 'off') {
          cf.fail(`invalid use_temp_path value "${word}", it must be "on" or "off"`);
        }
        usesTempPath = value === 'on';
        break;
      case 'keys_zone': {
        const colon = value.indexOf(':');
        const bytes = colon < 0 ? undefined : parseSizeBytes(value.slice(colon + 1));
        if (bytes === undefined) return cf.fail(`invalid keys zone size "${word}"`);
        if (bytes < SMALLEST_ZONE_BYTES) cf.fail(`keys zone "${word}" is too small`);
        name = value.slice(0, colon);
        zoneBytes = bytes;
        break;
      }
      case 'inactive':
        inactiveMs = parseTimeMs(value) ?? cf.fail(`invalid inactive value "${word}"`);
        break;
      case 'max_size':
        maxSizeBytes = parseSizeBytes(value, true) ?? cf.fail(`invalid max_size value "${word}"`);
        break;
      case 'min_free':
        minFreeBytes = parseSizeBytes(value, true) ?? cf.fail(`invalid min_free value "${word}"`);
        break;
      case 'manager_files':
        managerFiles = parseCount(value) ?? cf.fail(`invalid manager_files value "${word}"`);
        break;
      case 'manager_sleep':
        managerSleepMs = parseTimeMs(value) ?? cf.fail(`invalid manager_sleep value "${word}"`);
        break;
      case 'loader_files':
        if (parseCount(value) === undefined) cf.fail(`invalid loader_files value "${word}"`);
        break;
      case 'loader_sleep':
      case 'loader_threshold':
      case 'manager_threshold':
        if (parseTimeMs(value) === undefined) cf.fail(`invalid ${word.slice(0, equals)} value "${word}"`);
        break;
      default:
        return cf.invalidParameter(word);
    }
  }
  if (name === '' || zoneBytes === 0) cf.fail(`"${cf.name}" must have "keys_zone" parameter`);
  const caches = cachesOf(cf);
  if (caches.has(name)) cf.fail(`duplicate zone "${name}"`);
  const directory = cf.compiler.fullPath(path.replace(/\/$/, ''));
  const cache = new FileCache({
    name,
    directory,
    levels,
    inactiveMs,
    maxSizeBytes,
    minFreeBytes,
    usesTempPath,
    managerFiles,
    managerSleepMs,
    maxKeys: Math.floor(zoneBytes / KEY_BYTES),
  });
  caches.set(name, cache);
  neededDirectory(cf.compiler, directory);
  zoneNamed(cf, name, 'proxy_cache').sizeBytes = zoneBytes;
  lifecycle.start.add(() => cache.start());
  return cache;
}
