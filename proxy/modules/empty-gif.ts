// `empty_gif`: one transparent pixel. Mirrors ngx_http_empty_gif_module.
import { action, defineModule, LOCATION } from '../config/rows.ts';
import type { Exchange } from '../http/exchange.ts';
import { sendText } from '../http/send-text.ts';

export const emptyGifModule = defineModule('empty-gif', {
  location: {
    empty_gif: action(LOCATION, 'none', '', (cf) => {
      cf.scope.location!.handler = emptyGifHandler;
    }),
  },
});

const GIF = Buffer.from('R0lGODlhAQABAIABAAAAAP///yH5BAEAAAEALAAAAAABAAEAAAICTAEAOw==', 'base64').toString('latin1');

/** 28 September 1970, as in nginx. */
const LAST_MODIFIED = 23_349_600;

function emptyGifHandler(r: Exchange): number {
  if (r.method !== 'GET' && r.method !== 'HEAD') return 405;
  r.out.lastModified = LAST_MODIFIED;
  return sendText(r, 200, GIF, 'image/gif');
}
