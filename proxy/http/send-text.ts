// A response made of a status and a text: what `return` (and modules that answer by themselves) send. Mirrors
// ngx_http_send_response.
import { DONE, OK } from './codes.ts';
import { setContentType } from './content-type.ts';
import type { Exchange } from './exchange.ts';

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** Answers with `text` as the body, or as the Location of a redirect; returns what a handler returns. */
export function sendText(r: Exchange, status: number, text: string, contentType?: string): number {
  const broken = r.discardBody();
  if (broken) return broken;
  const { out } = r;
  if (REDIRECTS.has(status)) {
    out.status = status;
    out.setLocation(text);
    return status;
  }
  out.status = status;
  out.contentLength = text.length;
  if (contentType !== undefined) out.contentType = contentType;
  else setContentType(r);
  if (!r.sendHeader()) return DONE;
  if (!r.isHeaderOnly) r.write(text);
  r.end();
  return OK;
}
