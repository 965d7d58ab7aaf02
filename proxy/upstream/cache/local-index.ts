// The index of a cache in one process: a map in the order of use.
import { type CacheIndex, CacheNode } from './cache-node.ts';

export interface IndexSettings {
  readonly inactiveMs: number;
  /** Keys that the zone has room for. */
  readonly maxKeys: number;
  /** Removes the file of a key. */
  readonly unlink: (key: string) => void;
}

export class LocalIndex implements CacheIndex {
  readonly #settings: IndexSettings;
  readonly #nodes = new Map<string, CacheNode>();
  totalBytes = 0;

  constructor(settings: IndexSettings) {
    this.#settings = settings;
  }

  take(key: string): { node: CacheNode; isNew: boolean } {
    let node = this.#nodes.get(key);
    let isNew = node === undefined;
    if (node) this.#nodes.delete(key);
    else {
      node = new CacheNode(key);
      if (this.#nodes.size >= this.#settings.maxKeys) this.forceOut();
    }
    this.#nodes.set(key, node);
    node.uses++;
    node.count++;
    node.expireMs = Date.now() + this.#settings.inactiveMs;
    if (node.renews(Math.floor(Date.now() / 1000))) isNew = true;
    return { node, isNew };
  }

  giveBack(node: CacheNode): void {
    node.count--;
  }

  change<T>(node: CacheNode, act: () => T): T {
    const before = node.sizeBytes;
    const result = act();
    this.totalBytes += node.sizeBytes - before;
    return result;
  }

  forget(node: CacheNode): void {
    if (node.count === 0 && this.#nodes.get(node.key) === node) this.#nodes.delete(node.key);
  }

  add(key: string, sizeBytes: number): void {
    if (this.#nodes.has(key)) return;
    const node = new CacheNode(key);
    node.uses = 1;
    node.exists = true;
    node.sizeBytes = sizeBytes;
    node.expireMs = Date.now() + this.#settings.inactiveMs;
    this.#nodes.set(key, node);
    this.totalBytes += sizeBytes;
  }

  expire(limit: number): { files: number; nextMs: number } {
    const now = Date.now();
    let files = 0;
    for (const node of this.#nodes.values()) {
      if (node.expireMs > now) return { files, nextMs: node.expireMs - now };
      if (node.count > 0) continue;
      this.#delete(node);
      if (++files >= limit) return { files, nextMs: 0 };
    }
    return { files, nextMs: Number.POSITIVE_INFINITY };
  }

  forceOut(): boolean {
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
    this.totalBytes -= node.sizeBytes;
    if (node.exists) this.#settings.unlink(node.key);
  }
}
