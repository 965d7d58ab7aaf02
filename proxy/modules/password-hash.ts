// Whether a password fits a hash of a .htpasswd file: apr1, {SHA}, {SSHA}, {PLAIN}, and what crypt(3) knows ($1$, $5$,
// $6$, bcrypt, traditional DES). Mirrors ngx_crypt. Passwords and hashes are byte strings.
import { createHash, timingSafeEqual } from 'node:crypto';
import { createRequire } from 'node:module';
import type * as Bcrypt from 'bcryptjs';
import { desCrypt } from './des-crypt.ts';

const TO64 = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Loaded by the first hash that needs it, as few files have any. */
let bcrypt: typeof Bcrypt | undefined;

function compareBcrypt(password: string, hash: string): boolean {
  bcrypt ??= createRequire(import.meta.url)('bcryptjs') as typeof Bcrypt;
  return bcrypt.compareSync(password, hash);
}

/** `unsupported`: a kind of hash that cannot be computed here (yescrypt, gost, …). */
export type Verdict = 'match' | 'mismatch' | 'unsupported';

/** Compares a password with a hash. */
export function checkPassword(password: string, hash: string): Verdict {
  const key = Buffer.from(password, 'latin1');
  if (/^\$2[aby]\$/.test(hash)) {
    return compareBcrypt(key.toString('utf8'), hash) ? 'match' : 'mismatch';
  }
  const made = hashLike(key, hash);
  if (made === undefined) return 'unsupported';
  const a = Buffer.from(made, 'latin1');
  const b = Buffer.from(hash, 'latin1');
  return a.length === b.length && timingSafeEqual(a, b) ? 'match' : 'mismatch';
}

function hashLike(key: Buffer, hash: string): string | undefined {
  if (hash.startsWith('$apr1$')) return md5Crypt(key, hash, '$apr1$');
  if (hash.startsWith('{PLAIN}')) return `{PLAIN}${key.toString('latin1')}`;
  if (hash.startsWith('{SSHA}')) {
    const salt = Buffer.from(hash.slice(6), 'base64').subarray(20);
    const digest = createHash('sha1').update(key).update(salt).digest();
    return `{SSHA}${Buffer.concat([digest, salt]).toString('base64')}`;
  }
  if (hash.startsWith('{SHA}')) return `{SHA}${createHash('sha1').update(key).digest('base64')}`;
  if (hash.startsWith('$1$')) return md5Crypt(key, hash, '$1$');
  if (hash.startsWith('$5$')) return shaCrypt(key, hash, 'sha256');
  if (hash.startsWith('$6$')) return shaCrypt(key, hash, 'sha512');
  if (hash.startsWith('$')) return undefined;
  return desCrypt(key.toString('latin1'), hash) ?? '';
}

/** Bytes of `digest` at the given places, as digits of base 64, the lowest first. */
function digits(digest: Buffer, groups: readonly (readonly number[])[]): string {
  let out = '';
  for (const group of groups) {
    let value = 0;
    for (const at of group) value = value * 256 + digest[at]!;
    for (let n = Math.ceil((group.length * 8) / 6); n > 0; n--) {
      out += TO64[value % 64];
      value = Math.floor(value / 64);
    }
  }
  return out;
}

const MD5_ORDER = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5], [11]];

/** Poul-Henning Kamp's MD5 crypt, under its own mark or Apache's. */
function md5Crypt(key: Buffer, hash: string, mark: string): string {
  const salt = Buffer.from(hash.slice(mark.length).split('$')[0]!.slice(0, 8), 'latin1');
  const md5 = (...parts: Uint8Array[]): Buffer => {
    const digest = createHash('md5');
    for (const part of parts) digest.update(part);
    return digest.digest();
  };
  const inner = md5(key, salt, key);
  const parts: Uint8Array[] = [key, Buffer.from(mark), salt, repeated(inner, key.length)];
  for (let i = key.length; i > 0; i >>= 1) parts.push(i & 1 ? Buffer.alloc(1) : key.subarray(0, 1));
  let digest = md5(...parts);
  for (let i = 0; i < 1000; i++) {
    const round: Uint8Array[] = [i & 1 ? key : digest];
    if (i % 3) round.push(salt);
    if (i % 7) round.push(key);
    round.push(i & 1 ? digest : key);
    digest = md5(...round);
  }
  return `${mark}${salt.toString('latin1')}$${digits(digest, MD5_ORDER)}`;
}

/** `length` bytes of `bytes` over and over. */
function repeated(bytes: Buffer, length: number): Buffer {
  return Buffer.alloc(length, bytes.length ? bytes : 0);
}

/** Groups of three bytes, each next one turned round, and what is left at the end. */
function shaOrder(count: number, step: number, turns: readonly number[], rest: readonly number[]): number[][] {
  const order: number[][] = [];
  for (let i = 0; i < count; i++) {
    const group = [i, i + step, i + 2 * step];
    const turn = turns[i % 3]!;
    order.push([...group.slice(turn), ...group.slice(0, turn)]);
  }
  return [...order, [...rest]];
}

const SHA256_ORDER = shaOrder(10, 10, [0, 2, 1], [31, 30]);
const SHA512_ORDER = shaOrder(21, 21, [0, 1, 2], [63]);

/** Ulrich Drepper's SHA crypt (`$5$`, `$6$`), with or without `rounds=`. */
function shaCrypt(key: Buffer, hash: string, algorithm: 'sha256' | 'sha512'): string {
  const match = /^(\$[56]\$)(?:rounds=(\d+)\$)?([^$]*)/.exec(hash)!;
  const rounds = match[2] === undefined ? 5000 : Math.min(999_999_999, Math.max(1000, Number(match[2])));
  const salt = Buffer.from(match[3]!.slice(0, 16), 'latin1');
  const sha = (...parts: Uint8Array[]): Buffer => {
    const digest = createHash(algorithm);
    for (const part of parts) digest.update(part);
    return digest.digest();
  };
  const inner = sha(key, salt, key);
  const parts: Uint8Array[] = [key, salt, repeated(inner, key.length)];
  for (let i = key.length; i > 0; i >>= 1) parts.push(i & 1 ? inner : key);
  let digest = sha(...parts);
  const p = repeated(sha(...Array<Buffer>(key.length).fill(key)), key.length);
  const s = repeated(sha(...Array<Buffer>(16 + digest[0]!).fill(salt)), salt.length);
  for (let i = 0; i < rounds; i++) {
    const round: Uint8Array[] = [i & 1 ? p : digest];
    if (i % 3) round.push(s);
    if (i % 7) round.push(p);
    round.push(i & 1 ? digest : p);
    digest = sha(...round);
  }
  const prefix = `${match[1]}${match[2] === undefined ? '' : `rounds=${rounds}$`}${salt.toString('latin1')}$`;
  return prefix + digits(digest, algorithm === 'sha256' ? SHA256_ORDER : SHA512_ORDER);
}
