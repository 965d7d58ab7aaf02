import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { begun, get, gunicorn, isAlive, type Running, rawRequest, ServerProcess, uvicorn } from './server-process.ts';

const FASTAPI = 'services/apps/fastapi.ts:app';
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'uvicorn-test-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

const post = (port: number, target: string, body: string, type = 'application/json'): Promise<string> =>
  rawRequest(
    port,
    `POST ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );

const bodyOf = (text: string): string => text.slice(text.indexOf('\r\n\r\n') + 4);

describe('Uvicorn with the FastAPI-style app', () => {
  let running: Running;
  beforeAll(async () => {
    running = await uvicorn([FASTAPI]);
  });
  afterAll(() => running.server.stop());

  it("answers with Uvicorn's head, field by field", async () => {
    const answer = await get(running.port, '/');
    expect(answer?.head.replace(/date: [^\r]*/, 'date: now')).toBe(
      'HTTP/1.1 200 OK\r\ndate: now\r\nserver: uvicorn\r\ncontent-length: 32\r\ncontent-type: application/json\r\nconnection: close',
    );
    expect(answer?.body).toBe('{"message":"Hello from FastAPI"}');
    await running.server.said(/INFO: {5}127\.0\.0\.1:\d+ - "GET \/ HTTP\/1\.1" 200 OK/);
  });

  it.each([
    ['/io?ms=1', 200, '{"io_ms":1}'],
    ['/cpu?ms=1', 200, '{"cpu_ms":1}'],
    ['/native?ms=1', 200, '{"native_ms":1}'],
    ['/block?ms=1', 200, '{"block_ms":1}'],
    ['/size?bytes=5', 200, 'xxxxx'],
    ['/sync/hello', 200, '{"message":"Hello from FastAPI"}'],
    ['/sync/io?ms=1', 200, '{"io_ms":1,"thread":"AnyIO worker thread"}'],
    ['/sync/cpu?ms=1', 200, '{"cpu_ms":1,"thread":"AnyIO worker thread"}'],
    ['/items/5?q=a', 200, '{"item_id":5,"q":"a"}'],
    ['/nope', 404, '{"detail":"Not Found"}'],
    ['/raise', 500, 'Internal Server Error'],
    [
      '/items/x',
      422,
      '{"detail":[{"type":"int_parsing","loc":["path","item_id"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"x"}]}',
    ],
    ['/size', 422, '{"detail":[{"type":"missing","loc":["query","bytes"],"msg":"Field required","input":null}]}'],
  ])('serves %s', async (target, status, body) => {
    expect(await get(running.port, target)).toMatchObject({ status, body });
  });

  it('validates a body as pydantic does', async () => {
    expect(bodyOf(await post(running.port, '/items', '{"name":"a","price":"1.5","x":1}'))).toBe(
      '{"name":"a","price":1.5,"tags":[],"description":null}',
    );
    expect(await post(running.port, '/items', '{"name":"a","price":1}')).toMatch(/^HTTP\/1\.1 201 Created\r\n/);
    const wrong = JSON.parse(bodyOf(await post(running.port, '/items', '{"name":1,"price":-1,"tags":[2]}')));
    expect(wrong.detail.map((each: { type: string; loc: unknown }) => [each.type, each.loc])).toEqual([
      ['string_type', ['body', 'name']],
      ['greater_than', ['body', 'price']],
      ['string_type', ['body', 'tags', 0]],
    ]);
    expect(bodyOf(await post(running.port, '/items', '{'))).toBe(
      '{"detail":[{"type":"json_invalid","loc":["body",1],"msg":"JSON decode error","input":{},"ctx":{"error":"Expecting property name enclosed in double quotes"}}]}',
    );
  });

  it('answers 405 with Allow, and redirects a slash too many', async () => {
    expect(await rawRequest(running.port, 'DELETE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 405 [\s\S]*allow: GET\r\n/,
    );
    const answer = await get(running.port, '/items/5/');
    expect(answer?.status).toBe(307);
    expect(answer?.head).toContain('location: http://test/items/5');
  });

  it('keeps connections alive, pipelines in order, and answers 400 to what is no HTTP', async () => {
    const two =
      'GET /io?ms=50 HTTP/1.1\r\nHost: a\r\n\r\nGET /size?bytes=2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
    expect(await rawRequest(running.port, two)).toMatch(
      /^HTTP\/1\.1 200 OK[\s\S]*\{"io_ms":50\}HTTP\/1\.1 200 OK[\s\S]*\r\n\r\nxx$/,
    );
    const bad = await rawRequest(running.port, 'GARBAGE\r\n\r\n');
    expect(bad.replace(/date: [^\r]*/, 'date: now')).toBe(
      'HTTP/1.1 400 Bad Request\r\ndate: now\r\nserver: uvicorn\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 30\r\nconnection: close\r\n\r\nInvalid HTTP request received.',
    );
  });

  it('streams, and stops when the client goes away', async () => {
    const answer = await get(running.port, '/stream?n=2');
    expect(answer?.body).toBe('8\r\nchunk 0\n\r\n8\r\nchunk 1\n\r\n0\r\n\r\n');
    const first = await rawRequest(running.port, 'GET /sse?n=1000000&ms=10 HTTP/1.1\r\nHost: a\r\n\r\n', (text) =>
      text.includes('id: 1'),
    );
    expect(first).toContain('content-type: text/event-stream; charset=utf-8');
  });

  it('echoes a body that is asked for with 100-continue', async () => {
    const text = await new Promise<string>((done) => {
      let received = '';
      const socket = net.connect(running.port, '127.0.0.1');
      socket.write(
        'POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n',
      );
      socket.on('data', (bytes) => {
        if (received === '') socket.write('ok');
        received += bytes.toString();
      });
      socket.on('close', () => done(received));
    });
    expect(text).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK[\s\S]*\r\n\r\nok$/);
  });

  it('talks WebSocket, and refuses one that no route takes', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${running.port}/ws`);
    const echo = await new Promise<string>((done, fail) => {
      socket.on('open', () => socket.send('hello'));
      socket.on('message', (data) => done(String(data)));
      socket.on('error', fail);
    });
    expect(echo).toBe('hello');
    socket.close();
    const refused = new WebSocket(`ws://127.0.0.1:${running.port}/no-such`);
    expect(await new Promise((done) => refused.on('error', (error) => done(error.message)))).toBe(
      'Unexpected server response: 403',
    );
  });

  it('documents itself offline', async () => {
    const document = JSON.parse((await get(running.port, '/openapi.json'))?.body ?? '{}');
    expect(document).toMatchObject({ openapi: '3.1.0', info: { title: 'Portico demo' } });
    expect(document.paths['/items/{item_id}'].get.parameters[0]).toEqual({
      name: 'item_id',
      in: 'path',
      required: true,
      schema: { type: 'integer', title: 'Item Id' },
    });
    expect(document.components.schemas.Item.required).toEqual(['name', 'price']);
    const page = await get(running.port, '/docs');
    expect(page?.body).not.toMatch(/https?:\/\//);
    const script = /src="([^"]+)"/.exec(page?.body ?? '')?.[1] ?? '';
    expect(await get(running.port, script)).toMatchObject({ status: 200 });
    expect(await get(running.port, '/docs/assets/..%2Findex.html')).toMatchObject({ status: 404 });
  });

  it('waits without blocking in async def, blocks in /block, and does not block in def', async () => {
    const order: string[] = [];
    /** Once it is in hand; what it gives is over when it is answered. */
    const run = async (name: string, target: string): Promise<{ over: Promise<void> }> => {
      const { answer } = await begun(running.port, target);
      return { over: answer.then(() => void order.push(name)) };
    };
    const waiting = await run('waiting', '/io?ms=3000');
    const pooled = await run('pooled', '/sync/io?ms=1500');
    const quick = await run('quick', '/');
    await Promise.all([quick.over, pooled.over, waiting.over]);
    expect(order).toEqual(['quick', 'pooled', 'waiting']);
    const blocked = await run('blocked', '/block?ms=300');
    const behind = await run('behind', '/io?ms=50');
    await Promise.all([blocked.over, behind.over]);
    expect(order.slice(3)).toEqual(['blocked', 'behind']);
  });

  it('ends with the process on /crash', async () => {
    expect(await get(running.port, '/crash')).toBeNull();
    expect(await running.server.exited).toEqual({ status: 1, signal: null });
  });
});

