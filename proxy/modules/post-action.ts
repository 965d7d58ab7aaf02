// `post_action`: a request of our own to an internal URI when a response has been sent, whose answer nobody sees. The
// connection takes its next request when it has ended, and the request's line in the access log is written then, as the
// post action's location wants it. Mirrors ngx_http_post_action.
import { defineModule, HSLI, text } from '../config/rows.ts';
import type { Exchange } from '../http/exchange.ts';
import { LOCATION_REWRITE } from '../http/phases.ts';
import { startSubrequest } from '../http/subrequest.ts';

export const postActionModule = defineModule('post-action', {
  location: {
    post_action: text(HSLI, '', {
      syntax: 'uri | @name',
      note: 'Runs after whole responses, not when the client went away before.',
    }),
  },
});

/** Starts the post action of a main request whose response is complete, if its location has one. */
export function startPostAction(r: Exchange): void {
  const { post_action: target } = postActionModule.location(r.location);
  if (target === '' || r.postAction) return;
  const named = target.startsWith('@') ? r.server.root.table.named.get(target) : undefined;
  if (target.startsWith('@') && !named) {
    r.log('error', `could not find named location "${target}"`);
    return;
  }
  const options = { isBackground: true, isHeaderOnly: true, method: r.method };
  const sub = startSubrequest(r, named ? r.uri : target, named ? r.args : '', options);
  if (!sub) return;
  r.postAction = sub;
  // Until it has a status of its own it has the response's: `$status` in what it passes on.
  sub.out.status = r.out.status;
  sub.errStatus = r.errStatus;
  if (named) {
    sub.location = named;
    sub.contentHandler = named.handler;
    sub.phase = LOCATION_REWRITE;
  }
}
