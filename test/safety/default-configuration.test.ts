// What is safe by default: the proxy's own configuration speaks TLS with forward secrecy and authenticated encryption
// only, keys are the owner's alone to read, and outside of Docker nothing listens but on the loopback network.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { join } from 'node:path';
import { type ConnectionOptions, connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type RunningProxy, startProxy } from '../proxy/start-proxy.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const stops: (() => Promise<unknown> | unknown)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** The repository's own configuration, with other ports, a fresh certificate and an upstream that is there. */
async function startDefault(): Promise<RunningProxy> {
  const upstream = createServer((_, response) => response.end('up'));
  await new Promise<void>((done) => upstream.listen(0, '127.0.0.1', done));
  stops.push(() => upstream.close());
  const { port } = upstream.address() as AddressInfo;
  const conf = readFileSync(join(ROOT, 'proxy/conf/nginx.conf'), 'utf8')
    .replace(/^pid .*$/m, '')
    .replace(/^error_log .*$/m, 'error_log error.log notice;')
    .replace(/^(worker_processes) .*$/m, 'daemon off; $1 1;')
    .replace(/server (wsgi|asgi):\d+ resolve/g, `server 127.0.0.1:${port}`)
    .replace('listen      8080', 'listen %%PORT_0%%')
    .replace('listen      8443', 'listen %%PORT_1%%')
    .replaceAll('../../certs/live', 'live')
    .replaceAll('/dev/stdout', 'access.log')
    .replace(/(client_body|proxy)_temp_path .*;/g, '');
  const certs = execCertificates();
  const proxy = await startProxy(conf, {
    preamble: process.getuid?.() === 0 ? 'user root;' : '',
    // All wildcards go to this address, as `portico up` has it.
    env: { PORTICO_ADDRESS: '127.0.0.1' },
    files: {
      'mime.types': readFileSync(join(ROOT, 'proxy/conf/mime.types')),
      proxy_params: readFileSync(join(ROOT, 'proxy/conf/proxy_params')),
      ...certs,
    },
  });
  stops.push(() => proxy.stop());
  return proxy;
}

function execCertificates(): Record<string, Buffer> {
  const dir = execFileSync('mktemp', ['-d'], { encoding: 'utf8' }).trim();
  stops.push(() => execFileSync('rm', ['-r', dir]));
  execFileSync(process.execPath, [join(ROOT, 'certs/main.ts'), '--dir', join(dir, 'live')]);
  const keys = readdirSync(join(dir, 'live')).filter((name) => name.includes('key'));
  expect(keys).toHaveLength(2);
  for (const key of keys) expect((statSync(join(dir, 'live', key)).mode & 0o777).toString(8)).toBe('600');
  return Object.fromEntries(
    ['leaf.pem', 'leaf-key.pem'].map((name) => [`live/${name}`, readFileSync(join(dir, 'live', name))]),
  );
}

/** Protocol and cipher of a handshake, or the failure's code. */
function handshake(port: number, options: ConnectionOptions): Promise<string> {
  return new Promise((done) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options }, () => {
      done(`${socket.getProtocol()} ${socket.getCipher().name}`);
      socket.destroy();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? 'failed'));
  });
}

describe('the default configuration', () => {
  it('takes strong protocols and ciphers only', async () => {
    const { ports } = await startDefault();
    const port = ports[1]!;
    expect(await handshake(port, {})).toMatch(/^TLSv1\.3 /);
    expect(await handshake(port, { maxVersion: 'TLSv1.2' })).toMatch(/^TLSv1\.2 ECDHE-.*(GCM|CHACHA20)/);
    const weak = [
      'ECDHE-ECDSA-AES128-SHA',
      'ECDHE-ECDSA-AES256-SHA384',
      'AES128-SHA',
      'AES128-GCM-SHA256',
      'DHE-RSA-AES128-SHA',
    ];
    for (const ciphers of weak) {
      expect([ciphers, await handshake(port, { maxVersion: 'TLSv1.2', ciphers })]).toEqual([
        ciphers,
        expect.stringMatching(/^E/),
      ]);
    }
    for (const version of ['TLSv1', 'TLSv1.1'] as const) {
      const old = { minVersion: version, maxVersion: version, ciphers: 'ALL:@SECLEVEL=0' };
      expect(await handshake(port, old)).toMatch(/^E/);
    }
  });

  it('listens on the loopback network only, outside of Docker', async () => {
    const proxy = await startDefault();
    const listening = ['tcp', 'tcp6'].flatMap((name) =>
      readFileSync(`/proc/net/${name}`, 'latin1')
        .split('\n')
        .map((line) => line.trim().split(/\s+/))
        .filter((fields) => fields[3] === '0A')
        .map((fields) => fields[1]!.split(':'))
        .filter(([, port]) => proxy.ports.includes(Number.parseInt(port!, 16))),
    );
    expect(listening.map(([address]) => address)).toEqual(['0100007F', '0100007F']);
  });
});

describe('docker-compose.yml', () => {
  it('publishes on the loopback network only', () => {
    const { services } = parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8')) as {
      services: Record<string, { ports?: string[]; privileged?: boolean; network_mode?: string }>;
    };
    const ports = Object.values(services).flatMap((service) => service.ports ?? []);
    expect(ports.length).toBeGreaterThan(0);
    for (const port of ports) {
      const [address] = port.split(':');
      expect([address, isIP(address!)]).toEqual(['127.0.0.1', 4]);
    }
    for (const service of Object.values(services))
      expect([service.privileged, service.network_mode]).toEqual([undefined, undefined]);
  });
});
