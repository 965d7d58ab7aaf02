// What is asked of the demo applications: every endpoint, right and wrong. Data only; app-servers.test.ts sends it to both stacks.

/** A request as its first line and what follows the Host field; `Connection: close` is added by the sender. */
export interface Ask {
  readonly line: string;
  readonly fields?: readonly string[];
  readonly body?: string;
  /** For requests that only one application has an answer to. */
  readonly only?: 'flask' | 'fastapi';
}

const json = ['Content-Type: application/json'];
const get = (target: string): Ask => ({ line: `GET ${target} HTTP/1.1` });
const post = (target: string, body: string, fields: readonly string[] = []): Ask => ({
  line: `POST ${target} HTTP/1.1`,
  fields,
  body,
});
const item = (body: unknown): Ask => ({ ...post('/items', JSON.stringify(body), json), only: 'fastapi' });
const fastapi = (target: string): Ask => ({ ...get(target), only: 'fastapi' });

export const ASKS: readonly Ask[] = [
  get('/'),
  get('/?a=1&b=%20'),
  { line: 'HEAD / HTTP/1.1' },
  { line: 'OPTIONS / HTTP/1.1' },
  { line: 'DELETE / HTTP/1.1' },
  { line: 'GET / HTTP/1.0' },
  get('/io?ms=1'),
  get('/io?ms=1.5'),
  get('/cpu?ms=1'),
  get('/native?ms=1'),
  get('/native?ms=1&hold=1'),
  get('/headers'),
  get('/headers?x=%C3%A9&y=a+b'),
  { ...get('/headers'), fields: ['X-One: a', 'x-one: b', 'Accept: */*', 'Cookie: a=b', 'X-Forwarded-For: 1.2.3.4'] },
  { ...get('/headers'), fields: ['X-Forwarded-Proto: https', 'X-Forwarded-For: 9.8.7.6'] },
  { line: 'GET /headers HTTP/1.0' },
  post('/echo', 'hello', ['Content-Type: text/plain; charset=utf-8']),
  post('/echo', 'x'.repeat(100_000)),
  post('/echo', ''),
  { line: 'POST /echo HTTP/1.1', fields: ['Transfer-Encoding: chunked'], body: '3\r\nabc\r\n2;e=f\r\nde\r\n0\r\n\r\n' },
  post('/', 'not for POST'),
  get('/stream'),
  get('/stream?n=2'),
  get('/stream?n=0'),
  { line: 'GET /stream?n=2 HTTP/1.0' },
  { line: 'HEAD /size?bytes=10 HTTP/1.1' },
  get('/sse?n=2'),
  get('/size?bytes=0'),
  get('/size?bytes=70000'),
  get('/size'),
  get('/size?bytes=-1'),
  get('/size?bytes=x'),
  get('/raise'),
  get('/nothing'),
  get('/nothing/'),
  get('/io/'),
  get('//'),
  get('/%2e%2e/'),
  get('/crash'),
  fastapi('/block?ms=1'),
  fastapi('/sync/hello'),
  fastapi('/sync/io?ms=1'),
  fastapi('/sync/cpu?ms=1'),
  fastapi('/sync/native?ms=1'),
  fastapi('/io?ms=-1'),
  fastapi('/io?ms=x'),
  fastapi('/stream?n=1.5'),
  fastapi('/native?hold=maybe'),
  fastapi('/items/7'),
  fastapi('/items/7?q=a%26b'),
  fastapi('/items/seven'),
  fastapi('/items/7.0'),
  fastapi('/items/'),
  fastapi('/openapi.json'),
  item({ name: 'pen', price: 1.5 }),
  item({ name: 'pen', price: 2, tags: ['a', 'b'], description: 'é' }),
  item({ name: '', price: 0 }),
  item({ price: 'x' }),
  item({ name: 1, price: 1, tags: 'a' }),
  item({ name: 'pen', price: '3.5' }),
  item([]),
  item('text'),
  { ...post('/items', '{"name": ', json), only: 'fastapi' },
  { ...post('/items', '', json), only: 'fastapi' },
  { ...post('/items', '{"name":"a","price":1}'), only: 'fastapi' },
];

/** The bytes of a request; `target` gets a prefix when it is sent through a proxy that takes it off. */
export function bytesOf(ask: Ask): string {
  const hasOwnFraming = ask.fields?.some((field) => field.startsWith('Transfer-Encoding')) ?? false;
  const framing = ask.body === undefined || hasOwnFraming ? [] : [`Content-Length: ${ask.body.length}`];
  const lines = [ask.line, 'Host: demo.test', 'Connection: close', ...(ask.fields ?? []), ...framing];
  return `${lines.join('\r\n')}\r\n\r\n${ask.body ?? ''}`;
}
