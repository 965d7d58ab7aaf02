// Static files: the last handler of the content phase. It answers GET and HEAD with the file that `root` or `alias`
// leads to, and redirects `/dir` to `/dir/`. Mirrors ngx_http_static_module.
import { DECLINED, DONE } from '../http/codes.ts';
import { setContentType } from '../http/content-type.ts';
import type { Exchange } from '../http/exchange.ts';
import { setFileHead } from '../http/file-head.ts';
import { openFile, refuseFile } from '../http/open-file.ts';
import { pathOf } from '../http/paths.ts';
import { sendFile } from '../http/send-file.ts';
import { escapeUri } from '../http/uri.ts';

/** Serves the file of `r.uri`. */
export function staticHandler(r: Exchange): number {
  const { method } = r;
  if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') return 405;
  if (r.uri.endsWith('/')) return DECLINED;
  const path = pathOf(r);
  if (path === undefined) return 500;
  const file = openFile(r, path);
  r.client.trace?.observe(
    'file',
    `static: ${path} ${file.error === '' ? (file.isDir ? 'is a directory' : 'is there') : `is not there (${file.error})`}`,
  );
  if (file.error !== '') return refuseFile(r, file);
  if (file.isDir) {
    const to = `${escapeUri(r.uri)}/`;
    r.out.setLocation(r.args === '' ? to : `${to}?${r.args}`);
    return 301;
  }
  if (!file.isFile) {
    file.release();
    r.log('crit', `"${path}" is not a regular file`);
    return 404;
  }
  if (method === 'POST') {
    file.release();
    return 405;
  }
  const broken = r.discardBody();
  if (broken) {
    file.release();
    return broken;
  }
  setFileHead(r, file);
  setContentType(r);
  if (!r.sendHeader()) {
    file.release();
    return DONE;
  }
  return sendFile(r, file);
}
