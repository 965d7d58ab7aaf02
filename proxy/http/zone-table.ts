// State by key that `zone=NAME:SIZE` declares: counters and times of limit_req and limit_conn. A record is four numbers;
// what they mean is the module's business, but for the first: a record whose first number is above 0 is in use and
// stays. Others make room, the least recently touched first. Mirrors the rbtree and queue in a shared memory zone.

/** A record: in-use count, then three numbers of the module. */
export type ZoneRecord = Float64Array;

export interface ZoneTable {
  /**
   * Runs `act` on the record of `key` (zeros when it is a new one) while nobody else can see it, and keeps what `act`
   * left in it unless it returns false. False is also returned where there is no room for the key.
   */
  update(key: string, act: (record: ZoneRecord, isNew: boolean) => boolean): boolean;
}

/** Bytes that a record takes, by which a zone's size becomes a number of records (nginx's nodes take as many). */
export const RECORD_BYTES = 128;

/** A zone of one process. */
export class LocalZoneTable implements ZoneTable {
  readonly #capacity: number;
  #records = new Map<string, ZoneRecord>();

  constructor(sizeBytes: number) {
    this.#capacity = Math.max(1, Math.floor(sizeBytes / RECORD_BYTES));
  }

  update(key: string, act: (record: ZoneRecord, isNew: boolean) => boolean): boolean {
    const known = this.#records.get(key);
    if (!known && this.#records.size >= this.#capacity && !this.#makeRoom()) return false;
    const record = known ?? new Float64Array(4);
    if (known) this.#records.delete(key);
    if (!act(record, !known)) return false;
    // Last in the map: most recently touched.
    this.#records.set(key, record);
    return true;
  }

  #makeRoom(): boolean {
    let looked = 0;
    for (const [key, record] of this.#records) {
      if (record[0]! <= 0) {
        this.#records.delete(key);
        return true;
      }
      if (++looked > 64) return false;
    }
    return false;
  }
}
