// OCSP, as far as stapling needs it (RFC 6960): the request for one certificate, and the reading of an answer and of its
// signature. The part of OpenSSL's ocsp.h that ngx_event_openssl_stapling.c uses.
import { createHash, verify, X509Certificate } from 'node:crypto';

/** One DER value: its tag, its bytes with and without the head. */
interface Der {
  readonly tag: number;
  readonly whole: Buffer;
  readonly body: Buffer;
}

const SEQUENCE = 0x30;
const DIGESTS: Readonly<Record<string, string>> = {
  '2a864886f70d010105': 'sha1',
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
};
const OCSP_SIGNING = '1.3.6.1.5.5.7.3.9';
const SHA1 = Buffer.from('300906052b0e03021a0500', 'hex');
const STATUSES = ['good', 'revoked', 'unknown'];

function readOne(bytes: Buffer): Der {
  const first = bytes[1]!;
  let head = 2;
  let length = first;
  if (first >= 0x80) {
    const size = first & 0x7f;
    if (size === 0 || size > 4 || bytes.length < 2 + size) throw new Error('malformed OCSP response');
    length = bytes.readUIntBE(2, size);
    head += size;
  }
  if (bytes.length < head + length) throw new Error('malformed OCSP response');
  return { tag: bytes[0]!, whole: bytes.subarray(0, head + length), body: bytes.subarray(head, head + length) };
}

function readAll(bytes: Buffer): Der[] {
  const all: Der[] = [];
  for (let rest = bytes; rest.length >= 2; rest = rest.subarray(all.at(-1)!.whole.length)) all.push(readOne(rest));
  return all;
}

function at(list: readonly Der[], index: number, tag?: number): Der {
  const found = list[index];
  if (!found || (tag !== undefined && found.tag !== tag)) throw new Error('malformed OCSP response');
  return found;
}

function write(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const { length } = body;
  const head =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from(head), body]);
}

const sha1 = (bytes: Buffer): Buffer => createHash('sha1').update(bytes).digest();

/** The fields of a certificate's signed part, from the serial number on. */
function fieldsOf(certificate: X509Certificate): Der[] {
  const fields = readAll(at(readAll(readOne(certificate.raw).body), 0, SEQUENCE).body);
  return fields[0]?.tag === 0xa0 ? fields.slice(1) : fields;
}

/** What names a certificate: its issuer's name and key, hashed, and its serial number. */
export interface CertificateId {
  readonly name: Buffer;
  readonly key: Buffer;
  readonly serial: Buffer;
}

export function certificateId(certificate: X509Certificate, issuer: X509Certificate): CertificateId {
  const own = fieldsOf(certificate);
  const key = at(readAll(at(fieldsOf(issuer), 5, SEQUENCE).body), 1, 3);
  return { name: sha1(at(own, 2, SEQUENCE).whole), key: sha1(key.body.subarray(1)), serial: at(own, 0, 2).body };
}

/** The request for the status of one certificate. */
export function ocspRequest({ name, key, serial }: CertificateId): Buffer {
  const id = write(SEQUENCE, SHA1, write(4, name), write(4, key), write(2, serial));
  return write(SEQUENCE, write(SEQUENCE, write(SEQUENCE, write(SEQUENCE, id))));
}

/** Who may have signed an answer: the issuer, and whoever is named in it, charged by the issuer or, with `isAnybody`, not. */
export interface Signers {
  readonly issuer: X509Certificate;
  readonly isAnybody: boolean;
}

/** Until when an answer holds, in ms since 1970 (Infinity: it does not say). Throws with the reason when it is no good. */
export function checkOcspResponse(der: Buffer, id: CertificateId, signers: Signers, nowMs: number): number {
  const outer = readAll(readOne(der).body);
  const code = at(outer, 0, 0x0a).body[0];
  if (code !== 0) throw new Error(`OCSP response not successful (${code})`);
  const basic = at(readAll(at(readAll(at(outer, 1, 0xa0).body), 0, SEQUENCE).body), 1, 4);
  const parts = readAll(readOne(basic.body).body);
  const data = at(parts, 0, SEQUENCE);
  checkSignature(parts, data, signers);
  const fields = readAll(data.body).filter(({ tag }) => tag !== 0xa0);
  for (const { body } of readAll(at(fields, 2, SEQUENCE).body)) {
    const single = readAll(body);
    const named = readAll(at(single, 0, SEQUENCE).body);
    const isOurs = [id.name, id.key, id.serial].every((value, i) => at(named, i + 1).body.equals(value));
    if (!isOurs) continue;
    const status = at(single, 1).tag & 0x1f;
    if (status !== 0) throw new Error(`certificate status "${STATUSES[status]}" in the OCSP response`);
    const next = single.find(({ tag }) => tag === 0xa0);
    const untilMs = next ? timeOf(readOne(next.body)) : Number.POSITIVE_INFINITY;
    // OpenSSL's check allows the clocks to differ by five minutes.
    if (timeOf(at(single, 2)) - 300_000 > nowMs) throw new Error('OCSP_check_validity() failed: status not yet valid');
    if (untilMs + 300_000 < nowMs) throw new Error('OCSP_check_validity() failed: status expired');
    return untilMs;
  }
  throw new Error('certificate status not found in the OCSP response');
}

function checkSignature(parts: readonly Der[], data: Der, { issuer, isAnybody }: Signers): void {
  const digest = DIGESTS[at(readAll(at(parts, 1, SEQUENCE).body), 0, 6).body.toString('hex')];
  const signature = at(parts, 2, 3).body.subarray(1);
  const extra = parts.find(({ tag }) => tag === 0xa0);
  const named = extra ? readAll(readOne(extra.body).body).map(({ whole }) => new X509Certificate(whole)) : [];
  const isCharged = (c: X509Certificate): boolean =>
    c.verify(issuer.publicKey) && (c.keyUsage?.includes(OCSP_SIGNING) ?? false);
  const known = [issuer, ...named.filter((c) => isAnybody || isCharged(c))];
  const isSigned = known.some((c) => digest && verify(digest, data.whole, c.publicKey, signature));
  if (!isSigned) throw new Error('OCSP_basic_verify() failed');
}

/** GeneralizedTime, `20261125070000Z`. */
function timeOf({ body }: Der): number {
  const [, ...words] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(body.toString('latin1')) ?? [];
  const [year, month, day, hours, minutes, seconds] = words.map(Number);
  return Date.UTC(year!, month! - 1, day, hours, minutes, seconds);
}
