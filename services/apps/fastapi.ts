/**
 * The FastAPI-style demo application, `services/apps/fastapi.ts:app`: the endpoints of its Flask-style sibling, and what only an ASGI
 * application can show: plain `def` endpoints in a thread pool, a blocking call inside `async def`, a WebSocket, validation, /docs.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { asyncSleep } from '../gil/loop.ts';
import { burn, native, nativeHoldingGil, sleep } from '../gil/python.ts';
import { runtime } from '../runtime.ts';
import { fastapi } from './fastapi/app.ts';
import { Response, StreamingResponse } from './fastapi/responses.ts';
import { bool, float, int, list, model, optional, str, withDefault } from './fastapi/schema.ts';

export const app = fastapi({ title: 'Portico demo', version: '1.0', module: import.meta.url });

const ms = withDefault(float({ ge: 0 }), 0);
const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

app.get('/', { name: 'hello' }, () => ({ message: 'Hello from FastAPI' }));

app.get('/io', { query: { ms } }, async ({ query }) => {
  await asyncSleep(query.ms);
  return { io_ms: query.ms };
});

app.get('/cpu', { query: { ms } }, ({ query }) => {
  burn(query.ms);
  return { cpu_ms: query.ms };
});

app.get('/native', { query: { ms, hold: withDefault(bool(), false) } }, ({ query }) => {
  if (query.hold) nativeHoldingGil(query.ms);
  else native(query.ms);
  return { native_ms: query.ms };
});

app.get('/block', { query: { ms } }, ({ query }) => {
  sleep(query.ms);
  return { block_ms: query.ms };
});

app.getSync('/sync/hello', {}, () => ({ message: 'Hello from FastAPI' }));

app.getSync('/sync/io', { query: { ms } }, ({ query }) => {
  sleep(query.ms);
  return { io_ms: query.ms, thread: runtime().thread };
});

app.getSync('/sync/cpu', { query: { ms } }, ({ query }) => {
  burn(query.ms);
  return { cpu_ms: query.ms, thread: runtime().thread };
});

app.getSync('/sync/native', { query: { ms } }, ({ query }) => {
  native(query.ms);
  return { native_ms: query.ms, thread: runtime().thread };
});

app.get('/headers', {}, ({ request }) => ({
  headers: Object.fromEntries(request.headers),
  method: request.method,
  path: request.scope.path,
  root_path: request.scope.root_path,
  query_string: latin1(request.scope.query_string),
  scheme: request.scope.scheme,
  http_version: request.scope.http_version,
  client: request.scope.client,
  server: request.scope.server,
  ...runtime(),
}));

app.post('/echo', {}, async ({ request }) => {
  const mediaType = request.headers.get('content-type') ?? 'application/octet-stream';
  return new Response(await request.body(), { mediaType });
});

app.get('/stream', { query: { n: withDefault(int({ ge: 0 }), 5), ms } }, ({ query }) => {
  const chunks = async function* (): AsyncGenerator<string> {
    for (let index = 0; index < query.n; index++) {
      if (index > 0) await wait(query.ms);
      yield `chunk ${index}\n`;
    }
  };
  return new StreamingResponse(chunks(), { mediaType: 'text/plain' });
});

app.get('/sse', { query: { n: withDefault(int({ ge: 0 }), 5), ms } }, ({ query }) => {
  const events = async function* (): AsyncGenerator<string> {
    for (let index = 0; index < query.n; index++) {
      if (index > 0) await wait(query.ms);
      yield `id: ${index}\nevent: tick\ndata: {"n": ${index}}\n\n`;
    }
  };
  return new StreamingResponse(events(), { mediaType: 'text/event-stream', headers: { 'cache-control': 'no-cache' } });
});

app.get('/size', { query: { bytes: int({ ge: 0 }) } }, ({ query }) => {
  return new Response(Buffer.alloc(query.bytes, 'x'), { mediaType: 'application/octet-stream' });
});

app.get('/crash', {}, () => runtime.exit(1));

app.get('/raise', {}, () => {
  throw new Error('raised by /raise');
});

const Item = model('Item', {
  name: str({ min_length: 1 }),
  price: float({ gt: 0 }),
  tags: withDefault(list(str()), []),
  description: optional(str()),
});

app.get(
  '/items/{item_id}',
  { path: { item_id: int() }, query: { q: optional(str()) }, name: 'read_item' },
  ({ path, query }) => ({
    item_id: path.item_id,
    q: query.q,
  }),
);

app.post('/items', { body: Item, response: Item, status: 201, name: 'create_item' }, ({ body }) => body);

app.websocket('/ws', async (socket) => {
  await socket.accept();
  for (;;) await socket.send(await socket.receive());
});
