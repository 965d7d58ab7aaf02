// The head of a cache file, byte for byte as nginx writes it on 64-bit Linux (ngx_http_file_cache_header_t, version 5):
// times, checksums and variant, then `\nKEY: …\n`, the upstream's own response head, and the body. Files of a real
// nginx's cache can be read, and the other way round.
import { createHash } from 'node:crypto';
import type { Fields } from '../../http/head.ts';
import { crc32Of } from '../hash.ts';

const STRUCT_BYTES = 336;
const VERSION = 5;
const ETAG_BYTES = 128;
export const VARY_BYTES = 128;
const KEY_MARK = '\nKEY: ';

/** What a cache file says about its response. Times are Unix seconds. */
export interface CacheHeader {
  validS: number;
  /** How long it may be used while it is being updated, and when the upstream fails. */
  updatingS: number;
  errorS: number;
  lastModified: number;
  date: number;
  bodyStart: number;
  etag: string;
  vary: string;
  /** MD5 of the request headers that Vary names, hex; '' without Vary. */
  variant: string;
}

/** A key as it is looked up and checked: its MD5 names the file. */
export class CacheKey {
  readonly text: string;
  /** MD5, hex. */
  readonly digest: string;
  readonly crc: number;
  /** Where the upstream's response head starts in the file. */
  readonly headerStart: number;

  constructor(text: string) {
    this.text = text;
    const bytes = Buffer.from(text, 'latin1');
    this.digest = createHash('md5').update(bytes).digest('hex');
    this.crc = crc32Of(bytes);
    this.headerStart = STRUCT_BYTES + KEY_MARK.length + bytes.length + 1;
  }
}

/** The bytes before the upstream's head. */
export function encodeHeader(key: CacheKey, header: CacheHeader): Buffer {
  const out = Buffer.alloc(key.headerStart);
  out.writeBigInt64LE(BigInt(VERSION), 0);
  out.writeBigInt64LE(BigInt(header.validS), 8);
  out.writeBigInt64LE(BigInt(header.updatingS), 16);
  out.writeBigInt64LE(BigInt(header.errorS), 24);
  out.writeBigInt64LE(BigInt(header.lastModified), 32);
  out.writeBigInt64LE(BigInt(header.date), 40);
  out.writeUInt32LE(key.crc, 48);
  out.writeUInt16LE(key.headerStart, 54);
  out.writeUInt16LE(header.bodyStart, 56);
  if (header.etag.length <= ETAG_BYTES) {
    out.writeUInt8(header.etag.length, 58);
    out.write(header.etag, 59, 'latin1');
  }
  if (header.vary !== '') {
    const vary = header.vary.slice(0, VARY_BYTES);
    out.writeUInt8(vary.length, 187);
    out.write(vary, 188, 'latin1');
    out.write(header.variant, 316, 'hex');
  }
  out.write(`${KEY_MARK}${key.text}\n`, STRUCT_BYTES, 'latin1');
  return out;
}

/** Reads the head of a file; a string says what is wrong with it, in nginx's words, with its level. */
export function decodeHeader(bytes: Buffer, key: CacheKey): CacheHeader | { level: 'crit' | 'info'; fault: string } {
  if (bytes.length < key.headerStart) return { level: 'crit', fault: 'is too small' };
  if (bytes.readBigInt64LE(0) !== BigInt(VERSION)) return { level: 'info', fault: 'version mismatch' };
  const text = bytes.toString('latin1', STRUCT_BYTES + KEY_MARK.length, key.headerStart - 1);
  if (bytes.readUInt32LE(48) !== key.crc || bytes.readUInt16LE(54) !== key.headerStart || text !== key.text) {
    return { level: 'crit', fault: 'has md5 collision' };
  }
  const varyLength = bytes.readUInt8(187);
  if (varyLength > VARY_BYTES) return { level: 'crit', fault: 'has incorrect vary length' };
  return {
    validS: Number(bytes.readBigInt64LE(8)),
    updatingS: Number(bytes.readBigInt64LE(16)),
    errorS: Number(bytes.readBigInt64LE(24)),
    lastModified: Number(bytes.readBigInt64LE(32)),
    date: Number(bytes.readBigInt64LE(40)),
    bodyStart: bytes.readUInt16LE(56),
    etag: bytes.toString('latin1', 59, 59 + bytes.readUInt8(58)),
    vary: bytes.toString('latin1', 188, 188 + varyLength),
    variant: varyLength > 0 ? bytes.toString('hex', 316, 332) : '',
  };
}

const LISTS = new Set(['accept-charset', 'accept-encoding', 'accept-language']);

/** Which variant a request asks for: a digest of the headers that `vary` names. */
export function variantOf(main: string, vary: string, fields: Fields): string {
  const digest = createHash('md5').update(Buffer.from(main, 'hex'));
  for (const name of vary.split(/[ ,]+/)) {
    if (name === '') continue;
    const lower = name.toLowerCase();
    let values: string[] = [];
    for (let i = 0; i < fields.lower.length; i++) {
      if (fields.lower[i] === lower) values.push(fields.values[i]!);
    }
    // Lists that differ only in their spacing are the same.
    if (LISTS.has(lower)) values = values.flatMap((value) => value.split(/[ ,]+/).filter((word) => word !== ''));
    digest.update(Buffer.from(`${lower}:${values.join(',')}\r\n`, 'latin1'));
  }
  return digest.digest('hex');
}
