// `gunzip on`: decompresses gzipped responses for clients that do not accept gzip. Mirrors ngx_http_gunzip_filter_module.
import { createGunzip } from 'node:zlib';
import { defineModule, flag, HSL } from '../config/rows.ts';
import { buffersRow } from '../http/buffers-row.ts';
import type { Exchange } from '../http/exchange.ts';
import type { OpenFilter } from '../http/filters.ts';
import { gzipRules, isGzipOk } from '../http/gzip-rules.ts';
import { ZlibFilter } from '../http/zlib-filter.ts';

export const gunzipModule = defineModule('gunzip', {
  location: {
    gunzip: flag(HSL, false),
    gunzip_buffers: buffersRow('32 4k|16 8k'),
  },
});

/** Decompresses what the client could not read. */
export function gunzipFilter(r: Exchange, open: OpenFilter): undefined {
  if (!gunzipModule.location(r.location).gunzip) return;
  const { out } = r;
  if (out.get('content-encoding')?.toLowerCase() !== 'gzip') return;
  r.hasGzipVary = gzipRules.location(r.location).gzip_vary;
  if (isGzipOk(r)) return;
  out.remove('content-encoding');
  out.isEncoded = false;
  out.clearContentLength();
  out.clearAcceptRanges();
  out.weakenEtag();
  open(
    new ZlibFilter(r, {
      whole: undefined,
      stream: () => createGunzip(),
      failure: (error) => `inflate() failed: ${(error as Error).message}`,
    }),
  );
}
