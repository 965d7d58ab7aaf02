// Gunicorn's own `asgi` worker class, which words its responses in another way than Uvicorn does: heads, HTTP/1.0, refusals, WebSockets,
// its access log, and what it tells statsd.
import dgram from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { get, gunicorn, type Running, rawRequest, ServerProcess } from './server-process.ts';

let running: Running;
let statsd: dgram.Socket;
const metrics: string[] = [];

beforeAll(async () => {
  statsd = dgram.createSocket('udp4').on('message', (bytes) => metrics.push(bytes.toString()));
  await new Promise<void>((done) => statsd.bind(0, '127.0.0.1', done));
  const host = `127.0.0.1:${statsd.address().port}`;
  const flags = ['-k', 'asgi', '--access-logfile', '-', '--statsd-host', host];
  running = await gunicorn([...flags, 'services/apps/fastapi.ts:app']);
  await running.server.said(/\[INFO\] ASGI server listening on http:\/\/127\.0\.0\.1:\d+\n/);
});
afterAll(async () => {
  await running.server.stop();
  statsd.close();
});

async function ask(line: string, fields = 'Connection: close\r\n', body = ''): Promise<string> {
  const isOpen = (text: string): boolean => text.startsWith('HTTP/1.1 101') && text.endsWith('\r\n\r\n');
  const text = await rawRequest(running.port, `${line}\r\nHost: a\r\n${fields}\r\n${body}`, isOpen);
  return text.replace(/^Date: [^\r]*/m, 'Date: now');
}

it("puts its own fields last, in Gunicorn's spelling", async () => {
  expect(await ask('GET / HTTP/1.1')).toBe(
    'HTTP/1.1 200 OK\r\ncontent-length: 32\r\ncontent-type: application/json\r\nServer: gunicorn/asgi\r\nDate: now\r\nConnection: close\r\n\r\n{"message":"Hello from FastAPI"}',
  );
});

it('answers HTTP/1.0 in kind, a stream without chunks', async () => {
  expect(await ask('GET /stream?n=2 HTTP/1.0')).toMatch(
    /^HTTP\/1\.0 200 OK\r\ncontent-type: [^\r]*\r\nServer: gunicorn\/asgi\r\nDate: now\r\nConnection: close\r\n\r\nchunk 0\nchunk 1\n$/,
  );
});

it.each([
  ['GARBAGE', '', '400 Bad Request', 'Invalid request line'],
  ['get / HTTP/1.1', '', '400 Bad Request', 'get'],
  ['GET / HTTP/3.0', '', '400 Bad Request', 'HTTP/3.0'],
  ['GET / HTTP/1.1', 'A b: c\r\n', '400 Bad Request', 'A b'],
  ['GET / HTTP/1.1', 'Content-Length: x\r\n', '400 Bad Request', 'Invalid Content-Length value'],
  [
    'GET / HTTP/1.1',
    'Content-Length: 1\r\nContent-Length: 2\r\n',
    '400 Bad Request',
    'Duplicate Content-Length header',
  ],
  [`GET /${'a'.repeat(5000)} HTTP/1.1`, '', '414 URI Too Long', 'Request line is too large'],
  ['GET / HTTP/1.1', 'A: b\r\n'.repeat(120), '431 Request Header Fields Too Large', 'Too many headers'],
])('refuses %.20s with %.40s', async (line, fields, status, text) => {
  expect(await ask(line, fields)).toBe(
    `HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`,
  );
});

it('drops fields with an underscore, and keeps the address of a client behind a proxy', async () => {
  const fields = 'Connection: close\r\nA_b: c\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n';
  const text = await ask('GET /headers HTTP/1.1', fields);
  const seen = JSON.parse(text.slice(text.indexOf('\r\n\r\n')));
  expect(seen).toMatchObject({ scheme: 'https', client: ['127.0.0.1', expect.any(Number)] });
  expect(seen.headers).not.toHaveProperty('a_b');
});

it('sends no 100 to a client whose body is there, and warns of a body for HEAD', async () => {
  const fields = 'Connection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n';
  expect(await ask('POST /echo HTTP/1.1', fields, 'hi')).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  await ask('HEAD /no-such HTTP/1.1');
  await running.server.said(/ASGI app sent body bytes on a no-body response \(method=HEAD status=404\); dropping/);
});

