// ssl_stapling: the status of our certificate is fetched from OpenSSL's own responder, and shown in handshakes that ask
// for it, unless it is not good.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort, type RunningProxy, startProxy } from './start-proxy.ts';

const dir = mkdtempSync(join(tmpdir(), 'portico-stapling-'));
const at = (name: string): string => join(dir, name);
const FILES = ['ca.crt', 'good.crt', 'good.key', 'revoked.crt', 'revoked.key', 'chain.crt', 'curve.crt', 'curve.key'];

const REVOKED = 'ssl_certificate revoked.crt; ssl_certificate_key revoked.key;';

const responders: ChildProcess[] = [];
const servers: Server[] = [];
let proxy: RunningProxy | undefined;

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'ignore', cwd: dir });
}

function certify(name: string, serial: string, url: string, key = ['rsa:2048']): void {
  openssl('req', '-newkey', ...key, '-nodes', '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
  writeFileSync(at('leaf.cnf'), `authorityInfoAccess = OCSP;URI:${url}\n`);
  const words = ['-in', `${name}.csr`, '-CA', 'ca.crt', '-CAkey', 'ca.key', '-set_serial', `0x${serial}`];
  openssl('x509', '-req', ...words, '-days', '2', '-extfile', 'leaf.cnf', '-out', `${name}.crt`);
}

/** Starts OpenSSL's responder, which answers with the signature of `signer`. */
async function respond(port: number, signer: string): Promise<void> {
  const words = ['-rsigner', `${signer}.crt`, '-rkey', `${signer}.key`, '-CA', 'ca.crt', '-index', 'index'];
  const child = spawn('openssl', ['ocsp', '-port', String(port), '-nmin', '60', ...words], {
    cwd: dir,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  responders.push(child);
  // It says so on one of the two, by its version.
  await new Promise<void>((done) => {
    for (const pipe of [child.stdout, child.stderr]) {
      pipe.on('data', (chunk: Buffer) => {
        if (/waiting for OCSP client|ACCEPT/.test(chunk.toString('latin1'))) done();
      });
    }
  });
}

/** An authority of the name that the certificates have as their issuer. */
function authority(file: string): void {
  const out = ['-days', '2', '-keyout', `${file}.key`, '-out', `${file}.crt`];
  openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=CA', ...out);
}

/** A responder whose lines end in LF alone; what it says is another's. Gives its port. */
async function respondInBareLines(other: number): Promise<number> {
  const server = createServer((socket) => {
    socket.once('data', async (request: Buffer) => {
      const target = request.toString('latin1').split(' ')[1]!;
      const answer = await (await fetch(`http://127.0.0.1:${other}${target}`)).bytes();
      socket.write('HTTP/1.1 200 OK\nConnection: close\nContent-Type: application/ocsp-response\n\n');
      socket.end(answer);
    });
  });
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  const port = await freePort();
  authority('ca');
  certify('good', '1001', `http://127.0.0.1:${port}`);
  certify('revoked', '1002', `http://127.0.0.1:${port}/`);
  certify('curve', '1003', `http://127.0.0.1:${port}/`, ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']);
  writeFileSync(at('chain.crt'), readFileSync(at('good.crt'), 'latin1') + readFileSync(at('ca.crt'), 'latin1'));
  const end = '300101000000Z';
  writeFileSync(
    at('index'),
    `V\t${end}\t\t1001\tunknown\t/CN=good\nV\t${end}\t\t1003\tunknown\t/CN=curve\nR\t${end}\t260101000000Z\t1002\tunknown\t/CN=revoked\n`,
  );
  authority('liar');
  const lies = await freePort();
  await respond(port, 'ca');
  await respond(lies, 'liar');
  const server = (listen: string, name: string, key: string): string =>
    `server { listen 127.0.0.1:${listen} ssl; ssl_certificate ${name}.crt; ssl_certificate_key ${key}.key; return 204; }`;
  const asking = (conf: string, responder: number): string =>
    conf.replace('return', `ssl_stapling_responder http://127.0.0.1:${responder}/; return`);
  proxy = await startProxy(
    `http { access_log off; ssl_stapling on;
      ${server('%%PORT_0%%', 'chain', 'good')}
      ${server('%%PORT_1%%', 'good', 'good').replace('return', 'ssl_trusted_certificate ca.crt; return')}
      ${server('%%PORT_2%%', 'revoked', 'revoked').replace('return', 'ssl_trusted_certificate ca.crt; return')}
      ${server('%%PORT_3%%', 'good', 'good')}
      ${asking(server('%%PORT_4%%', 'chain', 'good').replace('return', 'ssl_stapling_verify on; return'), lies)}
      ${asking(server('%%PORT_5%%', 'chain', 'good'), lies)}
      ${asking(server('%%PORT_6%%', 'chain', 'good'), await respondInBareLines(port))}
      ${server('%%PORT_7%%', 'curve', 'curve').replace('return', `${REVOKED} ssl_protocols TLSv1.2 TLSv1.3; ssl_trusted_certificate ca.crt; return`)} }`,
    {
      preamble: 'daemon off; master_process off; error_log error.log warn; events { }',
      files: Object.fromEntries(FILES.map((name) => [name, readFileSync(at(name))])),
    },
  );
});

afterAll(async () => {
  await proxy?.stop();
  for (const responder of responders) responder.kill('SIGKILL');
  for (const server of servers) server.close();
  rmSync(dir, { recursive: true, force: true });
});

/** The OCSP response that a handshake brought. */
function stapleOf(port: number, wants: ConnectionOptions = {}): Promise<Buffer | undefined> {
  return new Promise((done, fail) => {
    let staple: Buffer | undefined;
    const options = { port, host: '127.0.0.1', rejectUnauthorized: false, requestOCSP: true, ...wants };
    const socket = connect(options, () => {
      socket.destroy();
      done(staple);
    });
    socket.on('OCSPResponse', (response: Buffer | null) => {
      staple = response ?? undefined;
    });
    socket.on('error', fail);
  });
}

it.each([0, 1, 6])(
  'shows a good status, once it was fetched (issuer beside the certificate; trusted; by a responder of bare LFs: %i)',
  async (which) => {
    const port = proxy!.ports[which]!;
    expect(await stapleOf(port)).toBeUndefined();
    let staple: Buffer | undefined;
    while (!staple) staple = await stapleOf(port);
    writeFileSync(at('staple.der'), staple);
    const told = execFileSync(
      'openssl',
      ['ocsp', '-respin', 'staple.der', '-issuer', 'ca.crt', '-cert', 'good.crt', '-CAfile', 'ca.crt', '-no_nonce'],
      { cwd: dir, encoding: 'latin1', stdio: ['ignore', 'pipe', 'ignore'] },
    );
    expect(told).toContain('good.crt: good');
  },
);

it('does not show a bad status', async () => {
  expect(await stapleOf(proxy!.ports[2]!)).toBeUndefined();
  await proxy!.waitFor(
    'error.log',
    /\[error\] .*certificate status "revoked" in the OCSP response while requesting certificate status, responder: 127\.0\.0\.1/,
  );
  expect(await stapleOf(proxy!.ports[2]!)).toBeUndefined();
});

it('says why it cannot ask', async () => {
  expect(await stapleOf(proxy!.ports[3]!)).toBeUndefined();
  await proxy!.waitFor('error.log', /"ssl_stapling" ignored, issuer certificate not found for certificate "CN=good"/);
});

it('with ssl_stapling_verify, does not believe a responder that the issuer did not charge', async () => {
  expect(await stapleOf(proxy!.ports[4]!)).toBeUndefined();
  await proxy!.waitFor('error.log', /\[error\] .*OCSP_basic_verify\(\) failed while requesting certificate status/);
  expect(await stapleOf(proxy!.ports[4]!)).toBeUndefined();
});

it('believes it without: what it says is the business of the client', async () => {
  const port = proxy!.ports[5]!;
  let staple: Buffer | undefined;
  while (!staple) staple = await stapleOf(port);
});

it('shows the status of that one of two certificates which the client gets', async () => {
  const port = proxy!.ports[7]!;
  let staple: Buffer | undefined;
  while (!staple) staple = await stapleOf(port);
  expect(await stapleOf(port, { sigalgs: 'ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256' })).toEqual(staple);
  expect(await stapleOf(port, { sigalgs: 'ecdsa_secp256r1_sha256', maxVersion: 'TLSv1.2' })).toEqual(staple);
  expect(await stapleOf(port, { sigalgs: 'rsa_pss_rsae_sha256:ecdsa_secp256r1_sha256' })).toBeUndefined();
  expect(await stapleOf(port, { sigalgs: 'rsa_pss_rsae_sha256' })).toBeUndefined();
});
