// Header compression of HTTP/2 (RFC 7541). Decoding is complete; encoding uses the static table only and no dynamic
// entries, as nginx's does, so the peer's table size never matters.
import { CODE, H2Error } from './h2-frames.ts';
import { decodeHuffman, encodeHuffman } from './h2-huffman.ts';

/** The static table, from index 1: name, or name and value. */
const STATIC: readonly (readonly [string, string])[] = `:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`
  .split('\n')
  .map((line) => {
    const space = line.indexOf(' ');
    return space < 0 ? ([line, ''] as const) : ([line.slice(0, space), line.slice(space + 1)] as const);
  });

/** What an entry costs beside its bytes (RFC 7541 4.1). */
const ENTRY_BYTES = 32;
const TABLE_BYTES = 4096;
/** nginx reads integers of up to this many octets. */
const INT_OCTETS = 4;

export interface HeaderLimits {
  /** Of one name or value, as sent. */
  readonly fieldBytes: number;
  /** Of all names and values. */
  readonly totalBytes: number;
}

/** Decodes the header blocks of one connection, in order. */
export class HpackDecoder {
  #entries: (readonly [string, string])[] = [];
  #used = 0;
  #allowed = TABLE_BYTES;
  #block: Buffer = Buffer.alloc(0);
  #at = 0;

  /** Decodes a whole block, handing each field to `emit`. Throws H2Error. */
  decode(block: Buffer, limits: HeaderLimits, emit: (name: string, value: string) => void): void {
    this.#block = block;
    this.#at = 0;
    let left = limits.totalBytes;
    while (this.#at < block.length) {
      const first = block[this.#at]!;
      let field: readonly [string, string];
      if (first >= 0x80) field = this.#indexed(this.#int(7));
      else if (first >= 0x20 && first < 0x40) {
        this.#resize(this.#int(5, 'header block with too long size update value'));
        continue;
      } else {
        const isKept = first >= 0x40;
        const index = this.#int(isKept ? 6 : 4);
        const name = index === 0 ? this.#string(limits.fieldBytes) : this.#indexed(index)[0];
        if (name === '') throw new H2Error(CODE.PROTOCOL_ERROR, 'client sent zero header name length');
        field = [name, this.#string(limits.fieldBytes)];
        if (isKept) this.#keep(field);
      }
      left -= field[0].length + field[1].length;
      if (left < 0) throw new H2Error(CODE.ENHANCE_YOUR_CALM, 'client sent too large header');
      emit(field[0], field[1]);
    }
  }

  /**
   * Looks at the beginning of a block, from the first field that was not whole before, and returns where the first one
   * begins that is not whole now. Throws H2Error for an integer that is too long: nginx does not wait for the rest.
   */
  checkPart(part: Buffer, from: number): number {
    this.#block = part;
    this.#at = from;
    let whole = from;
    while (this.#at < part.length) {
      const first = part[this.#at]!;
      try {
        if (first >= 0x80) this.#int(7);
        else if (first >= 0x20 && first < 0x40) this.#int(5, 'header block with too long size update value');
        else {
          if (this.#int(first >= 0x40 ? 6 : 4) === 0) this.#skipString();
          this.#skipString();
        }
      } catch (error) {
        if (error instanceof H2Error && error.code === CODE.FRAME_SIZE_ERROR) break;
        throw error;
      }
      if (this.#at <= part.length) whole = this.#at;
    }
    return whole;
  }

  #skipString(): void {
    if (this.#at >= this.#block.length) {
      throw new H2Error(CODE.FRAME_SIZE_ERROR, 'client sent header block with incorrect length');
    }
    const length = this.#int(7, 'header field with too long length value');
    this.#at += length;
  }

  #int(prefix: number, fault = 'header block with too long header index value'): number {
    const mask = 2 ** prefix - 1;
    let value = this.#block[this.#at++]! & mask;
    if (value < mask) return value;
    for (let octet = 0, shift = 1; ; octet++, shift *= 128) {
      if (octet === INT_OCTETS - 1) {
        throw new H2Error(CODE.COMPRESSION_ERROR, `client sent ${fault}`);
      }
      const byte = this.#block[this.#at++];
      if (byte === undefined) {
        throw new H2Error(CODE.FRAME_SIZE_ERROR, 'client sent header block with incorrect length');
      }
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  }

  #string(limit: number): string {
    const first = this.#block[this.#at];
    if (first === undefined) {
      throw new H2Error(CODE.FRAME_SIZE_ERROR, 'client sent header block with incorrect length');
    }
    const length = this.#int(7, 'header field with too long length value');
    if (length > limit) throw new H2Error(CODE.ENHANCE_YOUR_CALM, 'client sent too large header field');
    const end = this.#at + length;
    if (end > this.#block.length) {
      throw new H2Error(CODE.FRAME_SIZE_ERROR, 'client sent header field with incorrect length');
    }
    const bytes = this.#block.subarray(this.#at, end);
    this.#at = end;
    if (first < 0x80) return bytes.toString('latin1');
    const text = decodeHuffman(bytes);
    if (text === undefined) {
      throw new H2Error(CODE.COMPRESSION_ERROR, 'client sent invalid encoded header field');
    }
    return text;
  }

  #indexed(index: number): readonly [string, string] {
    const field = index <= STATIC.length ? STATIC[index - 1] : this.#entries[index - STATIC.length - 1];
    if (field) return field;
    throw new H2Error(
      CODE.COMPRESSION_ERROR,
      index === 0 ? 'client sent invalid hpack table index 0' : `client sent out of bound hpack table index: ${index}`,
    );
  }

  #keep(field: readonly [string, string]): void {
    const size = field[0].length + field[1].length + ENTRY_BYTES;
    this.#shrink(this.#allowed - size);
    // An entry larger than the whole table empties it and is not kept.
    if (size > this.#allowed) return;
    this.#entries.unshift(field);
    this.#used += size;
  }

  #resize(bytes: number): void {
    if (bytes > TABLE_BYTES) {
      throw new H2Error(CODE.COMPRESSION_ERROR, `client sent invalid table size update: ${bytes}`);
    }
    this.#allowed = bytes;
    this.#shrink(bytes);
  }

  #shrink(bytes: number): void {
    while (this.#used > bytes && this.#entries.length) {
      const [name, value] = this.#entries.pop()!;
      this.#used -= name.length + value.length + ENTRY_BYTES;
    }
  }
}

