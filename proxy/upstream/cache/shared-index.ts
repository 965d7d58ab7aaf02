// The index of a cache for all worker processes: uses, sizes, remembered errors, and who is fetching what, in a shared
// table that outlives workers and reloads. The one who fetches is known by its process, so that the others do not wait
// for a dead one. Nodes of requests at work are this worker's own copies. Mirrors ngx_http_file_cache_sh_t.
import { SharedTable } from '../../shared-table.ts';
import { zoneLock } from '../../zone-directory.ts';
import { type CacheIndex, CacheNode } from './cache-node.ts';
import type { IndexSettings } from './local-index.ts';

/** Numbers of a record: the process that fetches it, uses, … */
const UPDATER = 0;
const USES = 1;
const LOCK_UNTIL = 2;
/** Status, and behind it the time until which it is remembered. */
const ERROR = 3;
const SIZE = 4;
const HANDED_OVER = 5;
const NUMBERS = 6;
const ERROR_BASE = 1024;

/** Buckets fill unevenly. */
const SPARE = 2;
/** Files that one look at the table finds for those who must make room. */
const OLDEST = 1000;

interface Candidate {
  readonly key: Buffer;
  readonly touchedMs: number;
}

export class SharedIndex implements CacheIndex {
  readonly #settings: IndexSettings;
  readonly #table: SharedTable;
  /** Nodes that requests of this worker work on. */
  readonly #nodes = new Map<string, CacheNode>();
  #oldest: Candidate[] = [];

  constructor(directory: string, id: string, settings: IndexSettings) {
    this.#settings = settings;
    this.#table = new SharedTable(`${directory}/${id}`, zoneLock(directory, id), {
      records: settings.maxKeys * SPARE,
      numbers: NUMBERS,
      evicted: (key, record) => this.#remove(key, record),
    });
  }

  get totalBytes(): number {
    return this.#table.total;
  }

  take(key: string): { node: CacheNode; isNew: boolean } {
    let node = this.#nodes.get(key);
    if (!node) {
      node = new CacheNode(key);
      this.#nodes.set(key, node);
    }
    const taken = node;
    taken.count++;
    let isNew = true;
    this.#table.update(Buffer.from(key, 'hex'), (record, isFresh) => {
      load(taken, record);
      taken.uses++;
      isNew = taken.renews(Math.floor(Date.now() / 1000)) || isFresh;
      this.#store(taken, record);
      return true;
    });
    return { node, isNew };
  }

  giveBack(node: CacheNode): void {
    node.count--;
    if (node.count === 0 && node.waiting.size === 0 && this.#nodes.get(node.key) === node) this.#nodes.delete(node.key);
  }

  change<T>(node: CacheNode, act: () => T): T {
    let result: { value: T } | undefined;
    this.#table.update(Buffer.from(node.key, 'hex'), (record, isNew) => {
      // It may have made room for another key; then its file is gone, too.
      load(node, record);
      if (isNew) node.uses = 1;
      result = { value: act() };
      this.#store(node, record);
      return true;
    });
    // Without room in the table it holds for this worker alone.
    return result ? result.value : act();
  }

  forget(node: CacheNode): void {
    if (node.count > 0) return;
    this.#table.remove(Buffer.from(node.key, 'hex'), (record) => record[UPDATER] === 0 && record[SIZE] === 0);
  }

  add(key: string, sizeBytes: number): void {
    this.#table.update(Buffer.from(key, 'hex'), (record, isNew) => {
      if (!isNew) return false;
      record[USES] = 1;
      record[SIZE] = sizeBytes;
      this.#table.addToTotal(sizeBytes);
      return true;
    });
  }

  expire(limit: number): { files: number; nextMs: number } {
    const before = Date.now() - this.#settings.inactiveMs;
    const expired: Candidate[] = [];
    let first = Number.POSITIVE_INFINITY;
    this.#table.scan((key, _record, touchedMs) => {
      if (touchedMs > before) first = Math.min(first, touchedMs);
      else if (expired.length < limit) expired.push({ key: Buffer.from(key), touchedMs });
      else first = before;
    });
    let files = 0;
    for (const candidate of expired) if (this.#takeOut(candidate)) files++;
    return { files, nextMs: Math.max(0, first - before) };
  }

  forceOut(): boolean {
    if (this.#oldest.length === 0) this.#findOldest();
    for (let next = this.#oldest.pop(); next; next = this.#oldest.pop()) if (this.#takeOut(next)) return true;
    return false;
  }

  /** Fills the list, the oldest last. */
  #findOldest(): void {
    const all: Candidate[] = [];
    this.#table.scan((key, record, touchedMs) => {
      if (record[SIZE]! > 0) all.push({ key: Buffer.from(key), touchedMs });
    });
    all.sort((a, b) => a.touchedMs - b.touchedMs);
    this.#oldest = all.slice(0, OLDEST).reverse();
  }

  /** Takes a record out that nobody has touched since it was seen. */
  #takeOut({ key, touchedMs }: Candidate): boolean {
    if (this.#nodes.has(key.toString('hex'))) return false;
    return this.#table.remove(key, (record, touched) => {
      if (touched !== touchedMs || isAlive(record[UPDATER]!)) return false;
      this.#remove(key, record);
      return true;
    });
  }

  #remove(key: Buffer, record: Float64Array): void {
    const size = record[SIZE]!;
    if (size === 0) return;
    this.#table.addToTotal(-size);
    this.#settings.unlink(key.toString('hex'));
  }

  #store(node: CacheNode, record: Float64Array): void {
    const { isUpdating, sizeBytes } = node;
    if (!isUpdating) record[UPDATER] = 0;
    else if (node.lockUntilMs !== record[LOCK_UNTIL] || !isAlive(record[UPDATER]!)) record[UPDATER] = process.pid;
    record[USES] = node.uses;
    record[LOCK_UNTIL] = node.lockUntilMs;
    record[ERROR] = node.error === 0 ? 0 : node.error + node.errorValidS * ERROR_BASE;
    if (record[SIZE] !== sizeBytes) this.#table.addToTotal(sizeBytes - record[SIZE]!);
    record[SIZE] = sizeBytes;
    record[HANDED_OVER] = node.handedOverUntilMs;
  }
}

function load(node: CacheNode, record: Float64Array): void {
  node.isUpdating = isAlive(record[UPDATER]!);
  node.uses = record[USES]!;
  node.lockUntilMs = record[LOCK_UNTIL]!;
  node.error = record[ERROR]! % ERROR_BASE;
  node.errorValidS = Math.floor(record[ERROR]! / ERROR_BASE);
  node.sizeBytes = record[SIZE]!;
  node.exists = node.sizeBytes > 0;
  node.handedOverUntilMs = record[HANDED_OVER]!;
}

/** Whether that worker still lives; 0 is nobody. */
function isAlive(pid: number): boolean {
  if (pid === 0 || pid === process.pid) return pid !== 0;
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
