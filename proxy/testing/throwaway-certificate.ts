// A certificate for tests of a configuration whose own are not on this machine, and for fake upstreams that are asked
// over TLS. Made when it is first wanted, valid for a day, trusted by nobody.
import { KeyObject, webcrypto } from 'node:crypto';

export interface CertificatePem {
  readonly certificate: string;
  readonly key: string;
}

const DAY_MS = 86_400_000;
let made: Promise<CertificatePem> | undefined;

/** The certificate of this process. */
export function throwawayCertificate(): Promise<CertificatePem> {
  made ??= make();
  return made;
}

async function make(): Promise<CertificatePem> {
  const x509 = await import('@peculiar/x509');
  x509.cryptoProvider.set(webcrypto);
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: 'CN=portico test',
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + DAY_MS),
    signingAlgorithm: algorithm,
    keys,
  });
  const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }) as string;
  return { certificate: certificate.toString('pem'), key };
}
