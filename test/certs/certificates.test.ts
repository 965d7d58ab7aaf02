// The certificate files as a user meets them: the command is run as a process, the files are looked at, and a real TLS
// handshake is made with them. Expiry is tested by telling the same code a later date.
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ensureCertificates } from '../../certs/ensure.ts';

const MAIN = fileURLToPath(new URL('../../certs/main.ts', import.meta.url));
const DAY_MS = 86_400_000;

let directory: string;

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'portico-certs-')), 'live');
});

afterEach(() => {
  rmSync(join(directory, '..'), { recursive: true, force: true });
});

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [MAIN, '--dir', directory, ...args], { encoding: 'utf8' });
}

function read(name: string): string {
  return readFileSync(join(directory, name), 'utf8');
}

function snapshot(): string {
  return readdirSync(directory)
    .sort()
    .map((name) => `${name}\n${read(name)}`)
    .join('\n');
}

/** Connects with a name to check, trusting only our authority; gives the error's code, or the protocol agreed on. */
async function handshake(name: string): Promise<string> {
  const server = createServer({ cert: read('leaf.pem'), key: read('leaf-key.pem') }, (socket) => socket.end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await new Promise<string>((resolve) => {
      const { port } = server.address() as AddressInfo;
      const socket = connect({
        host: '127.0.0.1',
        port,
        ca: read('ca.pem'),
        ...(isIP(name) ? {} : { servername: name }),
      });
      if (isIP(name)) {
        socket.once('secureConnect', () => {
          resolve(
            socket.getPeerX509Certificate()?.checkIP(name) === undefined ? 'not for it' : String(socket.getProtocol()),
          );
          socket.destroy();
        });
      } else {
        socket.once('secureConnect', () => {
          resolve(String(socket.getProtocol()));
          socket.destroy();
        });
      }
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

test('the first run makes four files that TLS accepts for localhost, both loopback addresses and the services', async () => {
  const { status, stdout } = run('proxy', 'wsgi');
  expect(status).toBe(0);
  expect(stdout).toContain(`${directory}/ca.pem: new local authority`);
  expect(readdirSync(directory).sort()).toEqual(['ca-key.pem', 'ca.pem', 'leaf-key.pem', 'leaf.pem']);
  expect(statSync(join(directory, 'ca-key.pem')).mode & 0o777).toBe(0o600);
  expect(statSync(join(directory, 'leaf-key.pem')).mode & 0o777).toBe(0o600);
  for (const name of ['localhost', '127.0.0.1', '::1', 'proxy', 'wsgi']) expect(await handshake(name)).toBe('TLSv1.3');
  expect(await handshake('example.org')).toBe('ERR_TLS_CERT_ALTNAME_INVALID');

  const leaf = new X509Certificate(read('leaf.pem'));
  expect(leaf.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
  expect(leaf.ca).toBe(false);
  const days = (leaf.validToDate.getTime() - Date.now()) / DAY_MS;
  expect(days).toBeGreaterThan(364);
  expect(days).toBeLessThan(366);
  // nginx's ssl_certificate: the leaf first, then what signed it.
  expect(read('leaf.pem').match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  expect(read('leaf.pem').trimEnd().endsWith(read('ca.pem').trimEnd())).toBe(true);
});

test('a second run changes nothing', () => {
  run('proxy');
  const before = snapshot();
  const second = run('proxy');
  expect(second.status).toBe(0);
  expect(second.stdout).toContain('good until');
  expect(snapshot()).toBe(before);
});

test('a new name renews the leaf, keeps the names that it had, and leaves the authority alone', async () => {
  run('proxy');
  const authority = read('ca.pem');
  const { stdout } = run('shop.localhost', '*.example.test');
  expect(stdout).toContain('it is not for shop.localhost, *.example.test');
  expect(read('ca.pem')).toBe(authority);
  for (const name of ['proxy', 'shop.localhost', 'a.example.test']) expect(await handshake(name)).toBe('TLSv1.3');
  const before = snapshot();
  run('*.example.test');
  expect(snapshot()).toBe(before);
});

test('the leaf is renewed 30 days before it ends, the authority is kept', async () => {
  await ensureCertificates(directory, []);
  const [authority, leaf] = [read('ca.pem'), read('leaf.pem')];
  await ensureCertificates(directory, [], new Date(Date.now() + 334 * DAY_MS));
  expect(read('leaf.pem')).toBe(leaf);
  const { lines, isAuthorityNew } = await ensureCertificates(directory, [], new Date(Date.now() + 336 * DAY_MS));
  expect(lines.join()).toContain('it expires on');
  expect(isAuthorityNew).toBe(false);
  expect(read('leaf.pem')).not.toBe(leaf);
  expect(read('ca.pem')).toBe(authority);
});

test('an authority near its end is replaced, and with it the leaf', async () => {
  await ensureCertificates(directory, []);
  const authority = read('ca.pem');
  const { isAuthorityNew } = await ensureCertificates(directory, [], new Date(Date.now() + 3630 * DAY_MS));
  expect(isAuthorityNew).toBe(true);
  expect(read('ca.pem')).not.toBe(authority);
  expect(new X509Certificate(read('leaf.pem')).checkIssued(new X509Certificate(read('ca.pem')))).toBe(true);
});

test('a leaf of another authority, or with the key of another leaf, is renewed', async () => {
  run();
  const other = join(directory, 'other');
  await ensureCertificates(other, []);
  writeFileSync(join(directory, 'leaf.pem'), readFileSync(join(other, 'leaf.pem')));
  writeFileSync(join(directory, 'leaf-key.pem'), readFileSync(join(other, 'leaf-key.pem')));
  expect(run().stdout).toContain('signed by another authority');
  expect(await handshake('localhost')).toBe('TLSv1.3');
  writeFileSync(join(directory, 'leaf-key.pem'), readFileSync(join(other, 'leaf-key.pem')));
  expect(run().stdout).toContain('its key belongs to another certificate');
  expect(await handshake('localhost')).toBe('TLSv1.3');
});

test.each(['ca.pem', 'leaf.pem', 'leaf-key.pem'])('a broken %s is one line with the file and the remedy', (name) => {
  run();
  writeFileSync(join(directory, name), 'not PEM at all\n');
  const { status, stdout, stderr } = run();
  expect(status).toBe(1);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^certs: [^\n]+; remove [^\n]+\n$/);
  expect(stderr).toContain(join(directory, name));
});

test('a file that cannot be read is one line too', () => {
  run();
  rmSync(join(directory, 'leaf.pem'));
  mkdirSync(join(directory, 'leaf.pem'));
  const { status, stderr } = run();
  expect(status).toBe(1);
  expect(stderr).toMatch(/^certs: [^\n]*leaf\.pem: cannot be read \(EISDIR\)[^\n]*\n$/);
});

test("the authority's key is needed only to sign", () => {
  run();
  rmSync(join(directory, 'ca-key.pem'));
  expect(run().status).toBe(0);
  const { status, stderr } = run('new-name');
  expect(status).toBe(1);
  expect(stderr).toContain('ca-key.pem: missing, and a new leaf must be signed');
});

test('a key that others may read is made private', () => {
  run();
  chmodSync(join(directory, 'leaf-key.pem'), 0o644);
  expect(run().status).toBe(0);
  expect(statSync(join(directory, 'leaf-key.pem')).mode & 0o777).toBe(0o600);
});

test('a wrong command line is status 2 and makes nothing', () => {
  expect(run('not a name').stderr).toContain('"not a name" is neither a DNS name nor an IP address');
  expect(run('--days', '3').status).toBe(2);
  expect(() => readdirSync(directory)).toThrow();
});
