// The twin of python/dump.py: applications that answer with what their server gave them.
import type { AsgiApp } from '../../../services/asgi.ts';
import type { WsgiApp } from '../../../services/wsgi.ts';

const LEFT_OUT = new Set(['REMOTE_PORT', 'SERVER_PORT']);

export const wsgi: WsgiApp = (environ, startResponse) => {
  const body = environ['wsgi.input'].read();
  const seen: Record<string, string> = { body: Buffer.from(body).toString('latin1') };
  for (const [name, value] of Object.entries(environ)) {
    if (typeof value === 'string' && !LEFT_OUT.has(name)) seen[name] = value;
  }
  const sorted = Object.entries(seen).sort(([one], [other]) => (one < other ? -1 : 1));
  const out = Buffer.from(JSON.stringify(Object.fromEntries(sorted)), 'latin1');
  startResponse('200 OK', [
    ['Content-Type', 'application/json'],
    ['Content-Length', String(out.length)],
  ]);
  return [out];
};

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

export const asgi: AsgiApp = async (scope, receive, send) => {
  if (scope.type !== 'http') {
    for (;;) {
      const { type } = await receive();
      await send({ type: `${type}.complete` } as Parameters<typeof send>[0]);
      if (type === 'lifespan.shutdown') return;
    }
  }
  const body: Uint8Array[] = [];
  for (let isMore = true; isMore; ) {
    const message = await receive();
    if (message.type !== 'http.request') break;
    body.push(message.body);
    isMore = message.more_body;
  }
  const seen = {
    method: scope.method,
    path: scope.path,
    raw_path: text(scope.raw_path),
    query_string: text(scope.query_string),
    http_version: scope.http_version,
    scheme: scope.scheme,
    headers: scope.headers.map(([name, value]) => [text(name), text(value)]),
    body: text(Buffer.concat(body)),
  };
  const out = Buffer.from(JSON.stringify(seen));
  const headers = [[Buffer.from('content-length'), Buffer.from(String(out.length))] as const];
  await send({ type: 'http.response.start', status: 200, headers });
  await send({ type: 'http.response.body', body: out });
};
