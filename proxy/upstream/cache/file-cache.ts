// One cache (`proxy_cache_path`): an index of its files in memory, least recently used first, and the files themselves.
// A manager takes out what was not asked for in `inactive`, and the oldest when there is too much; a loader finds the
// files that were there before us. The index is each worker's own, the files are shared: what is not in the index is
// still looked for on disk. Mirrors ngx_http_file_cache.c.
import { mkdirSync, readdirSync, statfsSync, statSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';

export interface FileCacheSettings {
  /** Of the zone. */
  readonly name: string;
  readonly directory: string;
  readonly levels: readonly number[];
  readonly inactiveMs: number;
  readonly maxSizeBytes: number;
  readonly minFreeBytes: number;
  /** Files grow under proxy_temp_path before they are moved here; else beside their place. */
  readonly usesTempPath: boolean;
  readonly managerFiles: number;
  readonly managerSleepMs: number;
  /** Keys that the zone has room for. */
  readonly maxKeys: number;
}

export class CacheNode {
  readonly key: string;
  uses = 0;
  /** Requests that work on it. */
  count = 0;
  exists = false;
  /** Somebody is fetching it anew. */
  isUpdating = false;
  /** Status that is remembered instead of a file (502, 504). */
  error = 0;
  errorValidS = 0;
  sizeBytes = 0;
  expireMs = 0;
  lockUntilMs = 0;
  /** Until when a request in the background is awaited that takes the update over; 0: none is. */
  handedOverUntilMs = 0;
  /** Requests that wait for it to be filled. */
  readonly waiting = new Set<() => void>();

  constructor(key: string) {
    this.key = key;
  }

  /** Lets the waiting ones look again. */
  wake(): void {
    const all = [...this.waiting];
    this.waiting.clear();
    for (const look of all) look();
  }
}

const LOADER_DELAY_MS = 60_000;
const MANAGER_MS = 10_000;

export class FileCache {
  readonly settings: FileCacheSettings;
  readonly #nodes = new Map<string, CacheNode>();
  #sizeBytes = 0;
  #manager: NodeJS.Timeout | undefined;

  constructor(settings: FileCacheSettings) {
    this.settings = settings;
  }

  /** Path of the file of a digest: levels are cut from its end. */
  pathOf(digest: string): string {
    let path = this.settings.directory;
    let end = digest.length;
    for (const level of this.settings.levels) {
      path += `/${digest.slice(end - level, end)}`;
      end -= level;
    }
    return `${path}/${digest}`;
  }

  /** The node of a digest, made when it is not there; it counts as used and as being worked on. */
  take(digest: string): { node: CacheNode; isNew: boolean } {
    let node = this.#nodes.get(digest);
    const isNew = node === undefined;
    if (node) this.#nodes.delete(digest);
    else {
      node = new CacheNode(digest);
      if (this.#nodes.size >= this.settings.maxKeys) this.#forceOut();
    }
    this.#nodes.set(digest, node);
    node.uses++;
    node.count++;
    node.expireMs = Date.now() + this.settings.inactiveMs;
    return { node, isNew };
  }

  /** Drops a node that came to nothing. */
  forget(node: CacheNode): void {
    if (this.#nodes.get(node.key) === node) this.#nodes.delete(node.key);
  }

  /** Notes the size of a node's file. */
  resize(node: CacheNode, bytes: number): void {
    this.#sizeBytes += bytes - node.sizeBytes;
    node.sizeBytes = bytes;
    if (this.#isTooLarge()) this.#schedule(this.settings.managerSleepMs);
  }

  /** Makes the directories of a file. */
  makeRoom(path: string): void {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  }

  #isTooLarge(): boolean {
    if (this.#sizeBytes > this.settings.maxSizeBytes) return true;
    if (this.settings.minFreeBytes === 0) return false;
    try {
      const { bavail, bsize } = statfsSync(this.settings.directory);
      return bavail * bsize < this.settings.minFreeBytes;
    } catch {
      return false;
    }
  }

  /** The process serves: the manager and, later, the loader begin. */
  start(): void {
    if (this.#manager) return;
    this.#schedule(Math.min(MANAGER_MS, Math.max(1000, this.settings.inactiveMs)));
    setTimeout(() => this.#load(), LOADER_DELAY_MS).unref();
  }

  #schedule(ms: number): void {
    if (this.#manager) clearTimeout(this.#manager);
    this.#manager = setTimeout(() => this.#manage(), ms);
    this.#manager.unref();
  }

  #manage(): void {
    const now = Date.now();
    let files = 0;
    let next = MANAGER_MS;
    for (const node of this.#nodes.values()) {
      if (node.expireMs > now) {
        next = Math.min(next, Math.max(1000, node.expireMs - now));
        break;
      }
      if (node.count > 0) continue;
      this.#delete(node);
      if (++files >= this.settings.managerFiles) {
        next = this.settings.managerSleepMs;
        break;
      }
    }
    while (this.#isTooLarge()) {
      if (!this.#forceOut()) break;
      if (++files >= this.settings.managerFiles) {
        next = this.settings.managerSleepMs;
        break;
      }
    }
    this.#schedule(next);
  }

  /** Takes out the node that was not used for longest. */
  #forceOut(): boolean {
    let tries = 20;
    for (const node of this.#nodes.values()) {
      if (node.count === 0) {
        this.#delete(node);
        return true;
      }
      if (--tries === 0) break;
    }
    return false;
  }

  #delete(node: CacheNode): void {
    this.#nodes.delete(node.key);
    this.#sizeBytes -= node.sizeBytes;
    if (!node.exists) return;
    try {
      unlinkSync(this.pathOf(node.key));
    } catch {
      // Another worker was quicker, or somebody purged it.
    }
  }

  /** Puts the files that are on disk into the index, oldest as if just used. */
  #load(): void {
    const walk = (directory: string): void => {
      let entries: import('node:fs').Dirent[];
      try {
        entries = readdirSync(directory, { withFileTypes: true });
      } catch {
        return;
      }
      for (const entry of entries) {
        const path = `${directory}/${entry.name}`;
        if (entry.isDirectory()) {
          if (entry.name !== 'temp') walk(path);
        } else if (/^[0-9a-f]{32}$/.test(entry.name) && !this.#nodes.has(entry.name)) {
          const node = new CacheNode(entry.name);
          node.uses = 1;
          node.exists = true;
          node.expireMs = Date.now() + this.settings.inactiveMs;
          this.#nodes.set(entry.name, node);
          try {
            this.resize(node, statSync(path).size);
          } catch {
            this.#nodes.delete(entry.name);
          }
        }
      }
    };
    walk(this.settings.directory);
  }
}
