/**
 * Gunicorn's settings, part by part. TLS: certificate, key and the rules about clients' certificates, for all worker classes.
 * Joined with the others in gunicorn-rows.ts.
 */
import { existsSync } from 'node:fs';
import { checkTls, type TlsFiles } from '../tls-options.ts';
import { SettingError, type SettingRow } from './setting.ts';

/** The rows of this part. */
export const TLS_ROWS = [
  {
    section: 'SSL',
    name: 'keyfile',
    flags: ['--keyfile'],
    kind: 'string?',
    default: null,
    metavar: 'FILE',
    doc: 'The private key, when it is not in the file of the certificate.',
  },
  {
    section: 'SSL',
    name: 'certfile',
    flags: ['--certfile'],
    kind: 'string?',
    default: null,
    metavar: 'FILE',
    doc: 'The certificate; with it, all TCP listeners speak HTTPS.',
  },
  {
    section: 'SSL',
    name: 'ssl_version',
    flags: ['--ssl-version'],
    kind: 'string?',
    default: null,
    metavar: 'SSL_VERSION',
    doc: 'Deprecated and ignored, as in Gunicorn.',
    unhonoured: 'it is deprecated and ignored, as in Gunicorn; TLS 1.2 and 1.3 are spoken',
  },
  {
    section: 'SSL',
    name: 'ssl_context',
    flags: [],
    kind: 'hook',
    default: null,
    doc: 'Makes an SSLContext of Python.',
    refused: 'an ssl.SSLContext exists only in Python; use certfile, keyfile, ca_certs, cert_reqs and ciphers',
  },
  {
    section: 'SSL',
    name: 'cert_reqs',
    flags: ['--cert-reqs'],
    kind: 'int',
    default: 0,
    metavar: 'CERT_REQS',
    doc: "Clients' certificates: 0 asks for none, 1 checks one that comes, 2 requires one.",
  },
  {
    section: 'SSL',
    name: 'ca_certs',
    flags: ['--ca-certs'],
    kind: 'string?',
    default: null,
    metavar: 'FILE',
    doc: "The authorities of clients' certificates.",
  },
  {
    section: 'SSL',
    name: 'suppress_ragged_eofs',
    flags: ['--suppress-ragged-eofs'],
    kind: 'bool',
    default: true,
    doc: 'Take a connection that ends without close_notify for one that has ended.',
    unhonoured: 'an end without close_notify is always an end here',
  },
  {
    section: 'SSL',
    name: 'do_handshake_on_connect',
    flags: ['--do-handshake-on-connect'],
    kind: 'bool',
    default: false,
    doc: 'Do the TLS handshake before the first read, as is done in any case.',
  },
  {
    section: 'SSL',
    name: 'ciphers',
    flags: ['--ciphers'],
    kind: 'string?',
    default: null,
    metavar: 'CIPHERS',
    doc: 'The ciphers, as OpenSSL names them.',
  },
] as const satisfies readonly SettingRow[];

/** What the TLS of a worker needs of the settings; null without TLS. */
export function gunicornTls(settings: {
  readonly certfile: string | null;
  readonly keyfile: string | null;
  readonly ca_certs: string | null;
  readonly cert_reqs: number;
  readonly ciphers: string | null;
}): TlsFiles | null {
  const { certfile, keyfile } = settings;
  if (certfile === null && keyfile === null) return null;
  // Gunicorn starts, and then fails at every connection.
  if (certfile === null) throw new SettingError('keyfile needs certfile beside it');
  return {
    certFile: certfile,
    keyFile: keyfile,
    keyPassword: null,
    caFile: settings.ca_certs,
    certReqs: settings.cert_reqs,
    ciphers: settings.ciphers,
  };
}

/** Refuses at start what Gunicorn refuses then, and what it would fail with at each connection. Throws SettingError. */
export function checkGunicornTls(settings: Parameters<typeof gunicornTls>[0]): void {
  for (const name of ['certfile', 'keyfile'] as const) {
    const file = settings[name];
    if (file !== null && !existsSync(file)) throw new SettingError(`${name} "${file}" does not exist`);
  }
  const files = gunicornTls(settings);
  if (files === null) return;
  if (files.certReqs > 2) throw new SettingError(`Invalid cert_reqs: ${files.certReqs} (choose from 0, 1, 2)`);
  try {
    checkTls(files);
  } catch (error) {
    throw new SettingError(`certfile "${files.certFile}" cannot be used: ${(error as Error).message}`);
  }
}