it('honours root_path, proxy headers, extra headers and the concurrency limit', async () => {
  const { server, port } = await uvicorn([
    '--root-path',
    '/api',
    '--header',
    'X-One:two',
    '--no-date-header',
    '--limit-concurrency',
    '2',
    FASTAPI,
  ]);
  const answer = await get(port, '/headers', 'X-Forwarded-For: 1.2.3.4, 127.0.0.1\r\nX-Forwarded-Proto: https\r\n');
  expect(answer?.head).toMatch(/^HTTP\/1\.1 200 OK\r\nserver: uvicorn\r\nx-one: two\r\n/);
  expect(JSON.parse(answer?.body ?? '{}')).toMatchObject({
    path: '/api/headers',
    root_path: '/api',
    scheme: 'https',
    client: ['1.2.3.4', 0],
  });
  expect((await get(port, '/docs'))?.body).toContain("url: '/api/openapi.json'");
  expect(JSON.parse((await get(port, '/openapi.json'))?.body ?? '{}').servers).toEqual([{ url: '/api' }]);
  const { answer: slow } = await begun(port, '/io?ms=2000');
  expect(await get(port, '/')).toMatchObject({ status: 503, body: 'Service Unavailable' });
  expect(await slow).toMatchObject({ status: 200 });
  await server.stop();
});

it('stops gracefully on TERM, of which it then dies, and on INT with status 0', async () => {
  for (const [signal, end] of [
    ['SIGTERM', { status: null, signal: 'SIGTERM' }],
    ['SIGINT', { status: 0, signal: null }],
  ] as const) {
    const { server, port } = await uvicorn([FASTAPI]);
    const { answer } = await begun(port, '/io?ms=500');
    expect(await server.stop(signal)).toEqual(end);
    expect(await answer).toMatchObject({ status: 200 });
    expect(server.log).toMatch(
      /Shutting down\n[\s\S]*Application shutdown complete\.\nINFO: {5}Finished server process/,
    );
  }
});

