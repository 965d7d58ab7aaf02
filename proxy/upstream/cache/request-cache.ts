// Caching as one request meets it: may it be answered from the cache, does its response go there, and what is served
// when the upstream fails. It stands between UpstreamRequest and the entry. Mirrors the cache branches of
// ngx_http_upstream.c.
import { ERROR, OK } from '../../http/codes.ts';
import { OpenFile } from '../../http/open-file-cache.ts';
import { sendFile } from '../../http/send-file.ts';
import { startSubrequest } from '../../http/subrequest.ts';
import type { FailureKind } from '../next-upstream.ts';
import type { UpstreamRequest } from '../request.ts';
import { copyHead, parseUpstreamHead, type UpstreamHead } from '../response-head.ts';
import { CacheEntry } from './cache-entry.ts';
import { CacheKey } from './cache-header.ts';
import { FileCache } from './file-cache.ts';
import { readFreshness } from './freshness.ts';
import { anyHolds, type CacheSettings, validSecondsOf } from './settings.ts';

export type CacheStatus = 'MISS' | 'BYPASS' | 'EXPIRED' | 'STALE' | 'UPDATING' | 'REVALIDATED' | 'HIT';

/** What becomes of the request: ask the upstream, it was answered, wait, or end with a status. */
export type CacheVerdict = 'upstream' | 'answered' | 'wait' | number;

export class RequestCache {
  readonly #u: UpstreamRequest;
  readonly #settings: CacheSettings;
  readonly entry: CacheEntry;
  status: CacheStatus = 'MISS';
  /** The response goes into the cache. */
  isCacheable = true;
  #isStoring = false;
  #isWaiting = false;

  constructor(u: UpstreamRequest, settings: CacheSettings, entry: CacheEntry) {
    this.#u = u;
    this.#settings = settings;
    this.entry = entry;
  }

  /** The cache of a request; undefined when it has none, a status when it cannot be told. */
  static of(u: UpstreamRequest, settings: CacheSettings): RequestCache | number | undefined {
    const { r } = u;
    if (!settings.methods.has(r.method)) return undefined;
    let cache: FileCache;
    if (settings.cache instanceof FileCache) cache = settings.cache;
    else {
      const name = settings.cache.evaluate(r);
      if (name === '' || name === 'off') return undefined;
      const named = settings.caches.get(name);
      if (!named) {
        r.log('error', `cache "${name}" not found`);
        return 500;
      }
      cache = named;
    }
    const key = new CacheKey(settings.key ? settings.key.evaluate(r) : u.maker.cacheKey);
    const { bufferSizeBytes } = u.settings;
    if (key.headerStart + 256 > bufferSizeBytes) {
      const needed = Math.ceil((key.headerStart + 256) / 1024) * 1024;
      r.log(
        'error',
        `proxy_buffer_size ${bufferSizeBytes} is not enough for cache key, it should be increased to at least ${needed}`,
      );
      return undefined;
    }
    return new RequestCache(u, settings, new CacheEntry(r, cache, settings, key, bufferSizeBytes));
  }

  /** A HEAD is sent as GET, so that the whole response can be kept. */
  get convertsHead(): boolean {
    return this.#settings.convertsHead;
  }

  /** Room that the file's own head takes of the buffer. */
  get headRoomBytes(): number {
    return this.entry.key.headerStart;
  }

  /** Looks for the response and answers with it if that may be. */
  open(): CacheVerdict {
    const { r } = this.#u;
    const settings = this.#settings;
    const { entry } = this;
    if (!this.#isWaiting && anyHolds(settings.bypass, r)) {
      this.status = 'BYPASS';
      return 'upstream';
    }
    const found = entry.look();
    if (typeof found === 'number') {
      this.status = 'HIT';
      return found;
    }
    const mayUseStale = (settings.useStale.has('updating') || entry.isStaleWhileUpdating) && !r.isBackground;
    switch (found) {
      case 'fresh':
        return this.#answer('HIT');
      case 'wait':
        this.#isWaiting = true;
        return 'wait';
      case 'updating':
        if (mayUseStale) return this.#answer('UPDATING');
        if (r.isBackground) entry.takeOver();
        this.#expire();
        break;
      case 'stale':
        if (mayUseStale && settings.updatesInBackground) {
          if (!this.#updateInBackground()) return 500;
          return this.#answer('STALE');
        }
        this.#expire();
        break;
      case 'scarce':
        this.isCacheable = false;
        break;
      case 'nothing':
        break;
    }
    if (!this.#takesRange()) this.isCacheable = false;
    return 'upstream';
  }

  /** Fetches the response anew by a copy of this request, while this one is answered with the old response. */
  #updateInBackground(): boolean {
    const { r } = this.#u;
    if (!startSubrequest(r, r.uri, r.args, { isHeaderOnly: true, isBackground: true, isClone: true })) return false;
    this.entry.handOver();
    return true;
  }

  #expire(): void {
    this.entry.forgetTimes();
    this.status = 'EXPIRED';
  }

