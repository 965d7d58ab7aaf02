// A zone of limit_req or limit_conn that all worker processes share. Keys are kept as their digests.
import { hash } from 'node:crypto';
import { SharedTable } from '../shared-table.ts';
import { zoneLock } from '../zone-directory.ts';
import { RECORD_BYTES, type ZoneRecord, type ZoneTable } from './zone-table.ts';

export class SharedZoneTable implements ZoneTable {
  readonly #table: SharedTable;

  /** Opens or makes the zone's file. */
  constructor(directory: string, id: string, sizeBytes: number) {
    const records = Math.floor(sizeBytes / RECORD_BYTES);
    this.#table = new SharedTable(`${directory}/${id}`, zoneLock(directory, id), { records, numbers: 4 });
  }

  update(key: string, act: (record: ZoneRecord, isNew: boolean) => boolean): boolean {
    return this.#table.update(hash('sha1', Buffer.from(key, 'latin1'), 'buffer'), act);
  }
}
