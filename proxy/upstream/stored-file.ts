// `proxy_store`: a response of 200 is kept as a file, the way a mirror grows. It is written beside its way to the client
// into a temporary file, which takes its place when the whole response came. Mirrors ngx_http_upstream_store.
import { chmodSync, closeSync, futimesSync, mkdirSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoText } from '../config/error.ts';
import type { Template } from '../config/template.ts';
import type { Exchange } from '../http/exchange.ts';
import { fsPath } from '../http/fs-path.ts';
import { pathOf } from '../http/paths.ts';
import { moveFile } from './move-file.ts';
import type { TempPath } from './settings.ts';
import { tempFileName } from './temp-file.ts';

export interface StoreSettings {
  /** Where to; undefined: where `root` or `alias` say. */
  readonly path: Template | undefined;
  /** Permissions of the file. */
  readonly access: number;
}

export class StoredFile {
  readonly #r: Exchange;
  readonly #settings: StoreSettings;
  #temporary = '';
  #fd = -1;
  #bytes = 0;

  constructor(r: Exchange, settings: StoreSettings, temp: TempPath) {
    this.#r = r;
    this.#settings = settings;
    try {
      this.#temporary = tempFileName(temp);
      this.#fd = openSync(this.#temporary, 'wx+', 0o600);
    } catch (error) {
      r.log('crit', `open() "${this.#temporary}" failed ${errnoText(error)}`);
    }
  }

  /** Adds a piece of the body. */
  write(bytes: Buffer, from: number, to: number): void {
    if (this.#fd < 0) return;
    try {
      for (let at = from; at < to; ) at += writeSync(this.#fd, bytes, at, to - at);
      this.#bytes += to - from;
    } catch (error) {
      this.#r.log('crit', `write() "${this.#temporary}" failed ${errnoText(error)}`);
      this.drop();
    }
  }

  /** The response is complete: `length` as it said (-1 when it did not), `lastModified` in Unix seconds or -1. */
  commit(length: number, lastModified: number): void {
    if (this.#fd < 0) return;
    if (length >= 0 && length !== this.#bytes) {
      this.drop();
      return;
    }
    const { path, access } = this.#settings;
    const target = path ? path.evaluate(this.#r) : pathOf(this.#r);
    if (target === undefined) {
      this.drop();
      return;
    }
    try {
      chmodSync(this.#temporary, access);
      if (lastModified >= 0) futimesSync(this.#fd, lastModified, lastModified);
      // Whoever may read the file may enter its directories.
      mkdirSync(fsPath(dirname(target)), { recursive: true, mode: access | ((access & 0o444) >> 2) });
      moveFile(this.#temporary, fsPath(target));
      closeSync(this.#fd);
      this.#fd = -1;
    } catch (error) {
      this.#r.log('crit', `rename() "${this.#temporary}" to "${target}" failed ${errnoText(error)}`);
      this.drop();
    }
  }

  /** Nothing is kept. */
  drop(): void {
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
    try {
      unlinkSync(this.#temporary);
    } catch {
      // Gone already.
    }
  }
}