  /** proxy_cache_max_range_offset. */
  #takesRange(): boolean {
    const { maxRangeOffset } = this.#settings;
    const range = this.#u.r.headers.get('range');
    if (range === undefined || !this.isCacheable || maxRangeOffset === Number.MAX_SAFE_INTEGER) return true;
    if (maxRangeOffset === 0) return false;
    const start = /^bytes= *(-|\d*)/i.exec(range);
    if (!start) return true;
    return start[1] !== '-' && Number(start[1]) < maxRangeOffset;
  }

  // ---- answering from the cache

  #answer(status: CacheStatus): CacheVerdict {
    this.status = status;
    const code = this.#send();
    return code === undefined ? 'upstream' : code;
  }

  /** Sends what the file holds; undefined when it is no response. */
  #send(): 'answered' | number | undefined {
    const u = this.#u;
    const { r } = u;
    const { entry } = this;
    const { headerStart } = entry.key;
    let head: UpstreamHead | undefined;
    if (entry.bodyStart === headerStart) r.version = 9;
    else {
      const parsed = parseUpstreamHead(entry.headText);
      if (!parsed || 'invalid' in parsed || parsed.statusText === '') {
        r.log('crit', `cache file "${entry.path}" contains invalid header`);
        return undefined;
      }
      head = parsed;
      u.fields = head.fields;
      if (u.redirectInside(head)) return 'answered';
      copyHead(r, head, { settings: u.settings, isCacheable: this.isCacheable, isCached: true });
    }
    r.isSeekable = true;
    u.isHeaderSent = true;
    if (!r.sendHeader()) {
      u.leave();
      return 'answered';
    }
    const file = new OpenFile(entry.path);
    file.fd = entry.takeFile();
    file.sizeBytes = entry.lengthBytes - entry.bodyStart;
    file.skipBytes = entry.bodyStart;
    u.leave();
    const code = sendFile(r, file);
    if (code === OK || code === ERROR) r.finalize(code);
    return 'answered';
  }

  /** Serves the expired response instead of a failure; false when that may not be. */
  answersStale(kind: FailureKind, isAnswer: boolean): boolean {
    const { useStale } = this.#settings;
    if (this.status !== 'EXPIRED') return false;
    const isNamed = !useStale.has('off') && (kind === 'no_live' ? useStale.has('error') : useStale.has(kind));
    if (!isNamed && (isAnswer || !this.entry.isStaleOnError)) return false;
    this.status = 'STALE';
    return this.#sendInstead();
  }

  #sendInstead(): boolean {
    const code = this.#send();
    if (code === undefined) this.#u.finalize(500);
    return true;
  }

  /** A 304 to our own question: the expired response is good again. */
  revalidates(head: UpstreamHead): boolean {
    if (head.status !== 304 || this.status !== 'EXPIRED' || !this.#settings.revalidates) return false;
    const { entry } = this;
    const fresh = entry.header;
    this.status = 'REVALIDATED';
    // The kept head says how long that is, unless the 304 did; and of what variant it is.
    const kept = parseUpstreamHead(entry.headText);
    if (kept && 'fields' in kept) {
      const before = { ...fresh, validS: 0, updatingS: 0, errorS: 0 };
      readFreshness(kept.fields, this.#u.settings.ignored, before);
      fresh.vary = before.vary;
      if (fresh.validS === 0) {
        const { validS, updatingS, errorS } = before;
        Object.assign(fresh, { validS, updatingS, errorS });
      }
      if (fresh.validS === 0) {
        const seconds = validSecondsOf(this.#settings, kept.status);
        if (seconds) fresh.validS = nowS() + seconds;
      }
    }
    if (fresh.validS !== 0) {
      fresh.date = nowS();
      entry.refresh();
    }
    return this.#sendInstead();
  }

  // ---- keeping a response

  /** What its headers say. */
  readHead(head: UpstreamHead): void {
    if (!readFreshness(head.fields, this.#u.settings.ignored, this.entry.header)) this.isCacheable = false;
  }

  /** An error that is answered with our own page may be remembered. */
  intercepted(status: number): void {
    const { header } = this.entry;
    if (this.isCacheable) {
      if (header.validS === 0) {
        const seconds = validSecondsOf(this.#settings, status);
        if (seconds) header.validS = nowS() + seconds;
      }
      if (header.validS) this.entry.error = status;
    }
    this.entry.letGo();
  }

  /** Decides whether this response is kept, and starts its file. */
  begin(head: UpstreamHead, text: string, lastModified: number): void {
    const { r, settings } = this.#u;
    const { entry } = this;
    if (anyHolds(this.#settings.noCache, r)) this.isCacheable = false;
    else if (this.status === 'BYPASS') entry.claim();
    if (this.isCacheable) {
      const { header } = entry;
      if (header.validS === 0) {
        const seconds = validSecondsOf(this.#settings, head.status);
        if (seconds) header.validS = nowS() + seconds;
      }
      if (header.validS === 0) this.isCacheable = false;
      else {
        const isWhole = head.status === 200 || head.status === 206;
        header.date = nowS();
        header.lastModified = isWhole ? lastModified : -1;
        header.etag = isWhole ? (head.fields.get('etag') ?? '') : '';
        this.isCacheable = entry.begin(text, settings.tempPath);
      }
    }
    this.#isStoring = this.isCacheable;
    if (!this.isCacheable) entry.letGo();
  }

  /** The response is not kept after all. */
  abandon(): void {
    this.isCacheable = false;
    this.#isStoring = false;
    this.entry.letGo();
  }

  get isStoring(): boolean {
    return this.#isStoring;
  }

  /** The whole body is there. */
  complete(): void {
    if (!this.#isStoring) return;
    this.#isStoring = false;
    this.entry.commit();
  }

  /** The request is over, with `code`. */
  close(code: number): void {
    const { entry } = this;
    if (this.isCacheable && (code === 502 || code === 504)) {
      const seconds = validSecondsOf(this.#settings, code);
      if (seconds) {
        entry.header.validS = nowS() + seconds;
        entry.error = code;
      }
    }
    entry.letGo();
    entry.closeFile();
  }

  /** `$upstream_cache_last_modified` and `$upstream_cache_etag`: conditions of a revalidation. */
  get condition(): { lastModified: number; etag: string } | undefined {
    if (!this.#settings.revalidates || this.status !== 'EXPIRED') return undefined;
    const { lastModified, etag } = this.entry.header;
    return { lastModified, etag };
  }
}

function nowS(): number {
  return Math.floor(Date.now() / 1000);
}
