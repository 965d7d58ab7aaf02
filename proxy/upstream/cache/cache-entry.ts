// One request's hold on a cached response: finding it (by key, then by variant), telling whether it is fresh, waiting
// for another request that fetches it, writing it anew, and letting go. Mirrors ngx_http_cache_t and the functions of
// ngx_http_file_cache.c that work on it.
import { closeSync, fstatSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { errnoText } from '../../config/error.ts';
import type { Exchange } from '../../http/exchange.ts';
import { moveFile } from '../move-file.ts';
import type { TempPath } from '../settings.ts';
import { tempFileName } from '../temp-file.ts';
import { type CacheHeader, type CacheKey, decodeHeader, encodeHeader, variantOf } from './cache-header.ts';
import type { CacheNode } from './cache-node.ts';
import type { FileCache } from './file-cache.ts';
import type { CacheSettings } from './settings.ts';

/** What looking found: fresh, stale, stale and being updated, nothing, nothing yet worth keeping, or wait. */
export type Found = 'fresh' | 'stale' | 'updating' | 'nothing' | 'scarce' | 'wait';

const POLL_MS = 500;
/** A request in the background that has not begun by then never will. */
const HAND_OVER_MS = 10_000;
let partNumber = 0;

export class CacheEntry {
  readonly cache: FileCache;
  readonly key: CacheKey;
  readonly #r: Exchange;
  readonly #settings: CacheSettings;
  readonly #bufferBytes: number;
  #digest: string;
  #isSecondary = false;
  #node: CacheNode | undefined;
  #isUpdating = false;
  #lockUntilMs = 0;
  #lockTimeoutMs: number;
  #waitUntilMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #isLetGo = false;
  #fd = -1;
  #partPath = '';
  #partFd = -1;
  #partBytes = 0;
  header: CacheHeader = emptyHeader();
  /** The upstream's head as kept, latin1. */
  headText = '';
  /** Bytes of the file, and where its body starts. */
  lengthBytes = 0;
  bodyStart = 0;
  isStaleWhileUpdating = false;
  isStaleOnError = false;
  /** Status to remember instead of a file. */
  error = 0;

  constructor(r: Exchange, cache: FileCache, settings: CacheSettings, key: CacheKey, bufferBytes: number) {
    this.#r = r;
    this.cache = cache;
    this.#settings = settings;
    this.key = key;
    this.#digest = key.digest;
    this.#bufferBytes = bufferBytes;
    this.#lockTimeoutMs = settings.lockTimeoutMs;
  }

  get path(): string {
    return this.cache.pathOf(this.#digest);
  }

  get fd(): number {
    return this.#fd;
  }

  /** Looks for it. A number is a status that is remembered. */
  look(): Found | number {
    let otherwise: Found = 'nothing';
    if (!this.#node) {
      const { node, isNew } = this.cache.index.take(this.#digest);
      this.#node = node;
      if (node.error !== 0) return node.error;
      if (isNew) {
        if (this.#settings.minUses > 1) otherwise = 'scarce';
      } else if (!node.exists && node.uses < this.#settings.minUses) return 'scarce';
    }
    const found = this.#open();
    if (found !== 'nothing') return found;
    return otherwise === 'scarce' ? otherwise : this.#lock();
  }

  #open(): Found {
    this.closeFile();
    try {
      this.#fd = openSync(this.path, 'r');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ENOTDIR') {
        this.#r.log('crit', `open() "${this.path}" failed ${errnoText(error)}`);
      }
      return 'nothing';
    }
    const bytes = Buffer.allocUnsafe(this.#bufferBytes);
    const got = readSync(this.#fd, bytes, 0, bytes.length, 0);
    this.lengthBytes = fstatSync(this.#fd).size;
    const header = decodeHeader(bytes.subarray(0, got), this.key);
    if ('fault' in header) {
      this.#r.log(header.level, `cache file "${this.path}" ${header.fault}`);
      return 'nothing';
    }
    if (header.bodyStart > this.#bufferBytes) {
      this.#r.log('crit', `cache file "${this.path}" has too long header`);
      return 'nothing';
    }
    if (header.vary !== '') {
      const variant = variantOf(this.key.digest, header.vary, this.#r.headers);
      if (variant !== header.variant) return this.#otherVariant(variant);
    }
    this.header = header;
    this.bodyStart = header.bodyStart;
    this.headText = bytes.toString('latin1', this.key.headerStart, header.bodyStart);
    const node = this.#node!;
    if (!node.exists) {
      this.cache.index.change(node, () => this.cache.resize(node, this.lengthBytes));
      this.cache.grown();
    }
    const now = nowS();
    if (header.validS >= now) return 'fresh';
    this.isStaleWhileUpdating = header.validS + header.updatingS >= now;
    this.isStaleOnError = header.validS + header.errorS >= now;
    return this.cache.index.change(node, () => {
      if (node.isUpdating && (node.handedOverUntilMs === 0 || node.handedOverUntilMs > Date.now())) return 'updating';
      node.isUpdating = true;
      node.handedOverUntilMs = 0;
      this.#isUpdating = true;
      this.#lockUntilMs = node.lockUntilMs;
      return 'stale';
    });
  }

  /** The file is of another variant: ours has a name of its own. */
  #otherVariant(variant: string): Found {
    if (this.#isSecondary) {
      this.#r.log('crit', `cache file "${this.path}" has incorrect vary hash`);
      return 'nothing';
    }
    this.cache.index.giveBack(this.#node!);
    this.#node = undefined;
    this.#isSecondary = true;
    this.#digest = variant;
    return this.look() as Found;
  }

  #lock(): Found {
    if (!this.#settings.isLocking) return 'nothing';
    const node = this.#node!;
    return this.cache.index.change(node, () => {
      const now = Date.now();
      if (!node.isUpdating || node.lockUntilMs <= now) {
        node.isUpdating = true;
        node.lockUntilMs = now + this.#settings.lockAgeMs;
        this.#isUpdating = true;
        this.#lockUntilMs = node.lockUntilMs;
        return 'nothing';
      }
      return this.#lockTimeoutMs === 0 ? 'scarce' : 'wait';
    });
  }

  /** Calls `again` when it is worth looking again. */
  wait(again: () => void): void {
    const node = this.#node!;
    const now = Date.now();
    if (this.#waitUntilMs === 0) this.#waitUntilMs = now + this.#lockTimeoutMs;
    const stop = (): void => {
      node.waiting.delete(look);
      if (this.#timer) clearTimeout(this.#timer);
      this.#timer = undefined;
    };
    const look = (): void => {
      stop();
      if (Date.now() >= this.#waitUntilMs) {
        this.#r.log('info', 'cache lock timeout');
        this.#lockTimeoutMs = 0;
      }
      if (!this.#isLetGo) again();
    };
    node.waiting.add(look);
    this.#timer = setTimeout(look, Math.max(0, Math.min(POLL_MS, this.#waitUntilMs - now)));
  }

  /** Leaves the update to a request in the background, which takes it over. */
  handOver(): void {
    this.#isUpdating = false;
    const node = this.#node!;
    this.cache.index.change(node, () => {
      node.handedOverUntilMs = Date.now() + HAND_OVER_MS;
    });
  }

  /** That request: the update is ours now. */
  takeOver(): void {
    const node = this.#node!;
    this.#isUpdating = true;
    this.cache.index.change(node, () => {
      node.handedOverUntilMs = 0;
      this.#lockUntilMs = node.lockUntilMs;
    });
  }

  /** The stale response is being replaced: its times no longer hold. */
  forgetTimes(): void {
    this.header = { ...this.header, validS: 0, updatingS: 0, errorS: 0 };
  }

  /** After a bypass: the response is to be kept all the same. */
  claim(): void {
    if (!this.#node) this.#node = this.cache.index.take(this.#digest).node;
  }

  // ---- writing

  /** Starts a file with the upstream's head; false when it cannot be written. */
  begin(head: string, temp: TempPath): boolean {
    const { header } = this;
    header.variant = header.vary === '' ? '' : variantOf(this.key.digest, header.vary, this.#r.headers);
    if (this.#isSecondary && header.variant !== this.#digest) this.#useMainKey();
    header.bodyStart = this.key.headerStart + head.length;
    try {
      if (this.cache.settings.usesTempPath) this.#partPath = tempFileName(temp);
      else {
        this.cache.makeRoom(this.path);
        this.#partPath = `${this.path}.${String(++partNumber).padStart(10, '0')}`;
      }
      this.#partFd = openSync(this.#partPath, 'wx+', 0o600);
      this.#append(encodeHeader(this.key, header));
      this.#append(Buffer.from(head, 'latin1'));
      return true;
    } catch (error) {
      this.#r.log('crit', `open() "${this.#partPath}" failed ${errnoText(error)}`);
      this.#dropPart();
      return false;
    }
  }

  #useMainKey(): void {
    const node = this.#node!;
    const { index } = this.cache;
    index.change(node, () => {
      node.isUpdating = false;
    });
    index.giveBack(node);
    node.wake();
    this.#digest = this.key.digest;
    this.#isSecondary = false;
    this.#node = index.take(this.#digest).node;
  }

  /** Adds a piece of the body. */
  write(bytes: Buffer, from: number, to: number): void {
    if (this.#partFd < 0) return;
    try {
      this.#append(bytes.subarray(from, to));
    } catch (error) {
      this.#r.log('crit', `write() "${this.#partPath}" failed ${errnoText(error)}`);
      this.#dropPart();
    }
  }

  #append(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) at += writeSync(this.#partFd, bytes, at, bytes.length - at);
    this.#partBytes += bytes.length;
  }

  /** Body bytes written. */
  get bodyBytes(): number {
    return this.#partBytes - this.header.bodyStart;
  }

  /** The response is complete: its file takes its place. */
  commit(): void {
    if (this.#isLetGo) return;
    if (this.#partFd < 0) {
      this.letGo();
      return;
    }
    this.#isLetGo = true;
    closeSync(this.#partFd);
    this.#partFd = -1;
    const { path } = this;
    const node = this.#node!;
    let isThere = true;
    try {
      this.cache.makeRoom(path);
      moveFile(this.#partPath, path);
    } catch (error) {
      isThere = false;
      this.#r.log('crit', `rename() "${this.#partPath}" to "${path}" failed ${errnoText(error)}`);
    }
    const { index } = this.cache;
    index.change(node, () => {
      node.error = 0;
      node.isUpdating = false;
      if (isThere) this.cache.resize(node, this.#partBytes);
    });
    index.giveBack(node);
    node.wake();
    this.cache.grown();
    this.closeFile();
  }

  /** Writes new times into the file that is there (after a 304). */
  refresh(): void {
    let fd = -1;
    try {
      fd = openSync(this.path, 'r+');
      const mine = fstatSync(this.#fd);
      const now = fstatSync(fd);
      if (mine.ino === now.ino && mine.size === now.size) {
        const bytes = encodeHeader(this.key, this.header);
        writeSync(fd, bytes, 0, bytes.length, 0);
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
        this.#r.log('crit', `open() "${this.path}" failed ${errnoText(error)}`);
      }
    } finally {
      if (fd >= 0) closeSync(fd);
    }
  }

  /** Gives the node back without a new file. */
  letGo(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isLetGo) return;
    this.#isLetGo = true;
    this.#dropPart();
    const node = this.#node;
    if (!node) return;
    const { index } = this.cache;
    const isOurs = this.#isUpdating;
    if (isOurs || this.error !== 0) {
      index.change(node, () => {
        if (isOurs && node.lockUntilMs === this.#lockUntilMs) node.isUpdating = false;
        if (this.error === 0) return;
        node.error = this.error;
        if (this.header.validS) node.errorValidS = this.header.validS;
      });
    }
    index.giveBack(node);
    if (isOurs) node.wake();
    if (this.error === 0 && !node.exists && this.#settings.minUses === 1) index.forget(node);
  }

  /** The file that is being read is not needed any longer. */
  closeFile(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  /** Hands the open file to who sends it and closes it afterwards. */
  takeFile(): number {
    const fd = this.#fd;
    this.#fd = -1;
    return fd;
  }

  #dropPart(): void {
    if (this.#partFd < 0) return;
    closeSync(this.#partFd);
    this.#partFd = -1;
    try {
      unlinkSync(this.#partPath);
    } catch (error) {
      this.#r.log('crit', `unlink() "${this.#partPath}" failed ${errnoText(error)}`);
    }
  }
}

function emptyHeader(): CacheHeader {
  return {
    validS: 0,
    updatingS: 0,
    errorS: 0,
    lastModified: -1,
    date: 0,
    bodyStart: 0,
    etag: '',
    vary: '',
    variant: '',
  };
}

function nowS(): number {
  return Math.floor(Date.now() / 1000);
}
