// Reads a TLS ClientHello before the handshake begins: who is asked for (SNI), what the client can do, which session it
// wants to go on with. The server, its certificate and its rules are chosen from it, as nginx chooses them in
// OpenSSL's servername callback. RFC 8446 section 4.1.2 and 4.2, RFC 6066 section 3.

export interface ClientHello {
  /** Name in SNI as sent; undefined when there is none. */
  readonly serverName: string | undefined;
  /** Cipher suites, numbers in the client's order. */
  readonly ciphers: readonly number[];
  /** Groups (curves), numbers in the client's order. */
  readonly groups: readonly number[];
  /** Signature schemes, numbers in the client's order. */
  readonly signatures: readonly number[];
  /** Groups that the client sent a key share for. */
  readonly keyShares: readonly number[];
  /** The session id, and the first identity of a pre-shared key (a TLS 1.3 session). */
  readonly sessionId: Buffer;
  readonly pskIdentity: Buffer | undefined;
  /** Whether TLS 1.3 is among the versions it offers. */
  readonly offersTls13: boolean;
}

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const TLS_1_3 = 0x0304;
const LARGEST_HELLO_BYTES = 131_396;

/** Whether these bytes begin a TLS (or SSLv2) record, as nginx tells them from plain HTTP. */
export function looksLikeTls(first: number): boolean {
  return first === HANDSHAKE || (first & 0x80) !== 0;
}

/** Parses the hello at the start of `buf`: 'more' while it is not whole, undefined when it is none. */
export function parseClientHello(buf: Buffer): ClientHello | 'more' | undefined {
  const message = handshakeBytes(buf);
  if (message === 'more' || message === undefined) return message;
  try {
    return parseBody(message);
  } catch {
    // A field runs out of its bounds. OpenSSL will say so to the client.
    return undefined;
  }
}

/** The handshake message that begins in the first record, put together from its records. */
function handshakeBytes(buf: Buffer): Buffer | 'more' | undefined {
  const pieces: Buffer[] = [];
  let have = 0;
  let want = 4;
  for (let at = 0; ; ) {
    if (buf.length < at + 5) return 'more';
    if (buf[at] !== HANDSHAKE || buf[at + 1] !== 3) return undefined;
    const length = buf.readUInt16BE(at + 3);
    if (length === 0 || length > 16_384 + 256) return undefined;
    if (buf.length < at + 5 + length) return 'more';
    pieces.push(buf.subarray(at + 5, at + 5 + length));
    have += length;
    at += 5 + length;
    if (have >= 4) {
      const all = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
      if (all[0] !== CLIENT_HELLO) return undefined;
      want = 4 + all.readUIntBE(1, 3);
      if (want > LARGEST_HELLO_BYTES) return undefined;
      if (have >= want) return all.subarray(4, want);
    }
  }
}

class Reader {
  readonly #buf: Buffer;
  #at = 0;

  constructor(buf: Buffer) {
    this.#buf = buf;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#buf.length;
  }

  number(bytes: 1 | 2): number {
    const value = this.#buf.readUIntBE(this.#at, bytes);
    this.#at += bytes;
    return value;
  }

  bytes(length: number): Buffer {
    if (this.#at + length > this.#buf.length) throw new RangeError('out of bounds');
    const slice = this.#buf.subarray(this.#at, this.#at + length);
    this.#at += length;
    return slice;
  }

  /** A vector with its length in front. */
  vector(lengthBytes: 1 | 2): Buffer {
    return this.bytes(this.number(lengthBytes));
  }
}

function numbers(buf: Buffer): number[] {
  const out: number[] = [];
  for (let i = 0; i + 1 < buf.length; i += 2) out.push(buf.readUInt16BE(i));
  return out;
}

function parseBody(body: Buffer): ClientHello {
  const hello = new Reader(body);
  hello.bytes(2 + 32);
  const sessionId = hello.vector(1);
  const ciphers = numbers(hello.vector(2));
  hello.vector(1);
  let serverName: string | undefined;
  let groups: number[] = [];
  let signatures: number[] = [];
  const keyShares: number[] = [];
  let pskIdentity: Buffer | undefined;
  let offersTls13 = false;
  if (!hello.isAtEnd) {
    const extensions = new Reader(hello.vector(2));
    while (!extensions.isAtEnd) {
      const kind = extensions.number(2);
      const data = new Reader(extensions.vector(2));
      if (kind === 0 && !data.isAtEnd) {
        const list = new Reader(data.vector(2));
        const type = list.number(1);
        const name = list.vector(2);
        if (type === 0 && name.length > 0 && !name.includes(0)) serverName = name.toString('latin1');
      } else if (kind === 10) groups = numbers(data.vector(2));
      else if (kind === 13) signatures = numbers(data.vector(2));
      else if (kind === 51) {
        const shares = new Reader(data.vector(2));
        while (!shares.isAtEnd) {
          keyShares.push(shares.number(2));
          shares.vector(2);
        }
      } else if (kind === 43) offersTls13 = numbers(data.vector(1)).includes(TLS_1_3);
      else if (kind === 41) pskIdentity = new Reader(data.vector(2)).vector(2);
    }
  }
  return { serverName, ciphers, groups, signatures, keyShares, sessionId, pskIdentity, offersTls13 };
}
