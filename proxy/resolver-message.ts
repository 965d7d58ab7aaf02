// DNS messages (RFC 1035) as the resolver sends and reads them: a query with one question; an answer's header, its
// question, its A, AAAA, SRV and CNAME records. Answers come from the network: every read is checked against the end of
// the message, and what does not fit is a MalformedAnswer with nginx's words for error.log. Mirrors the reading half of
// ngx_resolver.c.

export const RECORD = { A: 1, CNAME: 5, AAAA: 28, SRV: 33, DNAME: 39 } as const;
export type QueryType = typeof RECORD.A | typeof RECORD.AAAA | typeof RECORD.SRV;

const HEADER_BYTES = 12;
/** Type and class of a question. */
const QUESTION_BYTES = 4;
/** Type, class, TTL and length of a record. */
const RECORD_BYTES = 10;
/** Pointers can make an endless loop; a name of 255 bytes needs no more steps than this. */
const NAME_STEPS = 128;
const INTERNET = 1;

/** An answer that is dropped; `message` is what error.log says of it. */
export class MalformedAnswer extends Error {}

/** First words of an answer. */
export interface AnswerHead {
  readonly id: number;
  /** 0, or the error that the server tells. */
  readonly code: number;
  readonly isTruncated: boolean;
  readonly questions: number;
  readonly answers: number;
}

/** What was asked, as the answer repeats it. */
export interface Question {
  /** Lower case, without a trailing dot. */
  readonly name: string;
  readonly type: QueryType;
  /** Offset of the first record. */
  readonly end: number;
}

export interface ServiceRecord {
  readonly priority: number;
  /** At least 1. */
  readonly weight: number;
  readonly port: number;
  readonly name: string;
}

/** The records of an answer. */
export interface Records {
  readonly addresses: readonly string[];
  readonly services: readonly ServiceRecord[];
  /** Offset of the name that a CNAME record points to; -1 without one. */
  readonly canonicalAt: number;
  /** Shortest TTL of all records, in seconds. */
  readonly ttlS: number;
}

/** The query for `name`; undefined when it cannot be written as a domain name. */
export function encodeQuery(id: number, name: string, type: QueryType): Buffer | undefined {
  const labels = name.split('.');
  if (labels.some((label) => label.length === 0 || label.length > 255)) return undefined;
  const query = Buffer.alloc(HEADER_BYTES + name.length + 2 + QUESTION_BYTES);
  query.writeUInt16BE(id, 0);
  query[2] = 1; // recursion desired
  query[5] = 1; // one question
  let at = HEADER_BYTES;
  for (const label of labels) {
    query[at] = label.length;
    query.write(label, at + 1, 'latin1');
    at += 1 + label.length;
  }
  query.writeUInt16BE(type, at + 1);
  query.writeUInt16BE(INTERNET, at + 3);
  return query;
}

/** Reads the header of an answer. */
export function readHead(bytes: Buffer, isTcp: boolean): AnswerHead {
  if (bytes.length < HEADER_BYTES) throw new MalformedAnswer('short DNS response');
  const id = bytes.readUInt16BE(0);
  const flags = bytes.readUInt16BE(2);
  const isTruncated = (flags & 0x0200) !== 0;
  // An answer to a standard query, with no reserved bits.
  if ((flags & 0xf870) !== 0x8000 || (isTruncated && isTcp)) {
    const hex = flags.toString(16).toUpperCase().padStart(4, '0');
    throw new MalformedAnswer(`invalid ${isTcp ? 'TCP' : 'UDP'} DNS response ${id} fl:${hex}`);
  }
  return {
    id,
    code: flags & 0xf,
    isTruncated,
    questions: bytes.readUInt16BE(4),
    answers: bytes.readUInt16BE(6),
  };
}

/** Reads the question that an answer repeats. */
export function readQuestion(bytes: Buffer, head: AnswerHead): Question {
  if (head.questions !== 1) throw new MalformedAnswer('invalid number of questions in DNS response');
  let at = HEADER_BYTES;
  for (;;) {
    const length = bytes[at];
    if (length === undefined) throw new MalformedAnswer('short DNS response');
    if (length & 0xc0) throw new MalformedAnswer('unexpected compression pointer in DNS response');
    at += 1 + length;
    if (length === 0) break;
  }
  if (at === HEADER_BYTES + 1) throw new MalformedAnswer('zero-length domain name in DNS response');
  const end = at + QUESTION_BYTES;
  if (end + head.answers * (2 + RECORD_BYTES) > bytes.length) throw new MalformedAnswer('short DNS response');
  const type = bytes.readUInt16BE(at);
  const kind = bytes.readUInt16BE(at + 2);
  if (kind !== INTERNET) throw new MalformedAnswer(`unknown query class ${kind} in DNS response`);
  if (type !== RECORD.A && type !== RECORD.AAAA && type !== RECORD.SRV) {
    throw new MalformedAnswer(`unknown query type ${type} in DNS response`);
  }
  return { name: readName(bytes, HEADER_BYTES), type, end };
}

