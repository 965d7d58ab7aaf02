// What a location says about caching, as values.
import type { Template } from '../../config/template.ts';
import type { NextWord } from '../next-upstream.ts';
import type { FileCache } from './file-cache.ts';

export interface CacheSettings {
  /** The cache, or the template that names one of `caches`. */
  readonly cache: FileCache | Template;
  readonly caches: ReadonlyMap<string, FileCache>;
  readonly key: Template | undefined;
  readonly bypass: readonly Template[];
  readonly noCache: readonly Template[];
  /** In order; status 0 stands for any. */
  readonly valid: readonly { readonly status: number; readonly seconds: number }[];
  readonly minUses: number;
  readonly useStale: ReadonlySet<NextWord>;
  readonly methods: ReadonlySet<string>;
  readonly isLocking: boolean;
  readonly lockTimeoutMs: number;
  readonly lockAgeMs: number;
  readonly revalidates: boolean;
  readonly convertsHead: boolean;
  readonly updatesInBackground: boolean;
  /** Ranges that start behind this are passed on instead of fetching the whole. */
  readonly maxRangeOffset: number;
}

/** How long a status may be kept, 0: not at all. */
export function validSecondsOf(settings: CacheSettings, status: number): number {
  for (const rule of settings.valid) if (rule.status === 0 || rule.status === status) return rule.seconds;
  return 0;
}

/** Whether one of the conditions (proxy_cache_bypass, proxy_no_cache) holds: not empty and not "0". */
export function anyHolds(conditions: readonly Template[], r: Parameters<Template['evaluate']>[0]): boolean {
  return conditions.some((condition) => {
    const value = condition.evaluate(r);
    return value !== '' && value !== '0';
  });
}
