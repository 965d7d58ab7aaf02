// A throw-away certificate for the peers.

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Makes a self-signed EC P-256 pair for localhost in `dir`. */
export function ensureCertificates(dir: string): { certificate: string; key: string } {
  const certificate = join(dir, 'bench.pem');
  const key = join(dir, 'bench-key.pem');
  const made = spawnSync('openssl', [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=localhost',
    '-addext',
    'subjectAltName=DNS:localhost,IP:127.0.0.1',
    '-keyout',
    key,
    '-out',
    certificate,
  ]);
  if (made.status !== 0) throw new Error(`openssl could not make a certificate: ${made.stderr}`);
  writeFileSync(join(dir, 'README'), 'Files of a benchmark run; may be deleted.\n');
  return { certificate, key };
}
