// TLS of Gunicorn: what a client sees of a good request, of a plain one, and of settings that are wrong.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { rawRequest } from '../../services/server-process.ts';
import type { Scenario } from './scenario.ts';

async function withCertificate<Value>(use: (files: readonly string[]) => Promise<Value>): Promise<Value> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'app-servers-tls-'));
  const [key, cert] = ['a.key', 'a.crt'].map((name) => path.join(directory, name)) as [string, string];
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  execFileSync('openssl', [...args, '-subj', '/CN=localhost', '-keyout', key, '-out', cert], { stdio: 'ignore' });
  try {
    return await use(['--certfile', cert, '--keyfile', key]);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function ask(port: number, text: string): Promise<string> {
  return new Promise((done) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
    let received = '';
    socket.on('secureConnect', () => socket.write(text));
    socket.on('data', (bytes) => {
      received += bytes.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => done(received.replace(/^(date): [^\r]*/gim, '$1: now')));
  });
}

/** One for each WSGI class. */
export const TLS_SCENARIOS: readonly Scenario[] = ['sync', 'gthread'].map((kind) => ({
  name: `gunicorn -k ${kind} --certfile`,
  run: (side) =>
    withCertificate(async (files) => {
      const control = side.name === 'real' ? ['--no-control-socket'] : [];
      const server = side.spawn('gunicorn', 'flask', ['-b', '127.0.0.1:0', '-k', kind, ...control, ...files]);
      const port = Number((await server.said(/Listening at: https:\/\/127\.0\.0\.1:(\d+)/))[1]);
      const get = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
      const hello = await ask(port, get('/'));
      const scheme = /"scheme":"\w+"/.exec(await ask(port, get('/headers')))?.[0];
      const plain = await rawRequest(port, get('/'));
      const big = (await ask(port, get('/size?bytes=200000'))).length;
      const pair = await ask(port, `GET /size?bytes=1 HTTP/1.1\r\nHost: a\r\n\r\n${get('/size?bytes=2')}`);
      await server.stop();
      const [warning] = /Invalid request from .*\[SSL: HTTP_REQUEST\] http request/.exec(server.log) ?? [];
      return { hello, scheme, plain, big, pair, warning };
    }),
}));
