// The listings of `autoindex` as text, byte for byte as nginx writes them. Strings hold bytes (latin1).
import { httpDate } from '../clock.ts';
import { escapeComponent, escapeHtml } from '../http/uri.ts';

export interface Entry {
  readonly name: string;
  readonly isDir: boolean;
  readonly isFile: boolean;
  /** Unix seconds. */
  readonly mtime: number;
  readonly size: number;
}

export interface HtmlOptions {
  /** Names are cut at characters, not bytes. */
  readonly isUtf8: boolean;
  readonly isLocal: boolean;
  readonly isExact: boolean;
}

/** Columns that a name takes. */
const NAME_COLUMNS = 50;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

export function asHtml(uri: string, entries: readonly Entry[], options: HtmlOptions): string {
  const title = escapeHtml(uri);
  let out = `<html>\r\n<head><title>Index of ${title}</title></head>\r\n<body>\r\n<h1>Index of ${title}</h1>`;
  out += '<hr><pre><a href="../">../</a>\r\n';
  for (const entry of entries) out += htmlLine(entry, options);
  return `${out}</pre><hr></body>\r\n</html>\r\n`;
}

function htmlLine(entry: Entry, { isUtf8, isLocal, isExact }: HtmlOptions): string {
  const { name, isDir } = entry;
  const chars = isUtf8 ? characters(name) : undefined;
  let columns = chars?.length ?? name.length;
  let out = `<a href="${escapeComponent(name)}${isDir ? '/' : ''}">`;
  if (columns > NAME_COLUMNS) {
    const cut = chars ? chars.slice(0, NAME_COLUMNS - 3).join('') : name.slice(0, NAME_COLUMNS - 3);
    out += `${escapeHtml(cut)}..&gt;</a>`;
  } else {
    out += escapeHtml(name);
    if (isDir && columns < NAME_COLUMNS) {
      out += '/';
      columns++;
    }
    out += `</a>${' '.repeat(NAME_COLUMNS - columns)}`;
  }
  return `${out} ${dateText(entry.mtime, isLocal)} ${isExact ? exactSize(entry) : roundSize(entry)}\r\n`;
}

/** The UTF-8 characters of a byte string, each as its bytes; undefined when it is not UTF-8. */
function characters(name: string): string[] | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(name, 'latin1'));
    return Array.from(text, (c) => Buffer.from(c, 'utf8').toString('latin1'));
  } catch {
    return undefined;
  }
}

function two(n: number): string {
  return String(n).padStart(2, '0');
}

function dateText(mtime: number, isLocal: boolean): string {
  const offsetMs = isLocal ? -new Date().getTimezoneOffset() * 60_000 : 0;
  const d = new Date(mtime * 1000 + offsetMs);
  const day = `${two(d.getUTCDate())}-${MONTHS[d.getUTCMonth()]}-${d.getUTCFullYear()}`;
  return `${day} ${two(d.getUTCHours())}:${two(d.getUTCMinutes())}`;
}

function exactSize({ isDir, size }: Entry): string {
  return (isDir ? '-' : String(size)).padStart(19);
}

const SCALES = [
  [1024 ** 3, 1024 ** 3 - 1, 'G'],
  [1024 ** 2, 1024 ** 2 - 1, 'M'],
  [1024, 9999, 'K'],
] as const;

function roundSize({ isDir, size }: Entry): string {
  if (isDir) return '      -';
  for (const [unit, above, letter] of SCALES) {
    if (size <= above) continue;
    const rounded = Math.floor(size / unit) + (size % unit > unit / 2 - 1 ? 1 : 0);
    return `${String(rounded).padStart(6)}${letter}`;
  }
  return ` ${String(size).padStart(6)}`;
}

function typeOf({ isDir, isFile }: Entry): string {
  if (isDir) return 'directory';
  return isFile ? 'file' : 'other';
}

const SHORT: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\b': '\\b', '\f': '\\f' };

/** Escapes text for a JSON string; bytes above 0x7f stay. */
function escapeJson(text: string): string {
  return text.replace(/[\x00-\x1f"\\]/g, (c) => {
    if (c === '"' || c === '\\') return `\\${c}`;
    return SHORT[c] ?? `\\u${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
  });
}

/** `callback` makes it JSONP. */
export function asJson(entries: readonly Entry[], callback: string | undefined): string {
  const items = entries.map((entry) => {
    const size = entry.isFile ? `, "size":${entry.size}` : '';
    const mtime = `"mtime":"${httpDate(entry.mtime)}"`;
    return `\r\n{ "name":"${escapeJson(entry.name)}", "type":"${typeOf(entry)}", ${mtime}${size} }`;
  });
  const list = `[${items.join(',')}\r\n]`;
  return callback === undefined ? list : `/* callback */\r\n${callback}(${list});`;
}

export function asXml(entries: readonly Entry[]): string {
  let out = '<?xml version="1.0"?>\r\n<list>\r\n';
  for (const entry of entries) {
    const type = typeOf(entry);
    const time = new Date(entry.mtime * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
    const size = entry.isFile ? ` size="${entry.size}"` : '';
    out += `<${type} mtime="${time}"${size}>${escapeHtml(entry.name)}</${type}>\r\n`;
  }
  return `${out}</list>\r\n`;
}
