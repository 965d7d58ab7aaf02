// The state of an upstream's peers that the workers of one master share (`zone`): failures and their times, the weights
// of round robin, connections. It lies in a file of the zones' directory, is read before a server is chosen and written
// after, under the zone's lock; a worker that dies leaves the rest as it is. Connections are counted in a row for each
// worker, so that the master can take back those of a dead one. An upstream whose names are looked up again has a file
// for each set of addresses. As in nginx a new configuration begins anew. Mirrors ngx_http_upstream_zone_module.
import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { lifecycle } from '../lifecycle.ts';
import type { SharedLock } from '../shared-lock.ts';
import { workerPlace } from '../worker-place.ts';
import { ownZoneDirectory, zoneDirectory, zoneLock } from '../zone-directory.ts';
import type { Peer } from './peer.ts';
import type { Upstream } from './upstream.ts';

/** Numbers of a peer: current weight, what its weight lacks, fails, accessed, checked. */
const NUMBERS = 5;
/** Numbers of peers and of workers, as doubles like all that follows. */
const HEADER_BYTES = 16;
/** A set of addresses that was left so long ago is not coming back. */
const FORGOTTEN_MS = 3_600_000;

const filePrefix = (cycle: number): string => `peers-${cycle}-`;
const rowsAt = (peers: number): number => HEADER_BYTES + peers * NUMBERS * 8;

export class SharedPeers {
  readonly #path: string;
  readonly #fd: number;
  readonly #lock: SharedLock;
  readonly #peers: readonly Peer[];
  readonly #countsConns: boolean;
  /** As read: numbers of the peers, then rows of connections. */
  readonly #state: Float64Array;
  readonly #bytes: Buffer;
  readonly #readBytes: number;
  readonly #ownRow: number;
  readonly #slot: number;
  readonly #slots: number;

  /** What the peers of `upstream` share with the other workers; undefined where there is nothing or nobody to share. */
  static of(upstream: Upstream): SharedPeers | undefined {
    const { zone, main, backup } = upstream;
    const directory = zone === undefined || workerPlace().cycle === 0 ? undefined : zoneDirectory();
    const peers = [...main.peers, ...(backup?.peers ?? [])];
    if (!directory || peers.length === 0) return undefined;
    const hasLimits = peers.some((peer) => peer.maxConns > 0);
    if (main.isSingle && !hasLimits) return undefined;
    const countsConns = hasLimits || upstream.method === 'least_conn' || upstream.isRandomOfTwo;
    return new SharedPeers(directory, upstream, peers, countsConns);
  }

  private constructor(directory: string, upstream: Upstream, peers: readonly Peer[], countsConns: boolean) {
    const { cycle, slot, workers } = workerPlace();
    const texts = peers.map((peer) => `${peer.server} ${peer.name} ${peer.weight}`);
    const digest = createHash('sha1').update([upstream.name, upstream.main.peers.length, ...texts].join('\n'));
    this.#path = join(directory, filePrefix(cycle) + digest.digest('hex'));
    this.#lock = zoneLock(directory, upstream.zone!);
    this.#peers = peers;
    this.#countsConns = countsConns;
    this.#slot = slot;
    this.#slots = workers;
    const count = peers.length;
    this.#state = new Float64Array(count * (NUMBERS + workers));
    this.#bytes = Buffer.from(this.#state.buffer);
    this.#readBytes = countsConns ? this.#bytes.length : count * NUMBERS * 8;
    this.#ownRow = count * (NUMBERS + slot);
    this.#fd = openSync(this.#path, constants.O_RDWR | constants.O_CREAT, 0o600);
    this.#join();
  }

