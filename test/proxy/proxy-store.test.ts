// proxy_store: what becomes a file, where, and with which permissions and time.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type FakeUpstream, fakeUpstream } from './fake-upstream.ts';
import { bodyOf, get, type RunningProxy, raw, runProxy, startProxy } from './start-proxy.ts';

let upstream: FakeUpstream;
let proxy: RunningProxy;

beforeAll(async () => {
  upstream = await fakeUpstream(({ socket, text }) => {
    const modified = 'Last-Modified: Tue, 15 Nov 1994 12:45:26 GMT';
    if (text.includes('missing')) socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx');
    else if (text.includes('cut')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf');
    else if (text.includes('chunked')) {
      socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n');
    } else if (text.startsWith('HEAD')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n');
    else socket.end(`HTTP/1.1 200 OK\r\n${modified}\r\nContent-Length: 4\r\n\r\nbody`);
  });
  proxy = await startProxy(`
http {
  access_log off;
  proxy_temp_path %%DIR%%/temp;
  proxy_http_version 1.1;
  server {
    listen 127.0.0.1:%%PORT_0%%;
    root %%DIR%%/kept;
    location / { proxy_pass http://127.0.0.1:${upstream.port}; proxy_store on; proxy_store_access group:r all:r; }
    location /named/ { proxy_pass http://127.0.0.1:${upstream.port}; proxy_store %%DIR%%/by-arg/$arg_name; }
    location /direct/ { proxy_pass http://127.0.0.1:${upstream.port}; proxy_store on; proxy_buffering off; }
  }
}`);
});

afterAll(async () => {
  await proxy?.stop();
  await upstream?.stop();
});

const kept = (path: string): string => join(proxy.dir, path);

it('keeps a whole response where root says, with its time and permissions', async () => {
  expect(bodyOf(await get(proxy.port, '/deep/file.html'))).toBe('body');
  expect(readFileSync(kept('kept/deep/file.html'), 'latin1')).toBe('body');
  const stats = statSync(kept('kept/deep/file.html'));
  expect(stats.mode & 0o777).toBe(0o644);
  expect(stats.mtimeMs).toBe(Date.UTC(1994, 10, 15, 12, 45, 26));
  expect(statSync(kept('kept/deep')).mode & 0o777).toBe(0o755);
});

it('keeps it where a string with variables says', async () => {
  await get(proxy.port, '/named/x?name=mine');
  expect(readFileSync(kept('by-arg/mine'), 'latin1')).toBe('body');
  expect(statSync(kept('by-arg/mine')).mode & 0o777).toBe(0o600);
});

it('keeps the body of chunked responses as it is meant', async () => {
  await get(proxy.port, '/chunked');
  expect(readFileSync(kept('kept/chunked'), 'latin1')).toBe('abc');
});

it('keeps nothing of errors, cut responses, HEAD, or without buffering, and leaves no temporary files', async () => {
  await get(proxy.port, '/missing');
  await get(proxy.port, '/cut');
  await raw(proxy.port, 'HEAD /head HTTP/1.0\r\n\r\n');
  await get(proxy.port, '/direct/x');
  for (const name of ['missing', 'cut', 'head', 'direct/x']) expect(existsSync(kept(`kept/${name}`))).toBe(false);
  expect(readdirSync(kept('temp'))).toEqual([]);
});

it.each([
  ['proxy_store_access user:x;', 'invalid value "user:x"'],
  ['proxy_cache a; proxy_store on;', '"proxy_store" directive is incompatible with "proxy_cache"'],
])('refuses %s', async (words, message) => {
  const { code, stderr } = await runProxy(
    `events { } http { proxy_cache_path c keys_zone=a:1m; server { location / { ${words} } } }`,
  );
  expect(code).toBe(1);
  expect(stderr).toContain(`nginx: [emerg] ${message} in DIR/nginx.conf:1`);
});
