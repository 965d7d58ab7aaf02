// ssl_stapling: the status of our own certificate, asked of its responder over HTTP and shown in handshakes. A handshake
// never waits: it takes what is there and, when that grows old, starts a new request. Mirrors ngx_event_openssl_stapling.c.
import type { X509Certificate } from 'node:crypto';
import { processLog } from '../log.ts';
import { type CertificateId, certificateId, checkOcspResponse, ocspRequest, type Signers } from './ocsp.ts';

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
