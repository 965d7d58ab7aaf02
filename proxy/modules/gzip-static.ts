// `gzip_static`: serves `FILE.gz` in place of FILE. Before the static handler in the content phase. Mirrors
// ngx_http_gzip_static_module.
import { errnoText } from '../config/error.ts';
import { defineModule, HSL, oneOf } from '../config/rows.ts';
import { DECLINED, DONE } from '../http/codes.ts';
import { setContentType } from '../http/content-type.ts';
import type { Exchange } from '../http/exchange.ts';
import { setFileHead } from '../http/file-head.ts';
import { gzipRules, isGzipOk } from '../http/gzip-rules.ts';
import { openFile } from '../http/open-file.ts';
import { pathOf } from '../http/paths.ts';
import { sendFile } from '../http/send-file.ts';

export const gzipStaticModule = defineModule('gzip-static', {
  location: {
    gzip_static: oneOf(HSL, ['off', 'on', 'always'], 'off'),
  },
});

/** Serves the compressed twin of a file, if there is one. */
export function gzipStaticHandler(r: Exchange): number {
  const { gzip_static: mode } = gzipStaticModule.location(r.location);
  if (mode === 'off' || r.uri.endsWith('/') || (r.method !== 'GET' && r.method !== 'HEAD')) return DECLINED;
  const mayGzip = mode === 'always' || isGzipOk(r);
  const { gzip_vary: varies } = gzipRules.location(r.location);
  // With gzip_vary the file is looked for all the same: that it is there is what makes the response vary.
  if (!mayGzip && !varies) return DECLINED;
  const plain = pathOf(r);
  if (plain === undefined) return 500;
  const path = `${plain}.gz`;
  const file = openFile(r, path);
  if (file.error !== '') {
    if (file.error !== 'ENOENT' && file.error !== 'ENOTDIR' && file.error !== 'ENAMETOOLONG') {
      const isRefused = file.error === 'EACCES' || file.error === 'EMLINK' || file.error === 'ELOOP';
      r.log(isRefused ? 'error' : 'crit', `${file.failed} "${path}" failed ${errnoText(file.cause)}`);
    }
    return DECLINED;
  }
  if (mode === 'on') r.hasGzipVary = varies;
  if (!mayGzip || file.isDir) {
    file.release();
    return DECLINED;
  }
  if (!file.isFile) {
    file.release();
    r.log('crit', `"${path}" is not a regular file`);
    return 404;
  }
  const broken = r.discardBody();
  if (broken) {
    file.release();
    return broken;
  }
  setFileHead(r, file);
  r.out.allowsRanges = false;
  r.isSeekable = false;
  setContentType(r);
  r.out.add('Content-Encoding', 'gzip');
  r.out.isEncoded = true;
  if (!r.sendHeader()) {
    file.release();
    return DONE;
  }
  return sendFile(r, file);
}
