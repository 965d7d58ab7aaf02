// Records by key that all worker processes share, as in nginx's shared memory: a file (in /dev/shm where there is one)
// of buckets of eight records, read and written with plain system calls under a lock. It outlives any worker, and a
// reload. A key is 16 bytes (a digest), so that a record has a fixed size; of a full bucket the record that was touched
// longest ago and is not in use makes room. A record whose first number is above 0 is in use.
import { constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import type { SharedLock } from './shared-lock.ts';

const WAYS = 8;
export const KEY_BYTES = 16;
/** The file begins with one number that is everybody's. */
const HEADER_BYTES = 64;
/** Buckets that a scan reads at once. */
const SCAN_BUCKETS = 256;

export interface SharedTableOptions {
  /** How many records there is room for. */
  readonly records: number;
  /** Numbers of a record. */
  readonly numbers: number;
  /** Told, under the lock, of a record that made room for another. */
  readonly evicted?: (key: Buffer, record: Float64Array) => void;
}

export class SharedTable {
  readonly #fd: number;
  readonly #lock: SharedLock;
  readonly #options: SharedTableOptions;
  readonly #buckets: number;
  /** Doubles of an entry: time of the last touch, the numbers, the key. */
  readonly #entry: number;
  readonly #bucket: Float64Array;
  readonly #bytes: Buffer;
  readonly #total = new Float64Array(1);
  readonly #totalBytes = Buffer.from(this.#total.buffer);

  /** Opens or makes the file. */
  constructor(path: string, lock: SharedLock, options: SharedTableOptions) {
    this.#lock = lock;
    this.#options = options;
    this.#buckets = Math.max(1, Math.floor(options.records / WAYS));
    this.#entry = 1 + options.numbers + KEY_BYTES / 8;
    this.#bucket = new Float64Array(WAYS * this.#entry);
    this.#bytes = Buffer.from(this.#bucket.buffer);
    this.#fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    const length = HEADER_BYTES + this.#buckets * this.#bytes.length;
    if (fstatSync(this.#fd).size < length) ftruncateSync(this.#fd, length);
  }

  /**
   * Runs `act` on the record of `key` (zeros when it is a new one) while nobody else can see it, and keeps what `act`
   * left in it unless it returns false. False is also returned where there is no room for the key. `act` must be short
   * and may not use another table.
   */
  update(key: Buffer, act: (record: Float64Array, isNew: boolean) => boolean): boolean {
    const position = HEADER_BYTES + (key.readUInt32LE(0) % this.#buckets) * this.#bytes.length;
    this.#lock.take();
    try {
      readSync(this.#fd, this.#bytes, 0, this.#bytes.length, position);
      const found = this.#find(key);
      const at = found < 0 ? this.#roomAt() : found;
      if (at < 0) return false;
      const record = this.#bucket.subarray(at + 1, at + 1 + this.#options.numbers);
      let previous: Float64Array | undefined;
      if (found < 0) {
        if (this.#options.evicted && this.#bucket[at] !== 0) previous = record.slice();
        record.fill(0);
      }
      if (!act(record, found < 0)) return false;
      const keyAt = this.#keyAt(at);
      if (previous) this.#options.evicted!(Buffer.from(this.#bytes.subarray(keyAt, keyAt + KEY_BYTES)), previous);
      this.#bucket[at] = this.#now();
      key.copy(this.#bytes, keyAt, 0, KEY_BYTES);
      return this.#write(at, position);
    } finally {
      this.#lock.give();
    }
  }

  /** Takes the record of `key` out if `mayGo` says so, under the lock; it sees the time of the last touch, too. */
  remove(key: Buffer, mayGo: (record: Float64Array, touchedMs: number) => boolean): boolean {
    const position = HEADER_BYTES + (key.readUInt32LE(0) % this.#buckets) * this.#bytes.length;
    this.#lock.take();
    try {
      readSync(this.#fd, this.#bytes, 0, this.#bytes.length, position);
      const at = this.#find(key);
      if (at < 0) return false;
      if (!mayGo(this.#bucket.subarray(at + 1, at + 1 + this.#options.numbers), this.#bucket[at]!)) return false;
      this.#bucket.fill(0, at, at + this.#entry);
      return this.#write(at, position);
    } finally {
      this.#lock.give();
    }
  }

  /** Shows every record, without the lock: what is to be changed must be looked at again. */
  scan(visit: (key: Buffer, record: Float64Array, touchedMs: number) => void): void {
    const chunk = new Float64Array(Math.min(SCAN_BUCKETS, this.#buckets) * WAYS * this.#entry);
    const bytes = Buffer.from(chunk.buffer);
    const end = HEADER_BYTES + this.#buckets * this.#bytes.length;
    for (let position = HEADER_BYTES; position < end; position += bytes.length) {
      const got = readSync(this.#fd, bytes, 0, Math.min(bytes.length, end - position), position) / 8;
      for (let at = 0; at < got; at += this.#entry) {
        const touched = chunk[at]!;
        if (touched === 0) continue;
        const keyAt = this.#keyAt(at);
        visit(
          bytes.subarray(keyAt, keyAt + KEY_BYTES),
          chunk.subarray(at + 1, at + 1 + this.#options.numbers),
          touched,
        );
      }
    }
  }

  /** The number that is everybody's. */
  get total(): number {
    readSync(this.#fd, this.#totalBytes, 0, 8, 0);
    return this.#total[0]!;
  }

  /** Adds to it; only from within `update`, `remove` or `evicted`, which hold the lock. */
  addToTotal(change: number): void {
    const sum = this.total + change;
    this.#total[0] = sum;
    writeSync(this.#fd, this.#totalBytes, 0, 8, 0);
  }

  /** The time of a touch: later than every other of the bucket, also when many fall into one millisecond. */
  #now(): number {
    let latest = 0;
    for (let at = 0; at < this.#bucket.length; at += this.#entry) latest = Math.max(latest, this.#bucket[at]!);
    return Math.max(Date.now(), latest + 1 / 1024);
  }

  #keyAt(entryAt: number): number {
    return (entryAt + this.#entry) * 8 - KEY_BYTES;
  }

  #find(key: Buffer): number {
    for (let at = 0; at < this.#bucket.length; at += this.#entry) {
      if (this.#bucket[at] === 0) continue;
      const keyAt = this.#keyAt(at);
      if (this.#bytes.compare(key, 0, KEY_BYTES, keyAt, keyAt + KEY_BYTES) === 0) return at;
    }
    return -1;
  }

  /** An entry that may be taken; -1: all are in use. */
  #roomAt(): number {
    let room = -1;
    let oldest = Number.POSITIVE_INFINITY;
    for (let at = 0; at < this.#bucket.length; at += this.#entry) {
      const touched = this.#bucket[at]!;
      if (touched < oldest && (touched === 0 || this.#bucket[at + 1]! <= 0)) {
        oldest = touched;
        room = at;
      }
    }
    return room;
  }

  /** False: the file system has no room left. */
  #write(at: number, position: number): boolean {
    try {
      writeSync(this.#fd, this.#bytes, at * 8, this.#entry * 8, position + at * 8);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false;
      throw error;
    }
  }
}