/** Index of a name in the static table; 0: none. */
const NAME_INDEX = new Map<string, number>();
STATIC.forEach(([name], i) => {
  if (!NAME_INDEX.has(name)) NAME_INDEX.set(name, i + 1);
});
const STATUS_INDEX = new Map(
  STATIC.flatMap(([name, value], i) => (name === ':status' ? [[value, i + 1] as const] : [])),
);

function integer(value: number, prefix: number, bits: number): string {
  const mask = 2 ** prefix - 1;
  if (value < mask) return String.fromCharCode(bits | value);
  let out = String.fromCharCode(bits | mask);
  let rest = value - mask;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out += String.fromCharCode((rest & 127) | 128);
  return out + String.fromCharCode(rest);
}

/** Short strings that were encoded before: names and values repeat from response to response. */
const ENCODED = new Map<string, string>();

function literal(text: string): string {
  const known = ENCODED.get(text);
  if (known !== undefined) return known;
  const short = encodeHuffman(text);
  const out = short === undefined ? integer(text.length, 7, 0) + text : integer(short.length, 7, 0x80) + short;
  if (text.length <= 64) {
    if (ENCODED.size >= 2048) ENCODED.clear();
    ENCODED.set(text, out);
  }
  return out;
}

/** One field, not to be indexed, as bytes in latin1; `name` in lower case. */
export function encodeField(name: string, value: string): string {
  const index = NAME_INDEX.get(name) ?? 0;
  return (index === 0 ? `\0${literal(name)}` : integer(index, 4, 0)) + literal(value);
}

/** The `:status` field. */
export function encodeStatus(status: number): string {
  const text = String(status).padStart(3, '0');
  const index = STATUS_INDEX.get(text);
  return index === undefined ? encodeField(':status', text) : integer(index, 7, 0x80);
}
