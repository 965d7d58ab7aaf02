// One cache (`proxy_cache_path`): an index of its files, and the files themselves. A manager takes out what was not asked
// for in `inactive`, and the oldest when there is too much; a loader finds the files that were there before us. Workers
// of one master share the index, and one of them is manager and loader; what is not in the index is still looked for on
// disk. Mirrors ngx_http_file_cache.c.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, statfsSync, statSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { workerPlace } from '../../worker-place.ts';
import { zoneDirectory } from '../../zone-directory.ts';
import type { CacheIndex, CacheNode } from './cache-node.ts';
import { LocalIndex } from './local-index.ts';
import { SharedIndex } from './shared-index.ts';

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

const LOADER_DELAY_MS = 60_000;
const MANAGER_MS = 10_000;
const SMALLEST_BLOCK_BYTES = 512;
/** Larger blocks than pages are not believed, as in nginx. */
const PAGE_BYTES = 4096;

export class FileCache {
  readonly settings: FileCacheSettings;
  #index: CacheIndex | undefined;
  #manager: NodeJS.Timeout | undefined;
  /** When the manager is next at work. */
  #dueMs = Number.POSITIVE_INFINITY;
  #blockBytes: number | undefined;

  constructor(settings: FileCacheSettings) {
    this.settings = settings;
  }

  /** Everybody's, where there are workers; made when the first request needs it. */
  get index(): CacheIndex {
    if (this.#index) return this.#index;
    const { name, directory, levels, inactiveMs, maxKeys } = this.settings;
    const settings = { inactiveMs, maxKeys, unlink: (key: string) => this.#unlink(key) };
    const zones = workerPlace().cycle > 0 ? zoneDirectory() : undefined;
    if (zones) {
      const text = `${name} ${directory} ${levels.join(':')} ${maxKeys}`;
      this.#index = new SharedIndex(zones, `cache-${createHash('sha1').update(text).digest('hex')}`, settings);
    } else this.#index = new LocalIndex(settings);
    return this.#index;
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

  /** Notes the size of a node's file, where `change` is at work on it. */
  resize(node: CacheNode, bytes: number): void {
    node.exists = true;
    node.sizeBytes = this.#spaceOf(bytes);
  }

  /** What a file takes up: whole blocks, in which nginx counts max_size, too. */
  #spaceOf(bytes: number): number {
    return Math.ceil(bytes / this.#block) * this.#block;
  }

  get #block(): number {
    if (this.#blockBytes !== undefined) return this.#blockBytes;
    try {
      const { bsize } = statfsSync(this.settings.directory);
      const isUsual = bsize % SMALLEST_BLOCK_BYTES === 0 && bsize <= PAGE_BYTES;
      this.#blockBytes = isUsual ? bsize : SMALLEST_BLOCK_BYTES;
      return this.#blockBytes;
    } catch {
      // There is no directory yet, and so no file.
      return SMALLEST_BLOCK_BYTES;
    }
  }

  /** A file came: is there too much now? */
  grown(): void {
    const { managerSleepMs } = this.settings;
    // What is due sooner stays so: files that keep coming must not put the manager off.
    if (this.#dueMs > performance.now() + managerSleepMs && this.#isTooLarge()) this.#schedule(managerSleepMs);
  }

  /** Makes the directories of a file. */
  makeRoom(path: string): void {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  }

  #isTooLarge(): boolean {
    const { maxSizeBytes, minFreeBytes } = this.settings;
    const block = this.#block;
    if (
      maxSizeBytes !== Number.POSITIVE_INFINITY &&
      this.index.totalBytes >= Math.floor(maxSizeBytes / block) * block
    ) {
      return true;
    }
    if (minFreeBytes === 0) return false;
    try {
      const { bavail, bsize } = statfsSync(this.settings.directory);
      return bavail * bsize < minFreeBytes;
    } catch {
      return false;
    }
  }

  /** The process serves: the manager and, later, the loader begin. */
  start(): void {
    if (this.#manager || workerPlace().slot !== 0) return;
    this.#schedule(Math.min(MANAGER_MS, Math.max(1000, this.settings.inactiveMs)));
    setTimeout(() => this.#load(), LOADER_DELAY_MS).unref();
  }

  #schedule(ms: number): void {
    if (this.#manager) clearTimeout(this.#manager);
    this.#dueMs = performance.now() + ms;
    this.#manager = setTimeout(() => this.#manage(), ms);
    this.#manager.unref();
  }

  #manage(): void {
    const { managerFiles, managerSleepMs } = this.settings;
    const expired = this.index.expire(managerFiles);
    let { files } = expired;
    let next = files < managerFiles ? Math.min(MANAGER_MS, Math.max(1000, expired.nextMs)) : managerSleepMs;
    while (this.#isTooLarge()) {
      if (files++ >= managerFiles) {
        next = managerSleepMs;
        break;
      }
      if (!this.index.forceOut()) break;
    }
    this.#schedule(next);
  }

  #unlink(key: string): void {
    try {
      unlinkSync(this.pathOf(key));
    } catch {
      // Somebody purged it.
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
        } else if (/^[0-9a-f]{32}$/.test(entry.name)) {
          try {
            this.index.add(entry.name, this.#spaceOf(statSync(path).size));
          } catch {
            // It was taken out in the meantime.
          }
        }
      }
    };
    walk(this.settings.directory);
    this.grown();
  }
}
