// Chunk sizes of an upstream's response at the edge of nginx's off_t: what is a size there is waited for, what is none is an
// invalid response. Both end the client's connection without the last chunk; the log says which it was.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type FakeUpstream, fakeUpstream } from './fake-upstream.ts';
import { type RunningProxy, raw, startProxy } from './start-proxy.ts';

const INVALID = 'upstream sent invalid chunked response';
const EARLY = 'upstream prematurely closed connection';

const SIZES: readonly (readonly [size: string, said: string])[] = [
  ['100000005', EARLY],
  ['20000000000001', EARLY],
  ['7ffffffffffffff', EARLY],
  ['0000000007ffffffffffffff', EARLY],
  ['800000000000000', INVALID],
  ['000000000800000000000000', INVALID],
  ['fffffffffffffff', INVALID],
  ['7ffffffffffffffa', INVALID],
  ['7fffffffffffffff', INVALID],
  ['8000000000000000', INVALID],
  ['ffffffffffffffff', INVALID],
  ['10000000000000001', INVALID],
];

let upstream: FakeUpstream;
let proxy: RunningProxy;
beforeAll(async () => {
  upstream = await fakeUpstream(({ text, socket }) => {
    const size = /^GET \/\w+\/(\w+) /.exec(text)![1]!;
    socket.end(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n${size}\r\nrest`);
  });
  const to = `http://127.0.0.1:${upstream.port}`;
  proxy = await startProxy(`
http {
  access_log off;
  server {
    listen 127.0.0.1:%%PORT_0%%;
    proxy_http_version 1.1;
    location /buffered { proxy_pass ${to}; }
    location /unbuffered { proxy_buffering off; proxy_pass ${to}; }
  }
}`);
});
afterAll(async () => {
  await proxy?.stop();
  await upstream?.stop();
});

const CASES = ['buffered', 'unbuffered'].flatMap((way) => SIZES.map(([size, said]) => ({ way, size, said })));

it.each(CASES)('$way, size $size: $said', async ({ way, size, said }) => {
  const answer = await raw(proxy.port, `GET /${way}/${size} HTTP/1.1\r\nHost: a\r\n\r\n`);
  // All came at once: the head, which waits for more to be sent with it, is dropped with an invalid body.
  if (said === INVALID) expect(answer).toBe('');
  else expect(answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\n6\r\nokrest\r\n$/);
  const line = await proxy.waitFor('error.log', new RegExp(`.*/${way}/${size} .*`));
  expect(line.split('\n').find((each) => each.includes(`/${way}/${size} `))).toContain(said);
});
