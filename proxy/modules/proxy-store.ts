// `proxy_store` and `proxy_store_access`: responses kept as plain files (upstream/stored-file.ts).
import { type Cf, custom, defineModule, HSL } from '../config/rows.ts';
import type { Template } from '../config/template.ts';
import type { Location } from '../http/location.ts';
import type { StoreSettings } from '../upstream/stored-file.ts';
import { proxyCacheModule } from './proxy-cache.ts';

const OWNER_ONLY = 0o600;

export const proxyStoreModule = defineModule('proxy-store', {
  location: {
    proxy_store: custom<'on' | 'off' | Template>(HSL, '1', {
      default: 'off',
      syntax: 'on | off | string',
      defaultText: 'off',
      set(cf) {
        const where = cf.args[0]!;
        if (where === 'off') return 'off';
        const cache = cf.scope.values.get(proxyCacheModule.rows.location.proxy_cache);
        if (cache !== undefined && cache !== 'off')
          cf.fail('"proxy_store" directive is incompatible with "proxy_cache"');
        return where === 'on' ? 'on' : cf.template(where);
      },
    }),
    proxy_store_access: custom<number>(HSL, '1-3', {
      default: OWNER_ONLY,
      syntax: 'users:permissions ...',
      defaultText: 'user:rw',
      set: readAccess,
    }),
  },
});

function readAccess(cf: Cf): number {
  let access = 0;
  let owner = OWNER_ONLY;
  for (const word of cf.args) {
    const [, who, right] = /^(user|group|all):(rw|r)$/.exec(word) ?? cf.fail(`invalid value "${word}"`);
    if (who === 'user') owner = 0;
    access |= (right === 'rw' ? 6 : 4) << { user: 6, group: 3, all: 0 }[who as 'user' | 'group' | 'all'];
  }
  return access | owner;
}

/** What a location says about storing; undefined when it is off. */
export function storeSettings(location: Location): StoreSettings | undefined {
  const { proxy_store: where, proxy_store_access: access } = proxyStoreModule.location(location);
  return where === 'off' ? undefined : { path: where === 'on' ? undefined : where, access };
}

/** Whether the location itself says to store: that goes before a cache of the levels above. */
export function storesItself(location: Location): boolean {
  return location.scope?.values.has(proxyStoreModule.rows.location.proxy_store) === true;
}
