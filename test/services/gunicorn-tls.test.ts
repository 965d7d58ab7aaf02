// TLS of Gunicorn's role, for all worker classes: requests and big bodies both ways, kept and pipelined connections, client certificates,
// what is no TLS at all, and that a sync worker is held by a client that has not begun its handshake.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { rawRequest, ServerProcess } from './server-process.ts';

let directory: string;
const file = (name: string): string => path.join(directory, name);
const started: ServerProcess[] = [];

beforeAll(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'gunicorn-tls-'));
  for (const name of ['server', 'client', 'stranger']) {
    const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    const files = ['-subj', `/CN=${name}`, '-keyout', file(`${name}.key`), '-out', file(`${name}.crt`)];
    execFileSync('openssl', [...args, ...files], { stdio: 'ignore' });
  }
});
afterEach(() => Promise.all(started.splice(0).map((server) => server.stop())));
afterAll(() => rmSync(directory, { recursive: true }));

async function start(kind: string, ...args: readonly string[]): Promise<{ server: ServerProcess; port: number }> {
  const app = kind === 'sync' || kind === 'gthread' ? 'services/apps/flask.ts:app' : 'services/apps/fastapi.ts:app';
  const files = ['--certfile', file('server.crt'), '--keyfile', file('server.key')];
  const server = new ServerProcess('gunicorn', ['-b', '127.0.0.1:0', '-k', kind, ...files, ...args, app]);
  started.push(server);
  const port = Number((await server.said(/Listening at: https:\/\/127\.0\.0\.1:(\d+)/))[1]);
  await server.said(/Booting worker/);
  return { server, port };
}

type ClientFiles = { readonly cert?: Buffer; readonly key?: Buffer };

/** Sends a text over TLS and gives all that comes back until the server closes; '' when it refuses. */
function ask(port: number, text: string, files: ClientFiles = {}): Promise<string> {
  return new Promise((done) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...files });
    let received = '';
    socket.on('secureConnect', () => socket.write(text));
    socket.on('data', (bytes) => {
      received += bytes.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => done(received));
  });
}

const get = (target: string, fields = 'Connection: close\r\n'): string =>
  `GET ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;
const bodyOf = (text: string): string => text.slice(text.indexOf('\r\n\r\n') + 4);

describe.each(['sync', 'gthread', 'asgi', 'uvicorn.workers.UvicornWorker'])('-k %s', (kind) => {
  it('speaks HTTPS and says so to the application', async () => {
    const { port } = await start(kind);
    expect(JSON.parse(bodyOf(await ask(port, get('/headers'))))).toMatchObject({ scheme: 'https' });
    expect(bodyOf(await ask(port, get('/size?bytes=1000000')))).toHaveLength(1_000_000);
    const body = 'b'.repeat(300_000);
    const head = `POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`;
    expect(bodyOf(await ask(port, head + body))).toBe(body);
  });

  it('closes on what is no TLS, and goes on', async () => {
    const { server, port } = await start(kind);
    expect(await rawRequest(port, get('/'))).not.toContain('HTTP/1.1 200');
    expect(await ask(port, get('/'))).toMatch(/^HTTP\/1\.1 200 /);
    if (kind === 'sync' || kind === 'gthread') {
      await server.said(/\[WARNING\] Invalid request from ip=127\.0\.0\.1: \[SSL: HTTP_REQUEST\] http request/);
    }
  });

  it('requires or checks the certificate of a client', async () => {
    const pair = (name: string): ClientFiles => ({
      cert: readFileSync(file(`${name}.crt`)),
      key: readFileSync(file(`${name}.key`)),
    });
    for (const [reqs, without] of [
      ['1', 200],
      ['2', null],
    ] as const) {
      const { port } = await start(kind, '--cert-reqs', reqs, '--ca-certs', file('client.crt'));
      const status = async (files?: ClientFiles): Promise<number | null> =>
        Number((await ask(port, get('/'), files)).slice(9, 12)) || null;
      expect([await status(pair('client')), await status(pair('stranger')), await status()]).toEqual([
        200,
        null,
        without,
      ]);
    }
  });
});

it('keeps a connection to a gthread worker, also for requests that came in one record', async () => {
  const { port } = await start('gthread', '--threads', '2');
  const both = await ask(port, get('/size?bytes=3', '') + get('/size?bytes=4'));
  expect(both).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\n\r\nxxxHTTP\/1\.1 200 [\s\S]*\r\n\r\nxxxx$/);
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  let received = '';
  let isSecond = false;
  socket.on('data', (bytes) => {
    received += bytes.toString();
    if (isSecond || !received.endsWith('\r\n\r\nxxx')) return;
    isSecond = true;
    socket.write(get('/size?bytes=4'));
  });
  socket.write(get('/size?bytes=3', ''));
  await new Promise((done) => socket.on('close', done));
  expect(received).toMatch(/xxxHTTP\/1\.1 200 OK[\s\S]*xxxx$/);
});

it('holds a sync worker with a client that does not begin its handshake, as the original does', async () => {
  const { port } = await start('sync');
  const idle = net.connect(port, '127.0.0.1');
  await new Promise((done) => idle.once('connect', done));
  let isServed = false;
  const answer = ask(port, get('/')).then((text) => {
    isServed = true;
    return text;
  });
  const handshake = await Promise.race([answer, new Promise((done) => setTimeout(done, 500, 'waits'))]);
  expect([handshake, isServed]).toEqual(['waits', false]);
  idle.destroy();
  expect(await answer).toMatch(/^HTTP\/1\.1 200 /);
});

it.each([
  [['--certfile', '/no-such.crt'], 'Error: certfile "/no-such.crt" does not exist'],
  [['--keyfile', 'KEY'], 'Error: keyfile needs certfile beside it'],
  [['--certfile', 'CERT', '--keyfile', 'OTHER'], 'key values mismatch'],
  [['--certfile', 'CERT', '--keyfile', 'KEY', '--ciphers', 'NOPE'], 'no cipher match'],
  [['--certfile', 'CERT', '--keyfile', 'KEY', '--cert-reqs', '3'], 'Error: Invalid cert_reqs: 3'],
])('refuses %j at start', async (args, message) => {
  const files: Record<string, string> = {
    CERT: file('server.crt'),
    KEY: file('server.key'),
    OTHER: file('client.key'),
  };
  const server = new ServerProcess('gunicorn', [
    ...args.map((each) => files[each] ?? each),
    'services/apps/flask.ts:app',
  ]);
  expect((await server.exited).status).toBe(1);
  expect(server.log).toContain(message);
});
