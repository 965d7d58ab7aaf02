// An upstream that stalls, lies about its lengths, breaks off, or closes a kept connection at the worst moment. It records
// every request that it began to execute: what nginx tries again is tried again, and a POST that was sent never is.
// The expected figures are those of nginx 1.22 (PORTICO_TEST_NGINX runs this file against it).
import { describe, expect, it } from 'vitest';
import { type FakeRequest, fakeUpstream, ok } from '../proxy/fake-upstream.ts';
import { bodyOf, raw, statusOf } from '../proxy/start-proxy.ts';
import { atEnd, size, start, statusFor, tell } from './fire.ts';

const CLOSE = 'Connection: close\r\n\r\n';

function request(method: string, uri: string, id: number): string {
  const body = method === 'POST' ? 'Content-Length: 4\r\n' : '';
  return `${method} ${uri} HTTP/1.1\r\nHost: a\r\nX-Id: ${id}\r\n${body}${CLOSE}${body && 'body'}`;
}

interface Fault {
  readonly what: string;
  readonly act: (request: FakeRequest) => void;
  /** Status that the client gets; its body is `body`, and the connection always ends. */
  readonly status: number;
  readonly body?: string;
}

const HEAD = 'HTTP/1.1 200 OK\r\n';
const FAULTS: readonly Fault[] = [
  { what: 'stalls before its head', act: () => undefined, status: 504 },
  { what: 'stalls in its head', act: ({ socket }) => socket.write(`${HEAD}X-A`), status: 504 },
  {
    what: 'stalls in its body',
    act: ({ socket }) => socket.write(`${HEAD}Content-Length: 9\r\n\r\nabc`),
    status: 200,
    body: '',
  },
  { what: 'ends before its head', act: ({ socket }) => socket.end(), status: 502 },
  { what: 'resets before its head', act: ({ socket }) => socket.resetAndDestroy(), status: 502 },
  { what: 'ends in its head', act: ({ socket }) => socket.end(`${HEAD}X-A`), status: 502 },
  {
    what: 'resets in its head',
    act: ({ socket }) => void socket.write(HEAD, () => socket.resetAndDestroy()),
    status: 502,
  },
  {
    what: 'is short of its Content-Length',
    act: ({ socket }) => socket.end(`${HEAD}Content-Length: 9\r\n\r\nabc`),
    status: 200,
    body: 'abc',
  },
  {
    what: 'goes beyond its Content-Length',
    act: ({ socket }) => socket.end(`${HEAD}Content-Length: 3\r\n\r\nabcdef`),
    status: 200,
    body: 'abc',
  },
  {
    what: 'answers twice at once',
    act: ({ socket }) => socket.write(`${HEAD}Content-Length: 3\r\n\r\nabc${HEAD}Content-Length: 6\r\n\r\nforged`),
    status: 200,
    body: 'abc',
  },
  {
    what: 'cuts a chunk',
    act: ({ socket }) => socket.end(`${HEAD}Transfer-Encoding: chunked\r\n\r\n9\r\nabc`),
    status: 200,
    body: '3\r\nabc\r\n',
  },
  {
    what: 'leaves the last chunk out',
    act: ({ socket }) => socket.end(`${HEAD}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`),
    status: 200,
    body: '3\r\nabc\r\n',
  },
  // What does not begin like HTTP is HTTP/0.9 to nginx: passed on as it is, without a head.
  { what: 'sends no HTTP', act: ({ socket }) => socket.end('\x16\x03\x01 what is this\r\n\r\n'), status: 0 },
  {
    what: 'has a bad Content-Length',
    act: ({ socket }) => socket.end(`${HEAD}Content-Length: -3\r\n\r\nabc`),
    status: 200,
  },
];

describe('one answer', () => {
  it.each(FAULTS)('of a server that $what', async ({ act, status, body }) => {
    const upstream = await fakeUpstream((r) => (/X-Id: 0\r/.test(r.text) ? r.socket.write(ok('fine')) : act(r)));
    atEnd(() => upstream.stop());
    const proxy = await start(
      `http { access_log off; upstream u { server 127.0.0.1:${upstream.port} max_fails=0; keepalive 8; } server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_http_version 1.1; proxy_set_header Connection ''; proxy_read_timeout 300ms; proxy_pass http://u; } } }`,
    );
    const get = await raw(proxy.port, request('GET', '/', 1));
    const post = await raw(proxy.port, request('POST', '/', 2));
    expect([statusOf(get), statusOf(post)]).toEqual([status, status]);
    if (body !== undefined) expect([bodyOf(get), bodyOf(post)]).toEqual([body, body]);
    // One server, so no second try; and nobody after it gets what the liar left behind.
    expect(upstream.requests.filter((r) => r.text.startsWith('POST'))).toHaveLength(1);
    for (let i = 0; i < 3; i++) expect(bodyOf(await raw(proxy.port, request('GET', '/', 0)))).toBe('fine');
  });
});

