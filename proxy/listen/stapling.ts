// ssl_stapling: the status of our own certificate, asked of its responder over HTTP and shown in handshakes. A handshake
// never waits: it takes what is there and, when that grows old, starts a new request. Mirrors ngx_event_openssl_stapling.c.
import { X509Certificate } from 'node:crypto';
import { processLog } from '../log.ts';
import { certificateName, type SslValues } from '../modules/ssl.ts';
import { type CertificateId, certificateId, checkOcspResponse, ocspRequest, type Signers } from './ocsp.ts';
import { readPem } from './tls-errors.ts';
import type { ClientHello } from './tls-hello.ts';

/** The longest and the shortest time between two requests. */
const HOUR_MS = 3_600_000;
const PAUSE_MS = 300_000;
const TIMEOUT_MS = 60_000;
const LARGEST_BYTES = 1_048_576;

export class Stapler {
  readonly #id: CertificateId | undefined;
  readonly #signers: Signers | undefined;
  readonly #url: string = '';
  #staple: Buffer | undefined;
  #validUntilMs = 0;
  #refreshAtMs = 0;
  #isAsking = false;

  /** `others`: certificates among which the issuer is looked for; `isVerified`: its word is wanted for who may answer. */
  constructor(
    certificate: X509Certificate,
    others: readonly X509Certificate[],
    responder: string | undefined,
    isVerified: boolean,
  ) {
    const ignored = (why: string): void => processLog.log?.write('warn', `"ssl_stapling" ignored, ${why}`);
    const name = certificate.subject.replaceAll('\n', ', ');
    const issuer = others.find((other) => certificate.checkIssued(other) && certificate.verify(other.publicKey));
    const url = responder ?? /^OCSP - URI:(.*)$/m.exec(certificate.infoAccess ?? '')?.[1];
    if (!issuer) ignored(`issuer certificate not found for certificate "${name}"`);
    else if (url === undefined) ignored(`no OCSP responder URL in the certificate "${name}"`);
    else if (!/^http:\/\/./i.test(url)) {
      ignored(`invalid URL prefix in OCSP responder "${url}" in the certificate "${name}"`);
    } else {
      // Without ssl_stapling_verify the signature must be right, whosever it is.
      this.#signers = { issuer, isAnybody: !isVerified };
      this.#id = certificateId(certificate, issuer);
      this.#url = url;
    }
  }

  /** The answer to show now, if there is one. */
  current(): Buffer | undefined {
    const nowMs = Date.now();
    if (this.#id && !this.#isAsking && this.#refreshAtMs <= nowMs) this.#ask(this.#id);
    return this.#validUntilMs >= nowMs ? this.#staple : undefined;
  }

  #ask(id: CertificateId): void {
    this.#isAsking = true;
    const failed = (why: string): void => {
      if (!this.#isAsking) return;
      this.#isAsking = false;
      this.#refreshAtMs = Date.now() + PAUSE_MS;
      const about = `while requesting certificate status, responder: ${new URL(this.#url).hostname}`;
      processLog.log?.write('error', `${why} ${about}`);
    };
    const encoded = encodeURIComponent(ocspRequest(id).toString('base64'));
    // Asked for when it is wanted: importing it costs a start tens of ms, because that touches all of its exports.
    const { request } = process.getBuiltinModule('node:http');
    // As nginx takes it: a bare LF ends a line too. The connection serves this one answer, which a signature vouches for.
    const options = { agent: false, timeout: TIMEOUT_MS, insecureHTTPParser: true };
    const asking = request(`${this.#url.replace(/\/$/, '')}/${encoded}`, options);
    asking.on('socket', (socket) => socket.unref());
    asking.on('timeout', () => asking.destroy(new Error('OCSP responder timed out')));
    asking.on('error', (error) => failed(error.message));
    asking.on('response', (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('error', (error) => failed(error.message));
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes > LARGEST_BYTES) response.destroy(new Error('OCSP responder sent too large response'));
      });
      response.on('end', () => {
        if (response.statusCode !== 200) failed('OCSP responder sent invalid response');
        else this.#take(Buffer.concat(chunks), id, failed);
      });
    });
    asking.end();
  }

  #take(answer: Buffer, id: CertificateId, failed: (why: string) => void): void {
    const nowMs = Date.now();
    try {
      this.#validUntilMs = checkOcspResponse(answer, id, this.#signers!, nowMs);
    } catch (error) {
      failed((error as Error).message);
      return;
    }
    this.#staple = answer;
    this.#isAsking = false;
    this.#refreshAtMs = Math.max(Math.min(this.#validUntilMs - PAUSE_MS, nowMs + HOUR_MS), nowMs + PAUSE_MS);
  }
}

/**
 * The one of several certificates that OpenSSL will show, which node:tls does not tell: in TLS 1.3, that of the first signature scheme
 * of the client's that fits one. Undefined where more would have to be known (the cipher of TLS 1.2): no response is better than one
 * for another certificate.
 */
export function shownTo(
  hello: ClientHello | undefined,
  leaves: readonly X509Certificate[],
  has13: boolean,
): X509Certificate | undefined {
  const is13 = has13 && hello?.offersTls13;
  // TLS 1.3 has no signatures of PKCS #1 any more.
  const schemes = (hello?.signatures ?? []).filter((scheme) => !is13 || (scheme & 0xff) !== 1);
  const fitting = new Set(schemes.flatMap((scheme) => leaves.find((leaf) => signsWith(leaf, scheme)) ?? []));
  return is13 || fitting.size === 1 ? [...fitting][0] : undefined;
}

/** Whether a certificate's key makes signatures of a scheme (RFC 8446 section 4.2.3). */
function signsWith(certificate: X509Certificate, scheme: number): boolean {
  const { asymmetricKeyType: kind } = certificate.publicKey;
  if (kind === 'ec') return (scheme & 0xff) === 3 && scheme >> 8 < 7;
  return kind === 'rsa' && ((scheme >= 0x0804 && scheme <= 0x0806) || (scheme & 0xff) === 1);
}

/** The certificates of our own, and with them all among which their issuers are. What cannot be read is told elsewhere. */
export function certificatesOf({ ssl_certificate: own = [], ssl_trusted_certificate: trusted }: SslValues): {
  leaves: X509Certificate[];
  issuers: X509Certificate[];
} {
  const names = own.flatMap((f) => (f.path.constant === undefined ? [] : [certificateName(f, f.path.constant)]));
  try {
    const files = names.map(certificatesIn);
    const others = trusted === undefined ? [] : certificatesIn(trusted);
    return { leaves: files.flatMap(([first]) => first ?? []), issuers: [...files.flat(), ...others] };
  } catch {
    return { leaves: [], issuers: [] };
  }
}

function certificatesIn(name: string): X509Certificate[] {
  const pem = name.startsWith('data:') ? name.slice('data:'.length) : readPem(name, (why) => why).toString('latin1');
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}
