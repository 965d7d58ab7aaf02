// `$ssl_…`: what the handshake agreed on, and the client's certificate. Without TLS none of them is found.
// Mirrors ngx_http_ssl_vars and the getters of ngx_event_openssl.c.
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { Template } from '../config/template.ts';
import type { Variable } from '../config/variables.ts';
import type { ClientConnection } from '../http/client.ts';
import { type Downstream, Exchange } from '../http/exchange.ts';
import { Fields } from '../http/head.ts';
import { useServer } from '../http/request-checks.ts';
import { escapeComponent } from '../http/uri.ts';
import { sslModule } from './ssl.ts';
import { cipherNames, groupName, groupNames, groupNumbers } from './ssl-names.ts';
import { verdictOf } from './ssl-verify.ts';

type Getter = (tls: TLSSocket, r: Exchange) => string | undefined;

/** Not there without TLS; an empty value counts as not found, as in ngx_http_ssl_variable. */
function onTls(get: Getter): Variable {
  return {
    isChangeable: true,
    get(r) {
      const { tls } = r.client;
      return (tls && get(tls, r)) || undefined;
    },
  };
}

function onCertificate(get: (certificate: X509Certificate) => string): Variable {
  return onTls((tls) => {
    const certificate = tls.getPeerX509Certificate();
    return certificate && get(certificate);
  });
}

export const SSL_VARIABLES: readonly (readonly [string, Variable])[] = [
  ['ssl_protocol', onTls((tls) => tls.getProtocol() ?? undefined)],
  ['ssl_cipher', onTls((tls) => tls.getCipher().name)],
  ['ssl_ciphers', onTls((_, r) => cipherNames(r.client.hello?.ciphers ?? []))],
  ['ssl_curve', onTls((tls, r) => curve(tls, r))],
  ['ssl_curves', onTls((_, r) => groupNames(r.client.hello?.groups ?? []))],
  ['ssl_session_id', onTls((tls) => sessionId(tls.getSession()))],
  ['ssl_session_reused', onTls((tls) => (tls.isSessionReused() ? 'r' : '.'))],
  ['ssl_early_data', onTls(() => undefined)],
  [
    'ssl_server_name',
    // Asked for while certificates are chosen as well, when there is no TLS yet.
    { isChangeable: true, get: (r) => r.client.hello?.serverName },
  ],
  ['ssl_alpn_protocol', onTls((tls) => tls.alpnProtocol || undefined)],
  ['ssl_client_cert', onCertificate((c) => pem(c).trimEnd().replaceAll('\n', '\n\t'))],
  ['ssl_client_raw_cert', onCertificate(pem)],
  ['ssl_client_escaped_cert', onCertificate((c) => escapeComponent(pem(c)))],
  ['ssl_client_s_dn', onCertificate((c) => rfc2253(c.subject))],
  ['ssl_client_i_dn', onCertificate((c) => rfc2253(c.issuer))],
  ['ssl_client_s_dn_legacy', onCertificate((c) => oneLine(c.subject))],
  ['ssl_client_i_dn_legacy', onCertificate((c) => oneLine(c.issuer))],
  ['ssl_client_serial', onCertificate((c) => c.serialNumber)],
  ['ssl_client_fingerprint', onCertificate((c) => c.fingerprint.replaceAll(':', '').toLowerCase())],
  [
    'ssl_client_verify',
    onTls((tls, r) => {
      const { hasCertificate, number, reason } = verdictOf(tls, sslModule.server(r.server).ssl_verify_depth);
      return !hasCertificate ? 'NONE' : number === 0 ? 'SUCCESS' : `FAILED:${reason}`;
    }),
  ],
  ['ssl_client_v_start', onCertificate((c) => c.validFrom)],
  ['ssl_client_v_end', onCertificate((c) => c.validTo)],
  [
    'ssl_client_v_remain',
    onCertificate((c) => String(Math.max(0, Math.floor((Date.parse(c.validTo) - Date.now()) / 86_400_000)))),
  ],
];

function pem(certificate: X509Certificate): string {
  return certificate.toString();
}

/** Attributes of a name, in the certificate's order: `CN=x` lines, `+` within one multi-valued line. */
function attributes(name: string): string[] {
  return name.split('\n').filter((line) => line !== '');
}

/** RFC 2253: last attribute first, separated by commas. */
function rfc2253(name: string): string {
  return attributes(name).reverse().join(',');
}

/** OpenSSL's old one-line form: `/C=XX/CN=x`. */
function oneLine(name: string): string {
  return attributes(name)
    .map((attribute) => `/${attribute}`)
    .join('');
}

/** The group of the key exchange: the first of the client's that the server takes; the runtime does not tell it. */
function curve(tls: TLSSocket, r: Exchange): string | undefined {
  const { hello } = r.client;
  if (!hello) return undefined;
  const taken = groupNumbers(sslModule.server(r.client.sniServer ?? r.client.listen.defaultServer).ssl_ecdh_curve);
  const offered = tls.getProtocol() === 'TLSv1.3' && !taken ? hello.keyShares : hello.groups;
  const number = taken ? offered.find((n) => taken.includes(n)) : offered[0];
  return number === undefined ? undefined : groupName(number);
}

/** The id in a serialized session: SEQUENCE { version, TLS version, cipher, OCTET STRING id, … }. */
function sessionId(session: Buffer | undefined): string | undefined {
  if (session?.[0] !== 0x30) return undefined;
  let at = 2 + ((session[1]! & 0x80) === 0 ? 0 : session[1]! & 0x7f);
  for (let field = 0; field < 3; field++) at += 2 + session[at + 1]!;
  if (session[at] !== 4) return undefined;
  return session.toString('hex', at + 2, at + 2 + session[at + 1]!);
}

/** A string with variables, evaluated for a connection that has no request yet (variable certificates). */
export function evaluateForHandshake(client: ClientConnection, template: Template): string {
  const r = new Exchange(client, NOBODY);
  useServer(r, client.sniServer ?? client.listen.defaultServer);
  r.headers = new Fields();
  return template.evaluate(r);
}

/** There is nobody to answer during a handshake. */
const NOBODY: Downstream = {
  sendHead() {},
  write: () => true,
  end() {},
  flush() {},
  finished() {},
  abort() {},
  startBody() {},
  pauseBody() {},
  resumeBody() {},
  sendContinue() {},
  isBackedUp: false,
};
