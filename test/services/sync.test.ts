import net from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { begun, get, gunicorn, isAlive, type Running, rawRequest } from './server-process.ts';

const FLASK = 'services/apps/flask.ts:app';

describe('the sync worker with the Flask-style app', () => {
  let running: Running;
  beforeAll(async () => {
    running = await gunicorn(['-w', '1', '--timeout', '2', FLASK]);
  });
  afterAll(() => running.server.stop());

  it("answers with Gunicorn's head, field by field", async () => {
    const answer = await get(running.port, '/');
    expect(answer?.head.replace(/Date: [^\r]*/, 'Date: now')).toBe(
      'HTTP/1.1 200 OK\r\nServer: gunicorn\r\nDate: now\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 31',
    );
    expect(answer?.body).toBe('{"message":"Hello from Flask"}\n');
  });

  it.each([
    ['/io?ms=1', 200, '{"io_ms":1}\n'],
    ['/cpu?ms=1', 200, '{"cpu_ms":1}\n'],
    ['/native?ms=1', 200, '{"native_ms":1}\n'],
    ['/size?bytes=5', 200, 'xxxxx'],
  ])('serves %s', async (target, status, body) => {
    expect(await get(running.port, target)).toMatchObject({ status, body });
  });

  it('shows what the app saw', async () => {
    const answer = await get(running.port, '/headers?a=b', 'X-Test: one\r\nX_Dropped: two\r\nX-Test: three\r\n');
    const seen = JSON.parse(answer?.body ?? '{}');
    expect(seen).toMatchObject({
      method: 'GET',
      path: '/headers',
      query_string: 'a=b',
      scheme: 'http',
      worker_class: 'sync',
    });
    expect(seen.headers).toEqual({ Host: 'test', Connection: 'close', 'X-Test': 'one,three' });
    expect(seen.server).toEqual(['127.0.0.1', running.port]);
  });

  it('believes X-Forwarded-Proto of a trusted peer, and only about the scheme', async () => {
    const answer = await get(running.port, '/headers', 'X-Forwarded-Proto: https\r\nX-Forwarded-For: 9.9.9.9\r\n');
    const seen = JSON.parse(answer?.body ?? '{}');
    expect(seen.scheme).toBe('https');
    expect(seen.client[0]).toBe('127.0.0.1');
  });

  it('streams in chunks to HTTP/1.1 and until the close to HTTP/1.0', async () => {
    const chunked = await get(running.port, '/stream?n=2');
    expect(chunked?.head).toContain('Transfer-Encoding: chunked');
    expect(chunked?.body).toBe('8\r\nchunk 0\n\r\n8\r\nchunk 1\n\r\n0\r\n\r\n');
    const plain = await rawRequest(running.port, 'GET /stream?n=2 HTTP/1.0\r\n\r\n');
    expect(plain).toMatch(/^HTTP\/1\.0 200 OK\r\n/);
    expect(plain).not.toContain('Transfer-Encoding');
    expect(plain.endsWith('\r\n\r\nchunk 0\nchunk 1\n')).toBe(true);
  });

  it('echoes a body by length and by chunks', async () => {
    const byLength = await rawRequest(
      running.port,
      'POST /echo HTTP/1.1\r\nContent-Length: 5\r\nContent-Type: a/b\r\n\r\nhello',
    );
    expect(byLength).toContain('Content-Type: a/b\r\n');
    expect(byLength.endsWith('\r\n\r\nhello')).toBe(true);
    const chunks =
      'POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nA: b\r\n\r\n';
    expect((await rawRequest(running.port, chunks)).endsWith('\r\n\r\nhello')).toBe(true);
  });

  it("gives Flask's pages for 404, 405, 400 and 500", async () => {
    expect(await get(running.port, '/nope')).toMatchObject({
      status: 404,
      body: expect.stringContaining('<title>404 Not Found</title>'),
    });
    expect((await get(running.port, '/nope'))?.head).toMatch(/^HTTP\/1\.1 404 NOT FOUND\r\n/);
    const wrong = await rawRequest(running.port, 'POST / HTTP/1.1\r\n\r\n');
    expect(wrong).toMatch(/^HTTP\/1\.1 405 METHOD NOT ALLOWED\r\n[\s\S]*Allow: HEAD, OPTIONS, GET\r\n/);
    expect(await get(running.port, '/size')).toMatchObject({ status: 400 });
    expect(await get(running.port, '/raise')).toMatchObject({
      status: 500,
      body: expect.stringContaining('Internal Server Error'),
    });
    await running.server.said(/ERROR in flask: Exception on \/raise \[GET\]/);
  });

  it('sends a HEAD response without its body', async () => {
    const text = await rawRequest(running.port, 'HEAD / HTTP/1.1\r\n\r\n');
    expect(text).toContain('Content-Length: 31\r\n');
    expect(text.endsWith('\r\n\r\n')).toBe(true);
  });

  it('says where the time went when a proxy has set X-Request-Start, and only then', async () => {
    const timed = await get(running.port, '/io?ms=5', `X-Request-Start: t=${Date.now() / 1000}\r\n`);
    expect(timed?.head).toMatch(/Server-Timing: queue;dur=[\d.]+, app;dur=[\d.]+, cpu;dur=[\d.]+, io;dur=[\d.]+/);
    expect((await get(running.port, '/io?ms=5'))?.head).not.toContain('Server-Timing');
  });

  it('serves one connection at a time, the others wait in the kernel', async () => {
    const order: string[] = [];
    const slow = (await begun(running.port, '/io?ms=400')).answer.then(() => order.push('slow'));
    const fast = get(running.port, '/io?ms=50').then(() => order.push('fast'));
    await Promise.all([slow, fast]);
    expect(order).toEqual(['slow', 'fast']);
  });

  it('is held by a client that sends nothing, until the arbiter kills it', async () => {
    const silent = net.connect(running.port, '127.0.0.1');
    await new Promise((done) => silent.once('connect', done));
    const from = running.server.log.length;
    const answer = get(running.port, '/');
    await running.server.said(/\[CRITICAL\] WORKER TIMEOUT \(pid:\d+\)/, from);
    expect(await answer).toMatchObject({ status: 200 });
    silent.destroy();
  });

  it('kills a worker whose handler outlives the timeout; the client gets 500, the next request 200', async () => {
    const from = running.server.log.length;
    const [pid] = running.server.workers;
    const answer = await get(running.port, '/io?ms=20000');
    expect(answer).toMatchObject({ status: 500 });
    await running.server.said(new RegExp(`\\[CRITICAL\\] WORKER TIMEOUT \\(pid:${pid}\\)`), from);
    await running.server.said(/Error handling request GET \/io\?ms=20000/, from);
    expect(await get(running.port, '/')).toMatchObject({ status: 200 });
    expect(isAlive(pid ?? -1)).toBe(false);
  });

  it('closes without an answer when the process exits, and heals', async () => {
    const from = running.server.log.length;
    expect(await get(running.port, '/crash')).toBeNull();
    await running.server.said(/Worker \(pid:\d+\) exited with code 1\./, from);
    expect(await get(running.port, '/')).toMatchObject({ status: 200 });
  });
});

it('answers 500 and closes for the 20.1 profile as 20.1 does: a timeout just closes', async () => {
  const { server, port } = await gunicorn(['--timeout', '1', FLASK], {
    env: { PORTICO_SERVICES_PROFILE: 'debian-12' },
  });
  expect(server.log).toContain('Starting gunicorn 20.1.0');
  expect(await get(port, '/io?ms=20000')).toBeNull();
  await server.stop();
});