describe('two servers', () => {
  it.each([
    { what: 'ends before its head', act: ({ socket }: FakeRequest) => void socket.end() },
    { what: 'resets before its head', act: ({ socket }: FakeRequest) => void socket.resetAndDestroy() },
    { what: 'stalls', act: () => undefined },
  ])('one of which $what: a GET goes on to the other, a POST is executed once', async ({ what, act }) => {
    const bad = await fakeUpstream(act);
    const good = await fakeUpstream(({ socket }) => socket.write(ok('fine')));
    atEnd(() => Promise.all([bad.stop(), good.stop()]));
    const proxy = await start(
      `http { access_log off; upstream u { server 127.0.0.1:${bad.port} max_fails=0; server 127.0.0.1:${good.port} max_fails=0; } server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_read_timeout 200ms; proxy_pass http://u; } } }`,
    );
    const statuses: Record<string, number> = {};
    const count = size(40, 8);
    for (let id = 0; id < count; id++) {
      // Three, so that the turn of the servers meets the POST of both.
      for (const [method, number] of [
        ['GET', id],
        ['POST', 2 * id],
        ['POST', 2 * id + 1],
      ] as const) {
        const key = `${method} ${statusOf(await raw(proxy.port, request(method, '/', number)))}`;
        statuses[key] = (statuses[key] ?? 0) + 1;
      }
    }
    const posts = [...bad.requests, ...good.requests].filter((r) => r.text.startsWith('POST'));
    tell(`a server of two ${what}`, { statuses, posts: posts.length });
    expect(statuses['GET 200']).toBe(count);
    expect(posts).toHaveLength(2 * count);
    expect(new Set(posts.map((r) => /X-Id: (\d+)/i.exec(r.text)![1])).size).toBe(2 * count);
    expect(bad.requests.filter((r) => r.text.startsWith('POST')).length).toBe(
      statuses[what === 'stalls' ? 'POST 504' : 'POST 502'],
    );
  });
});

describe('a kept connection', () => {
  const CONF = (port: number): string =>
    `http { access_log off; upstream u { server 127.0.0.1:${port} max_fails=0; keepalive 8; } server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_http_version 1.1; proxy_set_header Connection ''; proxy_pass http://u; } } }`;

  it.each([
    { what: 'ends', close: ({ socket }: FakeRequest) => void socket.end() },
    { what: 'is reset', close: ({ socket }: FakeRequest) => void socket.resetAndDestroy() },
  ])('that $what when a request has arrived: GET tried again, POST not', async ({ what, close }) => {
    const served = new Map<number, number>();
    const upstream = await fakeUpstream((r) => {
      const before = served.get(r.connection) ?? 0;
      served.set(r.connection, before + 1);
      // The first request of a connection is answered, the second executed and not answered.
      if (before === 0) r.socket.write(ok('fine'));
      else close(r);
    });
    atEnd(() => upstream.stop());
    const proxy = await start(CONF(upstream.port));
    const statuses: Record<string, number> = {};
    const answered = new Set<string>();
    const count = size(2000, 200);
    for (let id = 0; id < count; id++) {
      const method = id % 3 === 0 ? 'POST' : 'GET';
      const status = statusOf(await raw(proxy.port, request(method, '/', id)));
      const key = `${method} ${status}`;
      statuses[key] = (statuses[key] ?? 0) + 1;
      if (status === 200) answered.add(String(id));
    }
    const posts = upstream.requests.filter((r) => r.text.startsWith('POST'));
    const ids = posts.map((r) => /X-Id: (\d+)/i.exec(r.text)![1]!);
    tell(`a kept connection ${what} under a request`, {
      statuses,
      executed: upstream.requests.length,
      posts: ids.length,
    });
    // No POST twice, each one executed, whether it was answered or not; no GET lost.
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBe(Math.ceil(count / 3));
    expect(statuses['GET 200']).toBe(count - ids.length);
    expect(statuses['POST 502']).toBeGreaterThan(0);
  });

  it('that the server closed while nobody used it costs nothing', async () => {
    const upstream = await fakeUpstream(({ socket }) => void socket.end(ok('fine')));
    atEnd(() => upstream.stop());
    const proxy = await start(CONF(upstream.port));
    const count = size(1000, 100);
    for (let id = 0; id < count; id++) expect(statusOf(await raw(proxy.port, request('POST', '/', id)))).toBe(200);
    expect(upstream.requests).toHaveLength(count);
    expect(await statusFor(proxy.port, '/')).toBe(200);
    tell('kept connections closed while idle', { posts: count, executed: upstream.requests.length - 1 });
  });
});