/** Reads the records that answer `question`; `warn` is told of records that do not belong there. */
export function readRecords(
  bytes: Buffer,
  head: AnswerHead,
  question: Question,
  warn: (text: string) => void,
): Records {
  const addresses: string[] = [];
  const services: ServiceRecord[] = [];
  let canonicalAt = -1;
  let ttlS = 0xffffffff;
  let at = question.end;
  for (let i = 0; i < head.answers; i++) {
    at = skipName(bytes, at);
    if (at + RECORD_BYTES >= bytes.length) throw new MalformedAnswer('short DNS response');
    const type = bytes.readUInt16BE(at);
    const kind = bytes.readUInt16BE(at + 2);
    if (kind !== INTERNET) throw new MalformedAnswer(`unexpected RR class ${kind} in DNS response`);
    // A TTL with the highest bit set counts as 0 (RFC 2181, 8).
    ttlS = Math.min(ttlS, Math.max(0, bytes.readInt32BE(at + 4)));
    const length = bytes.readUInt16BE(at + 8);
    at += RECORD_BYTES;
    if (type === RECORD.A || type === RECORD.AAAA) {
      const letters = type === RECORD.A ? 'A' : 'AAAA';
      if (question.type !== RECORD.SRV) {
        if (question.type !== type) throw new MalformedAnswer(`unexpected ${letters} record in DNS response`);
        if (length !== (type === RECORD.A ? 4 : 16)) {
          throw new MalformedAnswer(`invalid ${letters} record in DNS response`);
        }
      } else warn(`unexpected RR type ${type} in DNS response`);
    } else if (type === RECORD.CNAME) canonicalAt = at;
    else if (type !== RECORD.DNAME && (type !== RECORD.SRV || question.type !== RECORD.SRV)) {
      warn(`unexpected RR type ${type} in DNS response`);
    }
    if (at + length > bytes.length) throw new MalformedAnswer('short DNS response');
    if (type === question.type) {
      if (type === RECORD.A) addresses.push(bytes.subarray(at, at + 4).join('.'));
      else if (type === RECORD.AAAA) addresses.push(ipv6Text(bytes, at));
      else services.push(readService(bytes, at));
    }
    at += length;
  }
  return { addresses, services, canonicalAt, ttlS };
}

function readService(bytes: Buffer, at: number): ServiceRecord {
  if (at + 6 >= bytes.length) throw new MalformedAnswer('short DNS response');
  return {
    priority: bytes.readUInt16BE(at),
    weight: bytes.readUInt16BE(at + 2) || 1,
    port: bytes.readUInt16BE(at + 4),
    name: readName(bytes, at + 6),
  };
}

/** Offset behind the name at `at`. */
function skipName(bytes: Buffer, at: number): number {
  const start = at;
  for (;;) {
    const length = bytes[at];
    if (length === undefined) throw new MalformedAnswer('short DNS response');
    if (length & 0xc0) return at + 2;
    at += 1 + length;
    if (length === 0) break;
  }
  if (at - start < 2) throw new MalformedAnswer('invalid name in DNS response');
  return at;
}

/** The domain name at `at`, pointers followed: lower case, no trailing dot; '' for the root. */
export function readName(bytes: Buffer, at: number): string {
  let name = '';
  for (let step = 0; step < NAME_STEPS; step++) {
    const length = bytes[at];
    if (length === undefined) throw new MalformedAnswer('name is out of DNS response');
    if (length === 0) return name.slice(0, -1).toLowerCase();
    if (length & 0xc0) {
      if ((length & 0xc0) !== 0xc0) throw new MalformedAnswer('invalid label type in DNS response');
      const low = bytes[at + 1];
      if (low === undefined) throw new MalformedAnswer('name is out of DNS response');
      at = ((length & 0x3f) << 8) + low;
    } else {
      name += `${bytes.toString('latin1', at + 1, at + 1 + length)}.`;
      at += 1 + length;
    }
  }
  throw new MalformedAnswer('compression pointers loop in DNS response');
}

/** The 16 bytes at `at` as text, the longest run of zeros as `::`. */
function ipv6Text(bytes: Buffer, at: number): string {
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(bytes.readUInt16BE(at + i));
  let best = -1;
  let bestLength = 1;
  for (let i = 0, length = 0; i < 8; i++) {
    length = groups[i] === 0 ? length + 1 : 0;
    if (length > bestLength) {
      best = i - length + 1;
      bestLength = length;
    }
  }
  const hex = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  if (best === 0 && bestLength === 5 && groups[5] === 0xffff) {
    return `::ffff:${bytes.subarray(at + 12, at + 16).join('.')}`;
  }
  return best < 0 ? hex(0, 8) : `${hex(0, best)}::${hex(best + bestLength, 8)}`;
}
