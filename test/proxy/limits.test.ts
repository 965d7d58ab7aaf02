// limit_req and limit_conn: what passes, waits and is refused, and what the log says.
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { get, headerOf, type RunningProxy, runProxy, startProxy, statusOf } from './start-proxy.ts';

let proxy: RunningProxy;

beforeAll(async () => {
  proxy = await startProxy(
    `http {
      access_log off;
      error_log error.log warn;
      limit_req_zone $arg_key zone=slow:1m rate=1r/m;
      limit_req_zone $arg_key zone=burst:1m rate=1r/m;
      limit_req_zone $arg_key zone=quick:1m rate=20r/s;
      limit_req_zone $arg_key zone=dry:1m rate=1r/m;
      limit_req_zone $arg_other zone=other:1m rate=1r/m;
      limit_conn_zone $arg_key zone=conn:1m;
      server {
        listen 127.0.0.1:%%PORT_0%%;
        add_header X-Limit "$limit_req_status$limit_conn_status" always;
        location /slow { limit_req zone=slow; limit_req_status 429; }
        location /burst { limit_req zone=burst burst=2 nodelay; }
        location /quick { limit_req zone=quick burst=5; }
        location /dry { limit_req zone=dry; limit_req_dry_run on; limit_req_log_level info; }
        location /two { limit_req zone=other; limit_req zone=burst burst=100 nodelay; }
        location /page { limit_req zone=slow; error_page 503 /page/busy; }
        location /conn { limit_conn conn 1; proxy_buffering off; proxy_pass http://127.0.0.1:%%PORT_1%%; }
      }
      server { listen 127.0.0.1:%%PORT_1%%; location / { limit_rate 1; return 200 "a slow answer"; } }
    }`,
    { files: { 'html/slow': 's', 'html/burst': 'b', 'html/quick': 'q', 'html/dry': 'd', 'html/two': 't' } },
  );
});

afterAll(async () => {
  await proxy.stop();
});

async function many(count: number, uri: string): Promise<number[]> {
  const statuses: number[] = [];
  for (let i = 0; i < count; i++) statuses.push(statusOf(await get(proxy.port, uri)));
  return statuses;
}

test('the first passes, the second is refused, another key is another matter', async () => {
  expect(await many(2, '/slow?key=a')).toEqual([200, 429]);
  expect(await many(1, '/slow?key=b')).toEqual([200]);
  expect(await many(2, '/slow')).toEqual([200, 200]);
  expect(await proxy.waitFor('error.log', /limiting requests/)).toMatch(
    /\[error\] .* limiting requests, excess: (0\.99\d|1\.000) by zone "slow", client: 127\.0\.0\.1/,
  );
  const refused = await get(proxy.port, '/slow?key=a');
  expect(headerOf(refused, 'x-limit')).toBe('REJECTED');
});

test('a burst is let through at once without delay, then no more', async () => {
  expect(await many(4, '/burst?key=a')).toEqual([200, 200, 200, 503]);
});

test('a burst with delay comes one after the other', async () => {
  const answers = await Promise.all(Array.from({ length: 4 }, () => get(proxy.port, '/quick?key=a')));
  expect(answers.map(statusOf)).toEqual([200, 200, 200, 200]);
  expect(answers.map((a) => headerOf(a, 'x-limit')).sort()).toEqual(['DELAYED', 'DELAYED', 'DELAYED', 'PASSED']);
  expect(proxy.read('error.log')).toMatch(/\[warn\] .* delaying request, excess: \d\.\d{3}, by zone "quick"/);
});

test('a dry run refuses nobody', async () => {
  await get(proxy.port, '/dry?key=a');
  const second = await get(proxy.port, '/dry?key=a');
  expect([statusOf(second), headerOf(second, 'x-limit')]).toEqual([200, 'REJECTED_DRY_RUN']);
});

test('of two limits the stricter one counts, and a refused request is not charged to the other', async () => {
  expect(await many(3, '/two?key=z&other=1')).toEqual([200, 503, 503]);
  expect(await many(1, '/two?key=z&other=2')).toEqual([200]);
});

test('an error page of a refused request is not counted again', async () => {
  await get(proxy.port, '/page?key=p');
  const answer = await get(proxy.port, '/page?key=p');
  // The page is not there: 404 through the redirect, not another 503.
  expect(statusOf(answer)).toBe(404);
});

test('limit_conn counts requests at work and gives them back', async () => {
  const first = connect(proxy.port, '127.0.0.1');
  first.write('GET /conn?key=a HTTP/1.0\r\n\r\n');
  await new Promise((done) => first.once('data', done));
  const second = await get(proxy.port, '/conn?key=a');
  expect([statusOf(second), headerOf(second, 'x-limit')]).toEqual([503, 'REJECTED']);
  expect(proxy.read('error.log')).toContain('limiting connections by zone "conn"');
  const closed = new Promise((done) => first.once('close', done));
  first.destroy();
  await closed;
  // The proxy hears of the close in its own time: ask until the place is free.
  for (;;) {
    const status = await new Promise<string>((done) => {
      const socket = connect(proxy.port, '127.0.0.1');
      socket.once('data', (chunk: Buffer) => {
        socket.destroy();
        done(chunk.toString('latin1').slice(9, 12));
      });
      socket.write('GET /conn?key=a HTTP/1.0\r\n\r\n');
    });
    if (status === '200') break;
  }
});

test.each([
  ['limit_req_zone $host zone=a:1m rate=0r/s;', 'invalid rate "rate=0r/s"'],
  ['limit_req_zone $host zone=a:1k rate=1r/s;', 'zone "zone=a:1k" is too small'],
  ['limit_req_status 200;', 'value must be between 400 and 599'],
  ['limit_req zone=none;', 'zero size shared memory zone "none"'],
  ['limit_req burst=1;', '"limit_req" must have "zone" parameter'],
  ['limit_conn_zone $host zone=a:1m; limit_conn a 0;', 'invalid number of connections "0"'],
  [
    'limit_conn_zone $host zone=a:1m; limit_conn_zone $uri zone=a:1m;',
    'limit_conn_zone "a" is already bound to key "$host"',
  ],
])('%s is refused', async (directive, message) => {
  const { code, stderr } = await runProxy(`events { } http { ${directive} server { } }`);
  expect(code).toBe(1);
  expect(stderr).toContain(`nginx: [emerg] ${message}`);
});
