/**
 * The Flask-style demo application, `services/apps/flask.ts:app`: one endpoint for each thing that a web application does to its
 * server. Its FastAPI-style sibling has the same endpoints with the same answers.
 */

import { burn, native, nativeHoldingGil, sleep } from '../gil/python.ts';
import { runtime } from '../runtime.ts';
import { flask } from './flask/app.ts';
import { abort } from './flask/http-exception.ts';
import { jsonify, Response } from './flask/response.ts';

export const app = flask('flask');

app.get('/', () => ({ message: 'Hello from Flask' }));

app.get('/io', (request) => {
  const ms = request.number('ms', 0);
  sleep(ms);
  return { io_ms: ms };
});

app.get('/cpu', (request) => {
  const ms = request.number('ms', 0);
  burn(ms);
  return { cpu_ms: ms };
});

app.get('/native', (request) => {
  const ms = request.number('ms', 0);
  if (request.args.has('hold')) nativeHoldingGil(ms);
  else native(ms);
  return { native_ms: ms };
});

app.get('/headers', (request) =>
  jsonify({
    headers: request.headers,
    method: request.method,
    path: request.path,
    root_path: request.scriptRoot,
    query_string: request.queryString,
    scheme: request.scheme,
    http_version: request.environ.SERVER_PROTOCOL.slice(5),
    client: [request.remoteAddr, Number(request.environ.REMOTE_PORT ?? 0)],
    server: [request.environ.SERVER_NAME, Number(request.environ.SERVER_PORT)],
    ...runtime(),
  }),
);

app.post(
  '/echo',
  (request) => new Response(request.data, { contentType: request.contentType ?? 'application/octet-stream' }),
);

app.get('/stream', (request) => {
  const count = request.number('n', 5);
  const ms = request.number('ms', 0);
  const chunks = function* (): Generator<string> {
    for (let index = 0; index < count; index++) {
      if (index > 0) sleep(ms);
      yield `chunk ${index}\n`;
    }
  };
  return new Response(chunks(), { mimetype: 'text/plain' });
});

app.get('/sse', (request) => {
  const count = request.number('n', 5);
  const ms = request.number('ms', 0);
  const events = function* (): Generator<string> {
    for (let index = 0; index < count; index++) {
      if (index > 0) sleep(ms);
      yield `id: ${index}\nevent: tick\ndata: {"n": ${index}}\n\n`;
    }
  };
  return new Response(events(), { mimetype: 'text/event-stream', headers: [['Cache-Control', 'no-cache']] });
});

app.get('/size', (request) => {
  const bytes = request.number('bytes');
  if (bytes < 0) abort(400);
  return new Response(Buffer.alloc(bytes, 'x'), { mimetype: 'application/octet-stream' });
});

app.get('/crash', () => runtime.exit(1));

app.get('/raise', () => {
  throw new Error('raised by /raise');
});
