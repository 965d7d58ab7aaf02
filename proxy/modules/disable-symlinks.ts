// `disable_symlinks`: whether links on the way to a file are followed. Mirrors ngx_http_set_disable_symlinks.
import { type Cf, custom, defineModule, HSL } from '../config/rows.ts';
import type { Template } from '../config/template.ts';
import type { Exchange } from '../http/exchange.ts';
import type { SymlinkGuard } from '../http/symlinks.ts';

interface DisableSymlinks {
  readonly mode: 'on' | 'if_not_owner';
  readonly from: Template | undefined;
}

export const disableSymlinksModule = defineModule('disable-symlinks', {
  location: {
    disable_symlinks: custom<DisableSymlinks | 'off'>(HSL, '1-2', {
      default: 'off',
      syntax: 'off | on | if_not_owner [from=part]',
      defaultText: 'off',
      note: 'Does not hold for the paths of access logs.',
      set: read,
    }),
  },
});

function read(cf: Cf): DisableSymlinks | 'off' {
  let mode: 'off' | 'on' | 'if_not_owner' | undefined;
  let from: Template | undefined;
  for (const arg of cf.args) {
    if (arg === 'off' || arg === 'on' || arg === 'if_not_owner') mode = arg;
    else if (arg.startsWith('from=')) from = cf.template(arg.slice(5));
    else cf.invalidParameter(arg);
  }
  if (!mode) return cf.fail('"disable_symlinks" must have "off", "on" or "if_not_owner" parameter');
  if (cf.args.length === 2 && !from) cf.fail(`duplicate parameters "${cf.args.join(' ')}"`);
  if (mode !== 'off') return { mode, from };
  return from ? cf.fail('"from=" cannot be used with "off" parameter') : 'off';
}

/** How `path` is to be opened for `r`; undefined: as it is. */
export function symlinkGuard(r: Exchange, path: string): SymlinkGuard | undefined {
  const conf = disableSymlinksModule.location(r.location).disable_symlinks;
  if (conf === 'off') return undefined;
  const allowsOwner = conf.mode === 'if_not_owner';
  const from = conf.from?.evaluate(r) ?? '';
  if (from === '' || !path.startsWith(from)) return { allowsOwner, from: 0 };
  if (from.length === path.length) return undefined;
  if (path[from.length] === '/') return { allowsOwner, from: from.length };
  return { allowsOwner, from: from.endsWith('/') ? from.length - 1 : 0 };
}