it('takes a WebSocket without compression, and refuses one in few words', async () => {
  const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
  const version = 'Sec-WebSocket-Version: 13\r\n';
  const deflate = 'Sec-WebSocket-Extensions: permessage-deflate\r\n';
  expect(await ask('GET /ws HTTP/1.1', upgrade + key + version + deflate)).toBe(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
  );
  expect(await ask('GET /no-such HTTP/1.1', upgrade + key + version)).toBe(
    'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
  );
  expect(await ask('GET /ws HTTP/1.1', upgrade + version)).toMatch(/^HTTP\/1\.1 400 [\s\S]*\r\n\r\nBad Request$/);
  expect(await ask('GET /ws HTTP/1.1', upgrade + key)).toMatch(
    /^HTTP\/1\.1 426 Upgrade Required\r\n[\s\S]*\r\nSec-WebSocket-Version: 13\r\n[\s\S]*\r\n\r\nUpgrade Required$/,
  );
});

it("writes Gunicorn's access line when a request is over, and tells statsd", async () => {
  const from = running.server.log.length;
  metrics.length = 0;
  await get(running.port, '/size?bytes=5', 'User-Agent: me\r\n');
  await running.server.said(/^127\.0\.0\.1 - - \[[^\]]+\] "GET \/size\?bytes=5 HTTP\/1\.1" 200 5 "-" "me"$/m, from);
  // Those of the requests before may still come in, first.
  await running.server.until(() => metrics.at(-1) === 'gunicorn.request.status.200:1|c|@1.0', 'the last metric');
  expect(metrics.at(-3)).toMatch(/^gunicorn\.request\.duration:\d+\.\d+\|ms$/);
  expect(metrics.at(-2)).toBe('gunicorn.requests:1|c|@1.0');
});

const ODD = `const bytes = (text) => Buffer.from(text);
export const app = async (scope, receive, send) => {
  if (scope.type !== 'http' || scope.path === '/none') return;
  if (scope.path === '/raise') throw new Error('x');
  const name = scope.path === '/bad' ? 'a\\nb' : scope.path === '/own' ? 'Server' : 'Content-Length';
  await send({ type: 'http.response.start', status: 200, headers: [[bytes(name), bytes('3')]] });
  if (scope.path === '/half') return;
  await send({ type: 'http.response.body', body: bytes('abcdef'.slice(0, scope.path === '/under' ? 1 : 6)) });
  if (scope.path === '/after') throw new Error('z');
};`;

it('treats applications that break the protocol as Gunicorn does', async () => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'gunicorn-asgi-'));
  writeFileSync(path.join(directory, 'odd.mjs'), ODD);
  const flags = ['-k', 'asgi', '--access-logfile', '-', '--pythonpath', directory];
  const { server, port } = await gunicorn([...flags, 'odd.mjs:app']);
  const own = 'Server: gunicorn/asgi\r\nDate: now\r\nConnection: close\r\n\r\n';
  const error = `HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain\r\nContent-Length: 21\r\nConnection: close\r\n\r\nInternal Server Error`;
  for (const [target, expected] of [
    ['/', `HTTP/1.1 200 OK\r\nContent-Length: 3\r\n${own}abc`],
    ['/after', `HTTP/1.1 200 OK\r\nContent-Length: 3\r\n${own}abc`],
    ['/under', `HTTP/1.1 200 OK\r\nContent-Length: 3\r\n${own}a`],
    ['/half', ''],
    ['/none', error],
    ['/raise', error],
    ['/bad', error],
  ] as const) {
    const text = await rawRequest(port, `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    expect([target, text.replace(/^Date: [^\r]*/m, 'Date: now')]).toEqual([target, expected]);
  }
  await server.said(/"GET \/raise HTTP\/1\.1" 500 /);
  await server.stop();
  rmSync(directory, { recursive: true });
  expect(server.log.match(/\[ERROR\] .*/g)).toEqual([
    '[ERROR] ASGI application returned without completing the response; closing the connection',
    '[ERROR] Error in ASGI application',
    '[ERROR] Error in ASGI application',
  ]);
});

it('says in its own words that an application refuses to start', async () => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'gunicorn-asgi-'));
  const app = `export const app = async (scope, receive, send) => {
    await receive();
    await send({ type: 'lifespan.startup.failed', message: 'no db' });
  };`;
  writeFileSync(path.join(directory, 'refusing.mjs'), app);
  const flags = ['-b', '127.0.0.1:0', '-k', 'asgi', '--pythonpath', directory];
  const server = new ServerProcess('gunicorn', [...flags, 'refusing.mjs:app']);
  expect((await server.exited).status).toBe(3);
  rmSync(directory, { recursive: true });
  expect(server.log).toContain('[ERROR] ASGI lifespan startup failed: Lifespan startup failed: no db\n');
  expect(server.log).not.toContain('Exiting.');
});
