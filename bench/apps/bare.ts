// The shortest WSGI and ASGI applications, so that the server is measured and not a framework. Its twin is bare.py.
import type { AsgiApp } from '../../services/asgi.ts';
import type { WsgiApp } from '../../services/wsgi.ts';

const TYPE = 'text/plain; charset=utf-8';
const BODY = Buffer.from('hello from the app, 28 bytes');

export const wsgi: WsgiApp = (_environ, startResponse) => {
  startResponse('200 OK', [
    ['Content-Type', TYPE],
    ['Content-Length', String(BODY.length)],
  ]);
  return [BODY];
};

const HEADERS = [
  [Buffer.from('content-type'), Buffer.from(TYPE)],
  [Buffer.from('content-length'), Buffer.from(String(BODY.length))],
] as const;

export const asgi: AsgiApp = async (scope, receive, send) => {
  if (scope.type === 'lifespan') {
    for (;;) {
      const { type } = await receive();
      await send({ type: `${type}.complete` } as Parameters<typeof send>[0]);
      if (type === 'lifespan.shutdown') return;
    }
  }
  await send({ type: 'http.response.start', status: 200, headers: HEADERS });
  await send({ type: 'http.response.body', body: BODY });
};
