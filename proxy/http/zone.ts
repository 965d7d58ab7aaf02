// Named zones of the configuration: declared with a size by one directive, used by name by others, which may stand
// above the declaration. Mirrors ngx_shared_memory_add.
import { ConfigError } from '../config/error.ts';
import type { Cf } from '../config/rows.ts';
import type { Template } from '../config/template.ts';
import { parseSizeBytes } from '../config/values.ts';
import { zoneDirectory } from '../zone-directory.ts';
import { SharedZoneTable } from './shared-zone-table.ts';
import { LocalZoneTable, type ZoneTable } from './zone-table.ts';

export class Zone {
  readonly name: string;
  /** Which module's it is, for nginx's `already declared for a different use`. */
  readonly use: string;
  sizeBytes = 0;
  /** What keys are made of. */
  key: Template | undefined;
  /** 1/1000 requests a second, for limit_req. */
  rate = 0;
  #table: ZoneTable | undefined;

  constructor(name: string, use: string) {
    this.name = name;
    this.use = use;
  }

  get table(): ZoneTable {
    this.#table ??= tableOf(this);
    return this.#table;
  }
}

/** Tables of this process by name and size: a reload in the same process goes on with them. */
const tables = new Map<string, ZoneTable>();

function tableOf(zone: Zone): ZoneTable {
  const id = `${zone.use}-${encodeURIComponent(zone.name)}-${zone.sizeBytes}`;
  let table = tables.get(id);
  if (!table) {
    const directory = zoneDirectory();
    table = directory ? new SharedZoneTable(directory, id, zone.sizeBytes) : new LocalZoneTable(zone.sizeBytes);
    tables.set(id, table);
  }
  return table;
}

/** Eight pages, the least that nginx takes. */
const LEAST_BYTES = 8 * 4096;

/** The zone of that name; one that is never declared makes the configuration fail, as in nginx. */
export function zoneNamed(cf: Cf, name: string, use: string): Zone {
  const zone = cf.compiler.shared(`zone:${name}`, () => {
    const fresh = new Zone(name, use);
    cf.compiler.atEnd.push(() => {
      if (fresh.sizeBytes === 0) throw new ConfigError(`zero size shared memory zone "${name}"`, 'emerg', true);
    });
    return fresh;
  });
  if (zone.use !== use) {
    cf.fail(`the shared memory zone "${name}" is already declared for a different use`);
  }
  return zone;
}

/** Keys of the zones that this process read before: records made with one key mean nothing to another. */
const keysInUse = new Map<string, string>();

/** Reads `zone=NAME:SIZE` and declares the zone, whose records are found by `key`. */
export function declareZone(cf: Cf, arg: string, use: 'limit_req' | 'limit_conn', key: Template): Zone {
  const colon = arg.indexOf(':');
  const size = colon < 0 ? undefined : parseSizeBytes(arg.slice(colon + 1));
  if (size === undefined) return cf.fail(`invalid zone size "${arg}"`);
  if (size < LEAST_BYTES) cf.fail(`zone "${arg}" is too small`);
  const zone = zoneNamed(cf, arg.slice('zone='.length, colon), use);
  if (zone.key) cf.fail(`${cf.name} "${zone.name}" is already bound to key "${zone.key.source}"`);
  zone.sizeBytes = size;
  zone.key = key;
  cf.compiler.atEnd.push(() => {
    const id = `${use} ${zone.name} ${size}`;
    const before = keysInUse.get(id) ?? key.source;
    if (before !== key.source) {
      const name = use === 'limit_req' ? 'limit_req' : 'limit_conn_zone';
      throw new ConfigError(
        `${name} "${zone.name}" uses the "${key.source}" key while previously it used the "${before}" key`,
      );
    }
    keysInUse.set(id, key.source);
  });
  return zone;
}
