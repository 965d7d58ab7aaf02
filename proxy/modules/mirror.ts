// `mirror`: sends a copy of the request elsewhere and ignores the answer. In the precontent phase, behind try_files.
// Mirrors ngx_http_mirror_module.
import { custom, defineModule, flag, HSL } from '../config/rows.ts';
import { DECLINED, DONE } from '../http/codes.ts';
import type { Exchange } from '../http/exchange.ts';
import { startSubrequest } from '../http/subrequest.ts';

export const mirrorModule = defineModule('mirror', {
  location: {
    mirror: custom<readonly string[]>(HSL, '1', {
      default: [],
      isRepeatable: true,
      syntax: 'uri | off',
      defaultText: 'off',
      set(cf, previous) {
        const uri = cf.args[0]!;
        if (uri === 'off') {
          if (previous) cf.fail('"mirror" directive is duplicate');
          return [];
        }
        if (previous && previous.length === 0) cf.fail('"mirror" directive is duplicate');
        return [...(previous ?? []), uri];
      },
    }),
    mirror_request_body: flag(HSL, true),
  },
});

/** Starts the copies, when the body is there if they are to have it. */
export function mirrorHandler(r: Exchange): number {
  if (r.parent) return DECLINED;
  const { mirror, mirror_request_body: hasBody } = mirrorModule.location(r.location);
  if (mirror.length === 0) return DECLINED;
  if (!hasBody || !r.body) return start(r, mirror);
  const status = r.context<{ code: number }>(mirrorModule);
  if (status) return status.code;
  const reading = { code: DONE };
  r.setContext(mirrorModule, reading);
  let isSync = true;
  r.body.readAll((code) => {
    if (code) {
      r.finalize(code);
      return;
    }
    reading.code = start(r, mirror);
    if (!isSync) r.run();
  });
  isSync = false;
  return reading.code;
}

function start(r: Exchange, uris: readonly string[]): number {
  for (const uri of uris) {
    const sub = startSubrequest(r, uri, r.args, { isBackground: true, isHeaderOnly: true, method: r.method });
    if (!sub) return 500;
  }
  return DECLINED;
}
