// A zone that all worker processes share, as nginx's shared memory: a file (in /dev/shm where there is one) of buckets
// of eight records, read and written with plain system calls under a lock. It outlives any worker, and a reload. A key
// is kept as its digest, so that a record has a fixed size; of a full bucket the record that was touched longest ago
// and is not in use makes room.
import { hash } from 'node:crypto';
import {
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readlinkSync,
  readSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { RECORD_BYTES, type ZoneRecord, type ZoneTable } from './zone-table.ts';

const WAYS = 8;
const DIGEST_BYTES = 16;
/** Digest, time of the last touch, four numbers, and room to a round size. */
const ENTRY_BYTES = 64;
const BUCKET_BYTES = WAYS * ENTRY_BYTES;

/** A pause too short to be felt, for a lock that is taken. */
const pause = new Int32Array(new SharedArrayBuffer(4));

export class SharedZoneTable implements ZoneTable {
  readonly #fd: number;
  readonly #lockPath: string;
  readonly #buckets: number;
  readonly #bucket = Buffer.alloc(BUCKET_BYTES);

  /** Opens or makes the zone's file. */
  constructor(path: string, sizeBytes: number) {
    this.#buckets = Math.max(1, Math.floor(sizeBytes / RECORD_BYTES / WAYS));
    this.#lockPath = `${path}.lock`;
    this.#fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    const length = this.#buckets * BUCKET_BYTES;
    if (fstatSync(this.#fd).size < length) ftruncateSync(this.#fd, length);
  }

  update(key: string, act: (record: ZoneRecord, isNew: boolean) => boolean): boolean {
    const digest = hash('sha1', Buffer.from(key, 'latin1'), 'buffer').subarray(0, DIGEST_BYTES);
    const position = (digest.readUInt32LE(0) % this.#buckets) * BUCKET_BYTES;
    this.#lock();
    try {
      readSync(this.#fd, this.#bucket, 0, BUCKET_BYTES, position);
      const { at, isNew } = this.#find(digest);
      if (at < 0) return false;
      const record = new Float64Array(4);
      if (!isNew) for (let i = 0; i < 4; i++) record[i] = this.#bucket.readDoubleLE(at + 24 + i * 8);
      if (!act(record, isNew)) return false;
      digest.copy(this.#bucket, at);
      this.#bucket.writeDoubleLE(Date.now(), at + DIGEST_BYTES);
      for (let i = 0; i < 4; i++) this.#bucket.writeDoubleLE(record[i]!, at + 24 + i * 8);
      writeSync(this.#fd, this.#bucket, at, ENTRY_BYTES, position + at);
      return true;
    } finally {
      unlinkSync(this.#lockPath);
    }
  }

  /** The record of that digest, else one that may be taken; -1: all are in use. */
  #find(digest: Buffer): { at: number; isNew: boolean } {
    let free = -1;
    let oldest = Number.POSITIVE_INFINITY;
    for (let at = 0; at < BUCKET_BYTES; at += ENTRY_BYTES) {
      const touched = this.#bucket.readDoubleLE(at + DIGEST_BYTES);
      if (touched !== 0 && this.#bucket.compare(digest, 0, DIGEST_BYTES, at, at + DIGEST_BYTES) === 0) {
        return { at, isNew: false };
      }
      if (touched < oldest && this.#bucket.readDoubleLE(at + 24) <= 0) {
        oldest = touched;
        free = at;
      }
    }
    return { at: free, isNew: true };
  }

  /** The lock is a symbolic link to its holder's process id, since making one is a single step that can fail. */
  #lock(): void {
    for (let tries = 0; ; tries++) {
      try {
        symlinkSync(String(process.pid), this.#lockPath);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      if (tries < 20) continue;
      if (tries % 50 === 0) this.#breakStaleLock();
      Atomics.wait(pause, 0, 0, 0.2);
    }
  }

  /** A worker that was killed while it held the lock cannot give it back. */
  #breakStaleLock(): void {
    try {
      const holder = Number(readlinkSync(this.#lockPath));
      try {
        process.kill(holder, 0);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ESRCH') unlinkSync(this.#lockPath);
      }
    } catch {
      // It was given back in the meantime.
    }
  }
}