  /** The first to come brings what it knows of the peers; all bring their connections. */
  #join(): void {
    this.#lock.take();
    try {
      if (fstatSync(this.#fd).size === 0) {
        const header = Float64Array.of(this.#peers.length, this.#slots);
        writeSync(this.#fd, Buffer.from(header.buffer), 0, HEADER_BYTES, 0);
        this.#bytes.fill(0);
        writeSync(this.#fd, this.#bytes, 0, this.#bytes.length, HEADER_BYTES);
        this.#store();
      }
      this.#storeConns();
    } finally {
      this.#lock.give();
    }
  }

  /** The upstream goes over to other addresses. */
  leave(): void {
    this.#state.fill(0, this.#ownRow, this.#ownRow + this.#peers.length);
    this.#writeRow();
    closeSync(this.#fd);
    forgetFiles(this.#path);
  }

  /** Takes the lock and makes the peers what they are for everybody; `give` follows, whatever happens. */
  take(): void {
    this.#lock.take();
    readSync(this.#fd, this.#bytes, 0, this.#readBytes, HEADER_BYTES);
    const state = this.#state;
    const count = this.#peers.length;
    for (let i = 0, at = 0; i < count; i++, at += NUMBERS) {
      const peer = this.#peers[i]!;
      peer.currentWeight = state[at]!;
      peer.effectiveWeight = peer.weight - state[at + 1]!;
      peer.fails = state[at + 2]!;
      peer.accessedS = state[at + 3]!;
      peer.checkedS = state[at + 4]!;
      if (!this.#countsConns) continue;
      let conns = peer.ownConns;
      for (let slot = 0; slot < this.#slots; slot++) {
        if (slot !== this.#slot) conns += state[count * (NUMBERS + slot) + i]!;
      }
      peer.conns = conns;
    }
  }

  /** Tells everybody what became of the peers, and gives the lock back. */
  give(): void {
    try {
      this.#store();
      this.#storeConns();
    } finally {
      this.#lock.give();
    }
  }

  #store(): void {
    const state = this.#state;
    let isChanged = false;
    for (let i = 0, at = 0; i < this.#peers.length; i++, at += NUMBERS) {
      const peer = this.#peers[i]!;
      const lack = peer.weight - peer.effectiveWeight;
      if (
        state[at] === peer.currentWeight &&
        state[at + 1] === lack &&
        state[at + 2] === peer.fails &&
        state[at + 3] === peer.accessedS &&
        state[at + 4] === peer.checkedS
      ) {
        continue;
      }
      isChanged = true;
      state[at] = peer.currentWeight;
      state[at + 1] = lack;
      state[at + 2] = peer.fails;
      state[at + 3] = peer.accessedS;
      state[at + 4] = peer.checkedS;
    }
    if (isChanged) writeSync(this.#fd, this.#bytes, 0, this.#peers.length * NUMBERS * 8, HEADER_BYTES);
  }

  /** A connection came or went, and nothing else: the row is ours alone, so this needs no lock. */
  storeConns(): void {
    if (this.#countsConns) this.#storeConns();
  }

  #storeConns(): void {
    let isChanged = false;
    for (let i = 0; i < this.#peers.length; i++) {
      const { ownConns } = this.#peers[i]!;
      if (this.#state[this.#ownRow + i] === ownConns) continue;
      isChanged = true;
      this.#state[this.#ownRow + i] = ownConns;
    }
    if (isChanged) this.#writeRow();
  }

  #writeRow(): void {
    const bytes = this.#peers.length * 8;
    writeSync(this.#fd, this.#bytes, this.#ownRow * 8, bytes, HEADER_BYTES + this.#ownRow * 8);
  }
}

/** Files of the same configuration that nobody has touched for long, but for `kept`. */
function forgetFiles(kept: string): void {
  const directory = zoneDirectory();
  if (!directory) return;
  const before = Date.now() - FORGOTTEN_MS;
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (!name.startsWith(filePrefix(workerPlace().cycle)) || path === kept) continue;
    try {
      if (statSync(path).mtimeMs < before) unlinkSync(path);
    } catch {
      // Another worker was quicker.
    }
  }
}

/** In the master: the connections of a worker that ended are nobody's. */
lifecycle.workerEnded.add(({ cycle, slot }) => {
  for (const path of filesOf(cycle)) {
    const fd = openSync(path, 'r+');
    try {
      const header = new Float64Array(2);
      readSync(fd, Buffer.from(header.buffer), 0, HEADER_BYTES, 0);
      const [peers, slots] = header as unknown as [number, number];
      if (slot < slots) writeSync(fd, Buffer.alloc(peers * 8), 0, peers * 8, rowsAt(peers) + slot * peers * 8);
    } finally {
      closeSync(fd);
    }
  }
});

lifecycle.cycleEnded.add((cycle) => {
  for (const path of filesOf(cycle)) unlinkSync(path);
});

function filesOf(cycle: number): string[] {
  const directory = ownZoneDirectory();
  if (!directory) return [];
  const names = readdirSync(directory).filter((name) => name.startsWith(filePrefix(cycle)));
  return names.map((name) => join(directory, name));
}
