// TLS towards clients: SNI, refused handshakes, sessions across workers, client certificates, plain HTTP on a TLS port.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bodyOf, get, type RunningProxy, runProxy, startProxy } from './start-proxy.ts';

const dir = mkdtempSync(join(tmpdir(), 'portico-tls-'));
const files: Record<string, string> = {};

/** A self-signed certificate and its key, as files `NAME.crt` and `NAME.key`. */
function certificate(name: string): void {
  const [key, crt] = [join(dir, `${name}.key`), join(dir, `${name}.crt`)];
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  execFileSync('openssl', [...args, '-subj', `/O=Test/CN=${name}`, '-keyout', key, '-out', crt], { stdio: 'ignore' });
  files[`${name}.key`] = readFileSync(key, 'utf8');
  files[`${name}.crt`] = readFileSync(crt, 'utf8');
}

interface Answer {
  readonly text: string;
  readonly socket: TLSSocket;
  readonly session: Buffer | undefined;
}

/** One request over TLS. */
function ask(port: number, options: ConnectionOptions = {}, uri = '/'): Promise<Answer> {
  return new Promise((done, fail) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
    let text = '';
    let session: Buffer | undefined;
    socket.setEncoding('latin1');
    socket.on('session', (fresh) => {
      session = fresh;
    });
    socket.on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('end', () => done({ text, socket, session }));
    socket.on('error', fail);
    socket.on('secureConnect', () =>
      socket.write(`GET ${uri} HTTP/1.0\r\nHost: ${options.servername ?? 'a.test'}\r\n\r\n`),
    );
  });
}

const CONF = `http {
  access_log off;
  ssl_protocols TLSv1.2 TLSv1.3;
  server {
    listen 127.0.0.1:%%PORT_0%% ssl;
    server_name a.test;
    ssl_certificate a.crt; ssl_certificate_key a.key;
    location / { return 200 "$server_name $ssl_protocol $ssl_server_name $ssl_session_reused"; }
  }
  server {
    listen 127.0.0.1:%%PORT_0%% ssl;
    server_name ~^(?<sub>\\w+)\\.b\\.test$;
    ssl_certificate b.crt; ssl_certificate_key b.key;
    return 200 "regex $sub";
  }
  server {
    listen 127.0.0.1:%%PORT_0%% ssl;
    server_name no.test;
    ssl_reject_handshake on;
  }
  server {
    listen 127.0.0.1:%%PORT_1%% ssl;
    ssl_certificate a.crt; ssl_certificate_key a.key;
    ssl_client_certificate client.crt;
    ssl_verify_client optional;
    return 200 "$ssl_client_verify $ssl_client_s_dn";
  }
  server {
    listen 127.0.0.1:%%PORT_2%% ssl;
    ssl_certificate a.crt; ssl_certificate_key a.key;
    ssl_session_cache shared:S:1m;
    ssl_session_tickets off;
    return 200 "$pid $ssl_session_reused";
  }
  server {
    listen 127.0.0.1:%%PORT_3%% ssl;
    ssl_certificate $ssl_server_name.crt; ssl_certificate_key $ssl_server_name.key;
    return 200 variable;
  }
}`;

let proxy: RunningProxy;

beforeAll(async () => {
  for (const name of ['a', 'b', 'client', 'stranger']) certificate(name);
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  proxy = await startProxy(CONF.replaceAll('$ssl_server_name.', '%%DIR%%/$ssl_server_name.'), {
    preamble: `daemon off; ${user} worker_processes 2; error_log error.log info; events { }`,
    files,
  });
});

afterAll(async () => {
  await proxy.stop();
  rmSync(dir, { recursive: true, force: true });
});

describe('TLS', () => {
  it('chooses server and certificate by SNI, regular expressions too', async () => {
    const plain = await ask(proxy.ports[0]!, { servername: 'a.test' });
    expect(bodyOf(plain.text)).toBe('a.test TLSv1.3 a.test .');
    expect(plain.socket.getPeerCertificate().subject.CN).toBe('a');
    const regex = await ask(proxy.ports[0]!, { servername: 'x.b.test' });
    expect(bodyOf(regex.text)).toBe('regex x');
    expect(regex.socket.getPeerCertificate().subject.CN).toBe('b');
  });

  it('rejects the handshake with unrecognized_name', async () => {
    await expect(ask(proxy.ports[0]!, { servername: 'no.test' })).rejects.toThrow(/unrecognized.name/i);
  });

  it('answers plain HTTP with 400 and a hint', async () => {
    const answer = await get(proxy.ports[0]!, '/');
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(answer).toContain('The plain HTTP request was sent to HTTPS port');
  });

  it('logs what is wrong with a handshake as nginx does', async () => {
    await expect(
      ask(proxy.ports[0]!, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }),
    ).rejects.toThrow();
    await proxy.waitFor(
      'error.log',
      /\[info\] .*SSL_do_handshake\(\) failed \(SSL: error:0A000102:SSL routines::unsupported protocol\) while SSL handshaking, client: 127\.0\.0\.1, server: /,
    );
  });

  it('verifies client certificates', async () => {
    const port = proxy.ports[1]!;
    expect(bodyOf((await ask(port)).text)).toBe('NONE ');
    const known = { cert: files['client.crt']!, key: files['client.key']! };
    expect(bodyOf((await ask(port, known)).text)).toBe('SUCCESS CN=client,O=Test');
    const stranger = { cert: files['stranger.crt']!, key: files['stranger.key']! };
    expect((await ask(port, stranger)).text).toContain('400 The SSL certificate error');
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'resumes %s sessions from the shared cache in any worker',
    async (version) => {
      const options: ConnectionOptions = { minVersion: version, maxVersion: version };
      const first = await ask(proxy.ports[2]!, options);
      const session = first.session ?? first.socket.getSession()!;
      const workers = new Set<string>();
      let latest: Buffer = session;
      for (let i = 0; i < 40 && workers.size < 2; i++) {
        const next = await ask(proxy.ports[2]!, { ...options, session: latest });
        const [pid, reused] = bodyOf(next.text).split(' ');
        expect(reused).toBe('r');
        workers.add(pid!);
        latest = next.session ?? latest;
      }
    },
  );

  it('loads certificates whose names are variables', async () => {
    const answer = await ask(proxy.ports[3]!, { servername: 'b' });
    expect(answer.socket.getPeerCertificate().subject.CN).toBe('b');
    await expect(ask(proxy.ports[3]!, { servername: 'nobody' })).rejects.toThrow();
  });
});

describe('a configuration with bad TLS', () => {
  it.each([
    ['', 'no "ssl_certificate" is defined for the "listen ... ssl" directive in DIR/nginx.conf:1'],
    ['ssl_certificate x.crt;', 'no "ssl_certificate_key" is defined for certificate "x.crt"'],
    [
      'ssl_certificate x.crt; ssl_certificate_key x.key;',
      'cannot load certificate "DIR/x.crt": BIO_new_file() failed (SSL: error:80000002:system library::No such file or directory:calling fopen(DIR/x.crt, r) error:10000080:BIO routines::no such file)',
    ],
    ['ssl_protocols TLSv9;', 'invalid value "TLSv9" in DIR/nginx.conf:1'],
    ['ssl_session_cache shared:S:1k;', 'session cache "shared:S:1k" is too small in DIR/nginx.conf:1'],
  ])('%s', async (directives, message) => {
    const { code, stderr } = await runProxy(`events { } http { server { listen 127.0.0.1:1 ssl; ${directives} } }`);
    expect(code).toBe(1);
    expect(stderr).toContain(`nginx: [emerg] ${message}\n`);
  });
});
