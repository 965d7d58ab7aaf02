// The character sets of a configuration and the tables between them (`charset_map`), and recoding by such a table. A
// table to UTF-8 gives each byte its UTF-8 bytes; one from UTF-8 gives a code point its byte, or `&#NNN;` where there is
// none. Mirrors ngx_http_charset_map and the recoding functions of ngx_http_charset_filter_module.
import { errorAt } from '../config/error.ts';
import type { Cf } from '../config/rows.ts';

/** Recodes a body piece by piece. */
export interface Recoder {
  recode(chunk: Buffer): Buffer;
}

/** One direction between two charsets. */
export interface CharsetTable {
  /** The number of bytes changes. */
  readonly changesLength: boolean;
  recoder(): Recoder;
}

/** All charsets that the configuration names, and the tables between them. Names are compared in lower case. */
export class Charsets {
  readonly #names = new Map<string, string>();
  readonly #tables = new Map<string, CharsetTable>();

  /** Declares a charset; it is spelled as it was first. */
  add(name: string): string {
    const lower = name.toLowerCase();
    const known = this.#names.get(lower);
    if (known !== undefined) return known;
    this.#names.set(lower, name);
    return name;
  }

  has(name: string): boolean {
    return this.#names.has(name.toLowerCase());
  }

  /** As it was spelled first. */
  spelled(name: string): string {
    return this.#names.get(name.toLowerCase()) ?? name;
  }

  table(from: string, to: string): CharsetTable | undefined {
    return this.#tables.get(`${from.toLowerCase()} ${to.toLowerCase()}`);
  }

  setTables(from: string, to: string, there: CharsetTable, back: CharsetTable): void {
    this.#tables.set(`${from.toLowerCase()} ${to.toLowerCase()}`, there);
    this.#tables.set(`${to.toLowerCase()} ${from.toLowerCase()}`, back);
  }
}

const QUESTION = 0x3f;

/** Reads a `charset_map FROM TO { … }` block. */
export function readCharsetMap(cf: Cf, charsets: Charsets): void {
  const [from, to] = cf.args as [string, string];
  charsets.add(from);
  charsets.add(to);
  if (from.toLowerCase() === to.toLowerCase()) {
    cf.fail(`"charset_map" between the same charsets "${from}" and "${to}"`);
  }
  if (charsets.table(from, to)) cf.fail(`duplicate "charset_map" between "${from}" and "${to}"`);
  if (to.toLowerCase() === 'utf-8') readUtf8Map(cf, charsets, from, to);
  else readByteMap(cf, charsets, from, to);
}

function* pairs(cf: Cf): Generator<{ source: number; target: string; fail: (value: string) => never }> {
  for (const entry of cf.directive.block!) {
    if (entry.fault) throw entry.fault;
    if (entry.args.length !== 1) throw errorAt(entry, 'invalid parameters number');
    const fail = (value: string): never => {
      throw errorAt(entry, `invalid value "${value}"`);
    };
    yield { source: hexByte(entry.name) ?? fail(entry.name), target: entry.args[0]!, fail };
  }
}

function hexByte(text: string): number | undefined {
  if (!/^[0-9A-Fa-f]+$/.test(text)) return undefined;
  const value = Number.parseInt(text, 16);
  return value > 255 ? undefined : value;
}

function readByteMap(cf: Cf, charsets: Charsets, from: string, to: string): void {
  const there = byteTable();
  const back = byteTable();
  for (const { source, target, fail } of pairs(cf)) {
    const byte = hexByte(target) ?? fail(target);
    there[source] = byte;
    back[byte] = source;
  }
  charsets.setTables(from, to, new ByteTable(there), new ByteTable(back));
}

function byteTable(): Uint8Array {
  const table = new Uint8Array(256).fill(QUESTION);
  for (let i = 0; i < 128; i++) table[i] = i;
  return table;
}

