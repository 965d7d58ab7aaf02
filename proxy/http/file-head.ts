// The head of a response that is a file: 200, its length, Last-Modified, ETag. Mirrors ngx_http_set_etag.
import { coreModule } from '../modules/core-rows.ts';
import type { Exchange } from './exchange.ts';
import type { OpenFile } from './open-file.ts';

/** Sets everything but the content type; any part of the body may be asked for. */
export function setFileHead(r: Exchange, file: OpenFile): void {
  const { out } = r;
  out.status = 200;
  out.contentLength = file.sizeBytes;
  out.lastModified = file.mtime;
  if (coreModule.location(r.location).etag) {
    out.add('ETag', `"${file.mtime.toString(16)}-${file.sizeBytes.toString(16)}"`);
  }
  out.allowsRanges = true;
  r.main.logAction = 'sending response to client';
  r.isSeekable = true;
}
