// What TLS costs beside the cryptography: how often the system is asked to write. The kernel counts that for each process,
// so this is for Linux alone.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from './start-proxy.ts';

const COUNT = 100;
const dir = mkdtempSync(join(tmpdir(), 'portico-tls-cost-'));
const pem = (name: string): string => readFileSync(join(dir, name), 'utf8');
let proxy: RunningProxy;

beforeAll(() => {
  const made = ['-keyout', join(dir, 'k'), '-out', join(dir, 'c')];
  const ec = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=a'];
  execFileSync('openssl', [...ec, ...made], { stdio: 'ignore' });
});
afterAll(() => rmSync(dir, { recursive: true }));
afterEach(() => proxy.stop());

async function start(answer: string): Promise<void> {
  const server = `listen 127.0.0.1:%%PORT_0%% ssl; ssl_certificate c; ssl_certificate_key k; ${answer}`;
  const files = { c: pem('c'), k: pem('k') };
  proxy = await startProxy(`http { access_log off; server { ${server} } }`, { files });
}

function secure(): Promise<TLSSocket> {
  return new Promise((done, fail) => {
    const socket = connect({ port: proxy.port, host: '127.0.0.1', rejectUnauthorized: false }, () => done(socket));
    socket.on('error', fail);
  });
}

/** The answer to one request on a kept connection, whose body ends in a dot. */
function ask(socket: TLSSocket): Promise<string> {
  return new Promise((done) => {
    let text = '';
    const onData = (chunk: Buffer): void => {
      text += chunk;
      if (!text.endsWith('.')) return;
      socket.off('data', onData);
      done(text);
    };
    socket.on('data', onData);
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  });
}

const writesOf = (pid: number): number => Number(/^syscw: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'latin1'))![1]);

describe.skipIf(process.platform !== 'linux')('TLS', () => {
  it('writes an answer in one piece, and nothing else', async () => {
    await start('return 200 small.;');
    const socket = await secure();
    await ask(socket);
    const writes = (): number => writesOf(proxy.process.pid!);
    const before = writes();
    for (let i = 0; i < COUNT; i++) expect(await ask(socket)).toContain('small.');
    socket.destroy();
    // The runtime's own threads wake each other by writing, now and then.
    expect(writes() - before).toBeLessThan(COUNT * 1.5);
  });
});