it.each([
  [['nomod:app'], 3, 'ERROR:    Error loading ASGI app. Could not import module "nomod".'],
  [['services/apps/fastapi.ts:nope'], 3, 'Attribute "nope" not found in module "services/apps/fastapi.ts".'],
  [
    ['services/apps/fastapi.ts'],
    3,
    'Import string "services/apps/fastapi.ts" must be in format "<module>:<attribute>".',
  ],
  [
    ['--host', '192.0.2.1', FASTAPI],
    3,
    "error while attempting to bind on address ('192.0.2.1', 8000): cannot assign requested address",
  ],
  [[], 2, "Error: Missing argument 'APP'."],
  [['--port', 'x', FASTAPI], 2, "Error: Invalid value for '--port': 'x' is not a valid integer."],
  [['--nope', FASTAPI], 2, "Error: No such option '--nope'."],
])('refuses %j with status %i', async (args, status, text) => {
  const server = new ServerProcess('uvicorn', args);
  expect(await server.exited).toEqual({ status, signal: null });
  expect(server.log).toContain(text);
});

it('runs workers under a supervisor, which heals, restarts and scales', async () => {
  const socket = path.join(directory, 'u.sock');
  const server = new ServerProcess('uvicorn', ['--workers', '2', '--uds', socket, FASTAPI]);
  const started = (): number[] =>
    [...server.log.matchAll(/Started server process \[(\d+)\]/g)].map((match) => Number(match[1])).filter(isAlive);
  const complete = (): number => server.log.match(/Application startup complete/g)?.length ?? 0;
  await server.until(() => complete() === 2, 'two workers');
  expect(server.log).toContain(`Uvicorn running on unix socket ${socket} (Press CTRL+C to quit)`);
  const [first = -1] = started();
  process.kill(first, 'SIGKILL');
  await server.said(new RegExp(`Child process \\[${first}\\] died`));
  await server.until(() => complete() === 3 && started().length === 2, 'a new worker');
  server.kill('SIGTTIN');
  await server.until(() => started().length === 3, 'a third worker');
  server.kill('SIGTTOU');
  await server.until(() => started().length === 2, 'two workers again');
  const before = started();
  server.kill('SIGHUP');
  await server.until(
    () => started().length === 2 && !started().some((pid) => before.includes(pid)),
    'two other workers',
  );
  expect(await server.stop()).toEqual({ status: 0, signal: null });
  expect(server.log).toContain('Received SIGTERM, exiting.');
  expect(server.log).toContain(`Stopping parent process [${server.pid}]`);
  expect(existsSync(socket)).toBe(false);
});

it('stops the supervisor when a worker cannot start', async () => {
  writeFileSync(path.join(directory, 'broken.ts'), 'export const app = 1;');
  const server = new ServerProcess('uvicorn', ['--workers', '2', '--port', '0', '--app-dir', directory, 'broken:app']);
  expect((await server.exited).status).toBe(0);
  expect(server.log).toContain('failed to start, stopping the parent process.');
});

it('restarts when a file changes with --reload', async () => {
  const file = path.join(directory, 'live.ts');
  const app = (word: string): string => `export const app = async (scope: any, _receive: any, send: any) => {
    if (scope.type !== 'http') throw new Error('no lifespan');
    await send({ type: 'http.response.start', status: 200, headers: [] });
    await send({ type: 'http.response.body', body: Buffer.from('${word}') });
  };`;
  writeFileSync(file, app('one'));
  const { server, port } = await uvicorn(['--reload', '--reload-dir', directory, '--app-dir', directory, 'live:app']);
  expect((await get(port, '/'))?.body).toContain('one');
  await server.said(/ASGI 'lifespan' protocol appears unsupported\./);
  writeFileSync(file, app('two'));
  await server.said(/StatReload detected changes in '.*live\.ts'\. Reloading\.\.\.[\s\S]*Finished server process/);
  expect((await get(port, '/'))?.body).toContain('two');
  await server.stop();
});

it('serves an ASGI app under Gunicorn, by the names that people type', async () => {
  const { server, port } = await gunicorn([
    '-k',
    'uvicorn.workers.UvicornWorker',
    '--threads',
    '4',
    '--access-logfile',
    '-',
    FASTAPI,
  ]);
  await server.said(/Using worker: uvicorn\.workers\.UvicornWorker/);
  await server.said(/threads is ignored by the worker class/);
  const answer = await get(port, '/headers');
  expect(answer?.head).toContain('server: uvicorn');
  expect(JSON.parse(answer?.body ?? '{}')).toMatchObject({ worker_class: 'uvicorn' });
  await server.said(/127\.0\.0\.1:\d+ - "GET \/headers HTTP\/1\.1" 200/);
  const { answer: slow } = await begun(port, '/io?ms=400');
  expect(await server.stop()).toEqual({ status: 0, signal: null });
  expect(await slow).toMatchObject({ status: 200 });
});