function readUtf8Map(cf: Cf, charsets: Charsets, from: string, to: string): void {
  const there: Buffer[] = [];
  const back = new Map<number, number>();
  for (let i = 0; i < 256; i++) there.push(Buffer.from([i < 128 ? i : QUESTION]));
  for (let i = 0; i < 128; i++) back.set(i, i);
  for (const { source, target, fail } of pairs(cf)) {
    if (target.length % 2 || target.length > 8 || !/^[0-9A-Fa-f]+$/.test(target)) fail(target);
    const bytes = Buffer.from(target, 'hex');
    there[source] = bytes;
    const decoded = decodeUtf8(bytes, 0);
    if (decoded.code > 0xffff || decoded.code < 0) fail(target);
    back.set(decoded.code, source);
  }
  charsets.setTables(from, to, new ToUtf8(there), new FromUtf8(back));
}

class ByteTable implements CharsetTable, Recoder {
  readonly changesLength = false;
  readonly #table: Uint8Array;

  constructor(table: Uint8Array) {
    this.#table = table;
  }

  recoder(): Recoder {
    return this;
  }

  recode(chunk: Buffer): Buffer {
    const out = Buffer.allocUnsafe(chunk.length);
    for (let i = 0; i < chunk.length; i++) out[i] = this.#table[chunk[i]!]!;
    return out;
  }
}

class ToUtf8 implements CharsetTable, Recoder {
  readonly changesLength = true;
  readonly #table: readonly Buffer[];

  constructor(table: readonly Buffer[]) {
    this.#table = table;
  }

  recoder(): Recoder {
    return this;
  }

  recode(chunk: Buffer): Buffer {
    let length = 0;
    for (const byte of chunk) length += this.#table[byte]!.length;
    const out = Buffer.allocUnsafe(length);
    let at = 0;
    for (const byte of chunk) {
      const bytes = this.#table[byte]!;
      out.set(bytes, at);
      at += bytes.length;
    }
    return out;
  }
}

class FromUtf8 implements CharsetTable {
  readonly changesLength = true;
  readonly #table: ReadonlyMap<number, number>;

  constructor(table: ReadonlyMap<number, number>) {
    this.#table = table;
  }

  recoder(): Recoder {
    return new FromUtf8Recoder(this.#table);
  }
}

/** Keeps an incomplete character for the next piece. */
class FromUtf8Recoder implements Recoder {
  readonly #table: ReadonlyMap<number, number>;
  #rest: Buffer | undefined;

  constructor(table: ReadonlyMap<number, number>) {
    this.#table = table;
  }

  recode(chunk: Buffer): Buffer {
    const source = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
    this.#rest = undefined;
    let out = '';
    let at = 0;
    while (at < source.length) {
      const { code, next } = decodeUtf8(source, at);
      if (code === INCOMPLETE) {
        this.#rest = Buffer.from(source.subarray(at));
        break;
      }
      at = next;
      const byte = code < 0 ? QUESTION : this.#table.get(code);
      if (byte !== undefined) out += String.fromCharCode(byte);
      else out += code > 0x10ffff ? '?' : `&#${code};`;
    }
    return Buffer.from(out, 'latin1');
  }
}

const INVALID = -1;
const INCOMPLETE = -2;

/** One character (ngx_utf8_decode): a broken one is INVALID, and costs as many bytes as nginx skips. */
function decodeUtf8(bytes: Buffer, at: number): { code: number; next: number } {
  const first = bytes[at]!;
  if (first < 0x80) return { code: first, next: at + 1 };
  let left: number;
  let code: number;
  let above: number;
  if (first < 0xc2) return { code: INVALID, next: at + 1 };
  if (first >= 0xf0) [code, above, left] = [first & 0x07, 0xffff, 3];
  else if (first >= 0xe0) [code, above, left] = [first & 0x0f, 0x7ff, 2];
  else [code, above, left] = [first & 0x1f, 0x7f, 1];
  if (bytes.length - at - 1 < left) return { code: INCOMPLETE, next: at };
  let next = at + 1;
  for (; left > 0; left--) {
    const byte = bytes[next++]!;
    if (byte < 0x80) return { code: INVALID, next };
    code = code * 64 + (byte & 0x3f);
  }
  return { code: code > above ? code : INVALID, next };
}
