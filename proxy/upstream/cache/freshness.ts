// What a response's headers say about keeping it: X-Accel-Expires, Cache-Control, Expires, Set-Cookie and Vary, taken
// in the order in which they come, as ngx_http_upstream_process_* do.
import { parseHttpDate } from '../../clock.ts';
import type { Fields } from '../../http/head.ts';
import { type CacheHeader, VARY_BYTES } from './cache-header.ts';

/** Notes the times in `header`; false when the response may not be kept. */
export function readFreshness(fields: Fields, ignored: ReadonlySet<string>, header: CacheHeader): boolean {
  const nowS = Math.floor(Date.now() / 1000);
  const { lower, values } = fields;
  let isCacheable = true;
  let hasAccelExpires = false;
  header.vary = '';
  for (let i = 0; i < lower.length; i++) {
    const name = lower[i]!;
    const value = values[i]!;
    switch (name) {
      case 'set-cookie':
        if (!ignored.has(name)) isCacheable = false;
        break;
      case 'x-accel-expires': {
        hasAccelExpires = true;
        if (ignored.has(name)) break;
        const at = /^@(\d+)$/.exec(value);
        if (at) header.validS = Number(at[1]);
        else if (/^\d+$/.test(value)) {
          if (Number(value) === 0) isCacheable = false;
          else header.validS = nowS + Number(value);
        }
        break;
      }
      case 'expires': {
        if (ignored.has(name) || header.validS !== 0) break;
        const seconds = parseHttpDate(value);
        if (seconds === undefined || seconds < nowS) isCacheable = false;
        else header.validS = seconds;
        break;
      }
      case 'cache-control':
        if (ignored.has(name) || (header.validS !== 0 && hasAccelExpires)) break;
        if (!readCacheControl(value, header, nowS)) isCacheable = false;
        break;
      case 'vary':
        if (ignored.has(name)) break;
        if (value.length > VARY_BYTES || value === '*') isCacheable = false;
        header.vary = value;
        break;
    }
  }
  return isCacheable;
}

function readCacheControl(value: string, header: CacheHeader, nowS: number): boolean {
  const lower = value.toLowerCase();
  if (/no-cache|no-store|private/.test(lower)) return false;
  const age = secondsOf(lower, 's-maxage=') ?? secondsOf(lower, 'max-age=');
  if (age !== undefined) {
    if (Number.isNaN(age) || age === 0) return false;
    header.validS = nowS + age;
  }
  const updating = secondsOf(lower, 'stale-while-revalidate=');
  if (updating !== undefined) {
    if (Number.isNaN(updating)) return false;
    header.updatingS = updating;
    header.errorS = updating;
  }
  const error = secondsOf(lower, 'stale-if-error=');
  if (error !== undefined) {
    if (Number.isNaN(error)) return false;
    header.errorS = error;
  }
  return true;
}

/** The number behind `word`; undefined without the word, NaN when it is no number. */
function secondsOf(text: string, word: string): number | undefined {
  const at = text.indexOf(word);
  if (at < 0) return undefined;
  const digits = /^[^,; ]*/.exec(text.slice(at + word.length))![0];
  return /^\d*$/.test(digits) ? Number(digits) : Number.NaN;
}
