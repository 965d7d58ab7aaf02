// `autoindex`: the listing of a directory that has no index file, as HTML, JSON, JSONP or XML. After `index` in the
// content phase. Mirrors ngx_http_autoindex_module byte for byte (the lists themselves: autoindex-formats.ts).
import { lstatSync, readdirSync, statSync } from 'node:fs';
import { errnoText } from '../config/error.ts';
import { defineModule, flag, HSL, oneOf } from '../config/rows.ts';
import { DECLINED, DONE, OK } from '../http/codes.ts';
import type { Exchange } from '../http/exchange.ts';
import { fsPath } from '../http/fs-path.ts';
import { pathOf } from '../http/paths.ts';
import { asHtml, asJson, asXml, type Entry } from './autoindex-formats.ts';

export const autoindexModule = defineModule('autoindex', {
  location: {
    autoindex: flag(HSL, false),
    autoindex_format: oneOf(HSL, ['html', 'json', 'jsonp', 'xml'], 'html'),
    autoindex_localtime: flag(HSL, false),
    autoindex_exact_size: flag(HSL, true),
  },
});

const TYPES = {
  html: 'text/html',
  json: 'application/json',
  jsonp: 'application/javascript',
  xml: 'text/xml',
} as const;

/** Lists the directory of `r.uri`. */
export function autoindexHandler(r: Exchange): number {
  if (!r.uri.endsWith('/') || (r.method !== 'GET' && r.method !== 'HEAD')) return DECLINED;
  const conf = autoindexModule.location(r.location);
  if (!conf.autoindex) return DECLINED;
  const broken = r.discardBody();
  if (broken) return broken;
  const full = pathOf(r);
  if (full === undefined) return 500;
  const path = full.length > 1 && full.endsWith('/') ? full.slice(0, -1) : full;

  let format = conf.autoindex_format;
  let callback: string | undefined;
  if (format === 'jsonp') {
    callback = callbackOf(r);
    if (callback === undefined) return 400;
    if (callback === '') format = 'json';
  }
  let names: string[];
  try {
    names = readdirSync(fsPath(path), 'latin1');
  } catch (error) {
    return refuse(r, path, error);
  }
  const { out } = r;
  out.status = 200;
  out.contentType = TYPES[format];
  if (format === 'xml') out.charset = 'utf-8';
  if (!r.sendHeader()) return DONE;
  if (r.isHeaderOnly) return OK;

  const entries = read(r, path, names);
  if (format === 'html') {
    const isUtf8 = out.charset.toLowerCase() === 'utf-8';
    r.write(asHtml(r.uri, entries, { isUtf8, isLocal: conf.autoindex_localtime, isExact: conf.autoindex_exact_size }));
  } else if (format === 'xml') r.write(asXml(entries));
  else r.write(asJson(entries, format === 'jsonp' ? callback : undefined));
  r.end();
  return OK;
}

function refuse(r: Exchange, path: string, error: unknown): number {
  const { code } = error as { code?: string };
  let status = 500;
  if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') status = 404;
  else if (code === 'EACCES') status = 403;
  r.log(status === 500 ? 'crit' : 'error', `opendir() "${path}" failed ${errnoText(error)}`);
  return status;
}

/** The `callback` argument, '' when there is none; undefined when it is not a plain name. */
function callbackOf(r: Exchange): string | undefined {
  const callback = /(?:^|&)callback=([^&]*)/i.exec(r.args)?.[1] ?? '';
  const isTooLong = callback.length > 128;
  if (!isTooLong && /^[A-Za-z0-9_.]*$/.test(callback)) return callback;
  r.log('info', `client sent ${isTooLong ? 'too long' : 'invalid'} callback name: "${callback}"`);
  return undefined;
}

function read(r: Exchange, path: string, names: readonly string[]): Entry[] {
  const entries: Entry[] = [];
  for (const name of names) {
    if (name.startsWith('.')) continue;
    const file = `${path}/${name}`;
    try {
      // A link that leads nowhere is listed as itself.
      const stats = statSync(fsPath(file), { throwIfNoEntry: false }) ?? lstatSync(fsPath(file));
      entries.push({
        name,
        isDir: stats.isDirectory(),
        isFile: stats.isFile(),
        mtime: Math.floor(stats.mtimeMs / 1000),
        size: stats.size,
      });
    } catch (error) {
      r.log('crit', `stat() "${file}" failed ${errnoText(error)}`);
    }
  }
  return entries.sort((a, b) => Number(b.isDir) - Number(a.isDir) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}
