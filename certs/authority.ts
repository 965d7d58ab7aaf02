// Issues certificates: a local certificate authority, and the leaves it signs for the proxy's TLS listeners.
// It stands before any request: `certs/main.ts` calls it once, and the proxy only ever reads the files.
// Promises: EC P-256 keys, SHA-256 signatures, every name in the subjectAltName (IP addresses as such), a leaf that
// lives one year, and an authority that can sign leaves but no further authorities. It mirrors what mkcert does.
// Issuing is the only part that needs the `selfsigned` library, so it is loaded here and only when something is issued.
import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';

/** A certificate and its private key, both PEM. */
export interface KeyPairPem {
  cert: string;
  key: string;
}

const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 3650;
const LEAF_DAYS = 365;
// A clock that is a little behind (a container's, a virtual machine's after sleep) must not reject a fresh certificate.
const BACKDATE_MS = 3_600_000;

/** Makes a new authority, self-signed, with a name of its own so that two of them in one trust store stay apart. */
export async function issueAuthority(now: Date = new Date()): Promise<KeyPairPem> {
  const { generate } = await import('selfsigned');
  const made = await generate(
    [
      { name: 'commonName', value: `Portico local CA ${randomBytes(4).toString('hex')}` },
      { name: 'organizationName', value: 'Portico development' },
    ],
    {
      keyType: 'ec',
      curve: 'P-256',
      algorithm: 'sha256',
      notBeforeDate: new Date(now.getTime() - BACKDATE_MS),
      notAfterDate: new Date(now.getTime() + AUTHORITY_DAYS * DAY_MS),
      extensions: [
        { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
        { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
      ],
    },
  );
  return { cert: made.cert, key: made.private };
}

/** Signs a server certificate for `names` (DNS names, wildcards, IP addresses); the first is also the common name. */
export async function issueLeaf(
  authority: KeyPairPem,
  names: readonly string[],
  now: Date = new Date(),
): Promise<KeyPairPem> {
  const { generate } = await import('selfsigned');
  const made = await generate([{ name: 'commonName', value: names[0] ?? 'localhost' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: new Date(now.getTime() - BACKDATE_MS),
    notAfterDate: new Date(now.getTime() + LEAF_DAYS * DAY_MS),
    ca: authority,
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: names.map((name) => (isIP(name) ? { type: 7, ip: name } : { type: 2, value: name })),
      },
    ],
  });
  return { cert: made.cert, key: made.private };
}
