// Odd heads of an upstream, and what the client gets for each. It holds for the original (PORTICO_TEST_NGINX), but for
// answers of HTTP/0.9: behind one, nginx goes on with a connection whose client cannot see where the answer ends.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type FakeUpstream, fakeUpstream } from './fake-upstream.ts';
import { type RunningProxy, raw, startProxy } from './start-proxy.ts';

/** The status line and the upstream's own fields, or all that came. */
const HEADS: readonly (readonly [sent: string, got: readonly string[] | 'as it is'])[] = [
  ['HTTP/1.1 200 OK\r\nA: b\r\n\r\n', ['HTTP/1.1 200 OK', 'A: b']],
  // The status line.
  ['HTTP/1.1 404\r\n\r\n', ['HTTP/1.1 404']],
  ['HTTP/1.1 403.2 Odd\n\n', ['HTTP/1.1 403.2 Odd']],
  ['HTTP/1.1 200..\r\n\r\n', ['HTTP/1.1 200..']],
  ['HTTP/1.1   201 Made\r\n\r\n', ['HTTP/1.1 201 Made']],
  ['HTTP/1.1 3 01 Moved\r\n\r\n', ['HTTP/1.1  01 Moved']],
  ['HTTP/2.0 200 OK\r\n\r\n', ['HTTP/1.1 200 OK']],
  ['HTTP/100.0001 200 OK\r\n\r\n', ['HTTP/1.1 200 OK']],
  // No status line: an answer of HTTP/0.9.
  ['hello', 'as it is'],
  ['HTTP/1.1 200 OK\r0\r\n\r\nHTTP/1.1 200 OK\r\nX-Accel-R\x0bedirect: /own\r\n\r\nx', 'as it is'],
  ['HTTP/1.1 2000 OK\r\n\r\n', 'as it is'],
  ['HTTP/01.1 200 OK\r\n\r\n', 'as it is'],
  ['HTTP/1000.1 200 OK\r\n\r\n', 'as it is'],
  ['HTTP/1.1000 200 OK\r\n\r\n', 'as it is'],
  ['HTTP/1.1 200OK\r\n\r\n', 'as it is'],
  ['HTTP/1.x and no line end', 'as it is'],
  ['HTTP/1.1 30202', 'as it is'],
  ['HTTP/1.1 200 OK\rx', 'as it is'],
  // What could still become one.
  ['HTTP/1.1 200 OK', ['HTTP/1.1 502 Bad Gateway']],
  ['HTTP/1.1 20', ['HTTP/1.1 502 Bad Gateway']],
  ['HTT', ['HTTP/1.1 502 Bad Gateway']],
  // Lines that begin like a status line are skipped.
  ['HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\n', ['HTTP/1.1 200 OK', 'A: b']],
  ['HTTP/1.1 200 OK\r\nHTTP/\r\nA: b\r\n\r\n', ['HTTP/1.1 200 OK', 'A: b']],
  ['HTTP/1.1 200 OK\r\nHTTP/1.1: x\0\r\nA: b\r\r\n\r\n', ['HTTP/1.1 200 OK', 'A: b']],
  ['HTTP/1.1 200 OK\r\nhttp/1.1: x\r\n\r\n', ['HTTP/1.1 200 OK', 'http/1.1: x']],
  // Names.
  ['HTTP/1.1 200 OK\r\n/\r\n"=": x\r\na/: b\r\n_: c\r\n\r\n', ['HTTP/1.1 200 OK', 'a/: b', '_: c']],
  ['HTTP/1.1 200 OK\r\n/: x\0\r\n\r\n', ['HTTP/1.1 502 Bad Gateway']],
  ['HTTP/1.1 200 OK\r\nNone\r\n\r\n', ['HTTP/1.1 200 OK', 'None: ']],
  // Broken escapes of an internal redirect.
  ['HTTP/1.1 200 OK\r\nX-Accel-Redirect: /%own\r\n\r\n', ['HTTP/1.1 299 ', 'X-Uri: /own']],
  ['HTTP/1.1 200 OK\r\nX-Accel-Redirect: /o%4wn\r\n\r\n', ['HTTP/1.1 299 ', 'X-Uri: /on']],
  // Line ends.
  ['HTTP/1.1 200 OK\r\nA: b\r\r\r\n\r\n', ['HTTP/1.1 200 OK', 'A: b']],
  ['HTTP/1.1 200 OK\r\nA: b\r\n\r\r\n\r\n', ['HTTP/1.1 502 Bad Gateway']],
  ['HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n', ['HTTP/1.1 502 Bad Gateway']],
  ['HTTP/1.1 200 OK\r\nX-Accel-Redirect: /file/none\r\n\r\n', ['HTTP/1.1 404 Not Found']],
];

/** Heads that go no further, and what the log says of them at once. */
const UNENDED: readonly (readonly [sent: string, said: string])[] = [
  ['HTTP/1.1 200 OK\r\nLoc\x16', 'Loc\\x16...'],
  ['HTTP/1.1 200 OK\r\nA: b\r+', 'A: b\\x0d...'],
  ['HTTP/1.1 200 OK\r\nA: b\0', 'A: b\\x00...'],
  ['HTTP/1.1 200 OK\r\nA: b\r\n:', '\\x3a...'],
  ['HTTP/1.1 200 OK\r\nA: b\r\n\rx', '\\x0d...'],
];

let upstream: FakeUpstream;
let proxy: RunningProxy;
beforeAll(async () => {
  upstream = await fakeUpstream(({ text, socket }) => {
    const [, kind, number] = /^GET \/(\w+)\/(\d+)/.exec(text)!;
    if (kind === 'ended') socket.end(HEADS[Number(number)]![0], 'latin1');
    else socket.write(UNENDED[Number(number)]![0], 'latin1');
  });
  proxy = await startProxy(`http { access_log off; server { listen 127.0.0.1:%%PORT_0%%;
    location /file { }
    location /o { add_header X-Uri $uri always; return 299; }
    location / { proxy_pass http://127.0.0.1:${upstream.port}; proxy_http_version 1.1; } } }`);
});
afterAll(async () => {
  await proxy?.stop();
  await upstream?.stop();
});

const OWN = /^(?:Server|Date|Content-Type|Content-Length|Transfer-Encoding|Connection):/;

it.each(HEADS.map(([sent, got], i) => ({ sent, got, i })))('$sent', async ({ sent, got, i }) => {
  const answer = await raw(proxy.port, `GET /ended/${i} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  if (got === 'as it is') expect(answer).toBe(sent);
  else {
    const lines = answer.slice(0, answer.indexOf('\r\n\r\n')).split('\r\n');
    expect(lines.filter((line) => !OWN.test(line))).toEqual(got);
  }
});

it.each(UNENDED.map(([sent, said], i) => ({ sent, said, i })))('$sent, and no more', async ({ said, i }) => {
  const answer = await raw(proxy.port, `GET /unended/${i} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  expect(answer).toMatch(/^HTTP\/1\.1 502 /);
  const log = proxy.read('error.log').split('\n');
  expect(log.find((line) => line.includes(`/unended/${i} `))).toContain(
    `upstream sent invalid header: "${said}" while reading response header from upstream`,
  );
});

it('logs what comes of a redirect inside without the action before it', async () => {
  await raw(proxy.port, `GET /ended/${HEADS.length - 1} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  expect(proxy.read('error.log')).toMatch(/none" failed \(2: No such file or directory\), client: /);
});
