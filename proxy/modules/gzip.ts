// `gzip on`: compresses responses of the listed types for clients that accept it. The first filter behind the place where
// subrequests join in. Mirrors ngx_http_gzip_filter_module.
import { createGzip, gzipSync, type ZlibOptions } from 'node:zlib';
import { type Cf, custom, defineModule, flag, HSL, HSLI, size } from '../config/rows.ts';
import { parseSizeBytes } from '../config/values.ts';
import type { Variable } from '../config/variables.ts';
import { buffersRow } from '../http/buffers-row.ts';
import { hasTypeOf, typesRow } from '../http/content-type.ts';
import type { Exchange } from '../http/exchange.ts';
import type { OpenFilter } from '../http/filters.ts';
import { gzipRules, isGzipOk } from '../http/gzip-rules.ts';
import { ZlibFilter } from '../http/zlib-filter.ts';

export const gzipModule = defineModule('gzip', {
  location: {
    gzip: flag(HSLI, false),
    gzip_buffers: buffersRow('32 4k|16 8k'),
    gzip_types: typesRow(HSL, ['text/html']),
    gzip_comp_level: custom<number>(HSL, '1', {
      default: 1,
      syntax: 'level',
      defaultText: '1',
      set(cf) {
        const level = /^\d+$/.test(cf.args[0]!) ? Number(cf.args[0]) : cf.fail(`"${cf.name}" directive invalid number`);
        if (level < 1 || level > 9) cf.fail('value must be between 1 and 9');
        return level;
      },
    }),
    gzip_window: powerRow(15, 512, 32_768),
    gzip_hash: powerRow(8, 512, 131_072),
    gzip_min_length: size(HSL, '20'),
    gzip_no_buffer: flag(HSL, false, { note: 'output is never held back here beyond what makes it smaller' }),
    postpone_gzipping: size(HSL, '0', { note: 'checked; small responses are always gzipped whole' }),
  },
});

/** A size that is a power of two, kept as zlib wants it: window bits, or memory level. */
function powerRow(standard: number, low: number, high: number) {
  const top = high === 32_768 ? 15 : 9;
  return custom<number>(HSL, '1', {
    default: standard,
    syntax: 'size',
    defaultText: high === 32_768 ? '32k' : '64k',
    set(cf: Cf) {
      const bytes = parseSizeBytes(cf.args[0]!);
      if (bytes === undefined) return cf.invalidValue();
      const power = Math.log2(bytes);
      if (!Number.isInteger(power) || bytes < low || bytes > high) {
        const sizes =
          high === 32_768 ? '512, 1k, 2k, 4k, 8k, 16k, or 32k' : '512, 1k, 2k, 4k, 8k, 16k, 32k, 64k, or 128k';
        cf.fail(`"${cf.name}" directive must be ${sizes}`);
      }
      return top - (Math.log2(high) - power);
    },
  });
}

/** Compresses what may be compressed. */
export function gzipFilter(r: Exchange, open: OpenFilter): undefined {
  const conf = gzipModule.location(r.location);
  if (!conf.gzip) return;
  const { out } = r;
  if (out.status !== 200 && out.status !== 403 && out.status !== 404) return;
  if (out.isEncoded || r.isHeaderOnly) return;
  if (out.contentLength !== -1 && out.contentLength < conf.gzip_min_length) return;
  if (!hasTypeOf(r, conf.gzip_types) || out.get('content-encoding')) return;
  r.hasGzipVary = gzipRules.location(r.location).gzip_vary;
  if (!isGzipOk(r)) return;

  const options = optionsFor(conf, out.contentLength);
  out.remove('content-encoding');
  out.add('Content-Encoding', 'gzip');
  out.isEncoded = true;
  out.clearContentLength();
  out.clearAcceptRanges();
  out.weakenEtag();
  const filter = new ZlibFilter(r, {
    whole: (body) => gzipSync(body, options),
    stream: () => createGzip(options),
    failure: (error) => `deflate() failed: ${(error as Error).message}`,
  });
  r.setContext(gzipModule, filter);
  open(filter);
}

function optionsFor(conf: ReturnType<typeof gzipModule.location>, length: number): ZlibOptions {
  let windowBits = conf.gzip_window;
  let memLevel = conf.gzip_hash;
  // A small body needs no large window; zlib uses all of it but 262 bytes.
  while (length > 0 && windowBits > 9 && length < 2 ** (windowBits - 1) - 262) {
    windowBits--;
    memLevel--;
  }
  return { level: conf.gzip_comp_level, windowBits, memLevel: Math.max(1, memLevel) };
}

/** `$gzip_ratio`: two decimals, known when the response is complete. */
export const GZIP_VARIABLES: readonly (readonly [string, Variable])[] = [
  [
    'gzip_ratio',
    {
      get(r) {
        const filter = r.context<ZlibFilter>(gzipModule);
        if (!filter?.bytesOut) return undefined;
        const thousandths = Math.floor((filter.bytesIn * 1000) / filter.bytesOut);
        const hundredths = Math.floor(thousandths / 10) + (thousandths % 10 > 4 ? 1 : 0);
        return `${Math.floor(hundredths / 100)}.${String(hundredths % 100).padStart(2, '0')}`;
      },
    },
  ],
];
