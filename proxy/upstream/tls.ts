// TLS towards upstream servers: contexts made once for a location (or for each certificate that a variable names),
// which name is asked for and checked, and what OpenSSL's verdicts are called in the log. Mirrors the ssl parts of
// ngx_http_upstream.c and ngx_event_openssl.c.
import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import {
  type ConnectionOptions,
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
  type TLSSocket,
} from 'node:tls';
import type { Template } from '../config/template.ts';
import type { Exchange } from '../http/exchange.ts';
import type { Peer } from './peer.ts';

/** TLS settings of a location. */
export interface UpstreamTls {
  /** Everything but the certificate. */
  readonly base: SecureContextOptions;
  readonly certificate: Template | undefined;
  readonly certificateKey: Template | undefined;
  /** Reads certificate and key into options; throws when they cannot be loaded. */
  readonly load: (certificate: string, key: string) => SecureContextOptions;
  readonly sendsServerName: boolean;
  readonly name: Template | undefined;
  readonly verifies: boolean;
  /** Certificates between the server's and the trusted one. */
  readonly verifyDepth: number;
  readonly reusesSessions: boolean;
  readonly contexts: Map<string, SecureContext>;
}

/** The secure context for this request; throws with OpenSSL's error when a certificate cannot be loaded. */
export function secureContextFor(tls: UpstreamTls, r: Exchange | undefined): SecureContext {
  const certificate = tls.certificate ? (tls.certificate.constant ?? (r ? tls.certificate.evaluate(r) : '')) : '';
  const key = certificate && tls.certificateKey ? (tls.certificateKey.constant ?? tls.certificateKey.evaluate(r!)) : '';
  const cacheKey = `${certificate}\0${key}`;
  let context = tls.contexts.get(cacheKey);
  if (!context) {
    context = createSecureContext(certificate === '' ? tls.base : { ...tls.base, ...tls.load(certificate, key) });
    tls.contexts.set(cacheKey, context);
  }
  return context;
}

/** The name to ask for and to check: proxy_ssl_name or the URL's host, without port. */
export function tlsNameOf(tls: UpstreamTls, r: Exchange, host: string): string {
  const name = tls.name ? tls.name.evaluate(r) : host;
  if (name.startsWith('[')) {
    const close = name.indexOf(']');
    return close < 0 ? name : name.slice(0, close + 1);
  }
  const colon = name.indexOf(':');
  return colon < 0 ? name : name.slice(0, colon);
}

/** Options of node:tls for one connection. */
export function tlsOptions(tls: UpstreamTls, r: Exchange, name: string, peer: Peer): ConnectionOptions {
  const asksByName = tls.sendsServerName && name !== '' && !name.startsWith('[') && isIP(name) === 0;
  return {
    secureContext: secureContextFor(tls, r),
    servername: asksByName ? name : '',
    rejectUnauthorized: false,
    session: tls.reusesSessions ? peer.tlsSession : undefined,
  };
}

/** OpenSSL's numbers and texts of what Node reports as codes. */
const VERIFY_ERRORS: Readonly<Record<string, readonly [number, string]>> = {
  UNABLE_TO_GET_ISSUER_CERT: [2, 'unable to get issuer certificate'],
  UNABLE_TO_GET_CRL: [3, 'unable to get certificate CRL'],
  CERT_SIGNATURE_FAILURE: [7, 'certificate signature failure'],
  CERT_NOT_YET_VALID: [9, 'certificate is not yet valid'],
  CERT_HAS_EXPIRED: [10, 'certificate has expired'],
  CRL_NOT_YET_VALID: [11, 'CRL is not yet valid'],
  CRL_HAS_EXPIRED: [12, 'CRL has expired'],
  DEPTH_ZERO_SELF_SIGNED_CERT: [18, 'self-signed certificate'],
  SELF_SIGNED_CERT_IN_CHAIN: [19, 'self-signed certificate in certificate chain'],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: [20, 'unable to get local issuer certificate'],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: [21, 'unable to verify the first certificate'],
  CERT_CHAIN_TOO_LONG: [22, 'certificate chain too long'],
  CERT_REVOKED: [23, 'certificate revoked'],
  INVALID_CA: [24, 'invalid CA certificate'],
  PATH_LENGTH_EXCEEDED: [25, 'path length constraint exceeded'],
  INVALID_PURPOSE: [26, 'unsuitable certificate purpose'],
  CERT_UNTRUSTED: [27, 'certificate not trusted'],
  CERT_REJECTED: [28, 'certificate rejected'],
  HOSTNAME_MISMATCH: [62, 'hostname mismatch'],
};

/** Keeps the certificate of a full handshake: the runtime does not show that of a resumed session, which is the same. */
export function noteCertificate(socket: TLSSocket, peer: Peer): void {
  if (!socket.isSessionReused()) peer.tlsCertificate = socket.getPeerX509Certificate();
}

/** What is wrong with the server's certificate, in nginx's words; undefined when it is good for `name`. */
export function certificateFault(socket: TLSSocket, peer: Peer, name: string, depth: number): string | undefined {
  // Node reports the chain's verdict here; the name is checked below, by the name that nginx checks.
  const error = socket.authorizationError as unknown as (Error & { code?: string }) | string | null | undefined;
  if (error) {
    const code = typeof error === 'string' ? error : (error.code ?? error.message);
    if (code !== 'ERR_TLS_CERT_ALTNAME_INVALID') {
      return verifyError(code);
    }
  }
  const certificate = peer.tlsCertificate;
  if (certificate && chainLength(certificate) - 2 > depth) return verifyError('CERT_CHAIN_TOO_LONG');
  if (certificate?.checkHost(name) === undefined) return `upstream SSL certificate does not match "${name}"`;
  return undefined;
}

function verifyError(code: string): string {
  const [number, text] = VERIFY_ERRORS[code] ?? [1, code];
  return `upstream SSL certificate verify error: (${number}:${text})`;
}

/** Certificates from the server's to the last one that is known. */
function chainLength(leaf: X509Certificate): number {
  let length = 1;
  for (let at = leaf; at.issuerCertificate && at.issuerCertificate !== at; at = at.issuerCertificate) length++;
  return length;
}
