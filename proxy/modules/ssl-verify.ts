// What TLS demands of a request: that it came over TLS at all, and with the client certificate that ssl_verify_client
// asks for. Mirrors the TLS part of ngx_http_process_request.
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import { CERT_ERROR, NO_CERT, TO_HTTPS } from '../http/codes.ts';
import type { Exchange } from '../http/exchange.ts';
import { tlsChecks, verifiesClients } from '../http/request-checks.ts';
import { sslModule } from './ssl.ts';

/** OpenSSL's numbers of the verification errors that the runtime names. */
const NUMBERS: Readonly<Record<string, number>> = {
  UNABLE_TO_GET_ISSUER_CERT: 2,
  UNABLE_TO_GET_CRL: 3,
  CERT_SIGNATURE_FAILURE: 7,
  CRL_SIGNATURE_FAILURE: 8,
  CERT_NOT_YET_VALID: 9,
  CERT_HAS_EXPIRED: 10,
  CRL_NOT_YET_VALID: 11,
  CRL_HAS_EXPIRED: 12,
  DEPTH_ZERO_SELF_SIGNED_CERT: 18,
  SELF_SIGNED_CERT_IN_CHAIN: 19,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 20,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 21,
  CERT_CHAIN_TOO_LONG: 22,
  CERT_REVOKED: 23,
  INVALID_CA: 24,
  PATH_LENGTH_EXCEEDED: 25,
  INVALID_PURPOSE: 26,
  CERT_UNTRUSTED: 27,
  CERT_REJECTED: 28,
};

/** Errors that `optional_no_ca` forgives: the authority is not known here. */
const FORGIVEN = new Set([18, 19, 20, 21, 27]);

export interface Verdict {
  readonly hasCertificate: boolean;
  /** 0: good. */
  readonly number: number;
  readonly reason: string;
}

const verdicts = new WeakMap<TLSSocket, Verdict>();

/** The result of verifying the client's certificate; computed once a connection. */
export function verdictOf(tls: TLSSocket, depth: number): Verdict {
  let verdict = verdicts.get(tls);
  if (!verdict) verdicts.set(tls, (verdict = verify(tls, depth)));
  return verdict;
}

function verify(tls: TLSSocket, depth: number): Verdict {
  const certificate = tls.getPeerX509Certificate();
  if (!certificate) return { hasCertificate: false, number: 0, reason: '' };
  const { ssl } = tls as unknown as { ssl: { verifyError(): (Error & { code: string }) | null } };
  const error = ssl.verifyError();
  if (error) return { hasCertificate: true, number: NUMBERS[error.code] ?? 1, reason: error.message };
  // The runtime cannot bound the depth for OpenSSL: count what stands between the leaf and the trusted end, those that
  // the client did not send included.
  let between = -1;
  let at = tls.getPeerCertificate(true) as DetailedPeerCertificate | undefined;
  for (; at?.issuerCertificate && at.issuerCertificate !== at; at = at.issuerCertificate) between++;
  if (between > depth) return { hasCertificate: true, number: 22, reason: 'certificate chain too long' };
  return { hasCertificate: true, number: 0, reason: '' };
}

tlsChecks.of = (r: Exchange): number => {
  const { tls } = r.client;
  if (!tls) {
    r.log('info', 'client sent plain HTTP request to HTTPS port');
    return TO_HTTPS;
  }
  const conf = sslModule.server(r.server);
  const mode = conf.ssl_verify_client;
  if (mode === 'off') return 0;
  const verdict = verdictOf(tls, conf.ssl_verify_depth);
  if (verdict.number !== 0 && (mode !== 'optional_no_ca' || !FORGIVEN.has(verdict.number))) {
    r.log('info', `client SSL certificate verify error: (${verdict.number}:${verdict.reason})`);
    return CERT_ERROR;
  }
  if (mode === 'on' && !verdict.hasCertificate) {
    r.log('info', 'client sent no required SSL certificate');
    return NO_CERT;
  }
  return 0;
};

verifiesClients.of = (server) => sslModule.server(server).ssl_verify_client !== 'off';
