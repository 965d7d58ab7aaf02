// proxy_cache: what is kept, for how long, under which name on disk, and what is served when the upstream fails.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type FakeUpstream, fakeUpstream } from './fake-upstream.ts';
import { bodyOf, get, headerOf, type RunningProxy, raw, startProxy, statusOf } from './start-proxy.ts';

let upstream: FakeUpstream;
let proxy: RunningProxy;
/** What the upstream answers next: status line and headers; the body counts the requests. */
let reply: (request: string) => string;
let asked = 0;

beforeAll(async () => {
  upstream = await fakeUpstream(({ socket, text }) => {
    asked++;
    socket.end(reply(text));
  });
  proxy = await startProxy(`
http {
  access_log off;
  proxy_cache_path cache levels=1:2 keys_zone=one:1m use_temp_path=off;
  add_header X-Cache $upstream_cache_status always;
  proxy_cache_path small keys_zone=small:1m max_size=40k manager_sleep=100ms use_temp_path=off;
  server {
    listen 127.0.0.1:%%PORT_0%%;
    proxy_cache one;
    proxy_cache_key $uri$is_args$args;
    location / { proxy_pass http://127.0.0.1:${upstream.port}; proxy_cache_valid 200 1m; }
    location /twice/ { proxy_pass http://127.0.0.1:${upstream.port}; proxy_cache_valid 1m; proxy_cache_min_uses 2; }
    location /bypass/ {
      proxy_pass http://127.0.0.1:${upstream.port};
      proxy_cache_valid 1m;
      proxy_cache_bypass $http_x_fresh;
      proxy_no_cache $http_x_secret;
    }
    location /stale/ { proxy_pass http://127.0.0.1:${upstream.port}; proxy_cache_use_stale http_500; }
    location /again/ { proxy_pass http://127.0.0.1:${upstream.port}; proxy_cache_revalidate on; }
    location /small/ { proxy_pass http://127.0.0.1:${upstream.port}; proxy_cache small; proxy_cache_valid 1m; }
    location /lock/ { proxy_pass http://127.0.0.1:${upstream.port}; proxy_cache_valid 1m; proxy_cache_lock on; }
  }
}`);
});

afterAll(async () => {
  await proxy?.stop();
  await upstream?.stop();
});

beforeEach(() => {
  asked = 0;
  reply = () => response(`body ${asked}`);
});

function response(body: string, ...headers: string[]): string {
  return ['HTTP/1.1 200 OK', `Content-Length: ${body.length}`, ...headers, '', body].join('\r\n');
}

const statusesOf = async (uri: string, count: number, ...headers: string[]): Promise<string[]> => {
  const out: string[] = [];
  for (let i = 0; i < count; i++) out.push(headerOf(await get(proxy.port, uri, ...headers), 'X-Cache') ?? '-');
  return out;
};

const past = new Date(Date.now() - 10_000).toUTCString();

describe('keeping', () => {
  it('serves the second request from disk, in nginx’s layout', async () => {
    expect(bodyOf(await get(proxy.port, '/a'))).toBe('body 1');
    const second = await get(proxy.port, '/a');
    expect(headerOf(second, 'X-Cache')).toBe('HIT');
    expect(bodyOf(second)).toBe('body 1');
    const digest = createHash('md5').update('/a').digest('hex');
    const file = readFileSync(join(proxy.dir, 'cache', digest.slice(-1), digest.slice(-3, -1), digest), 'latin1');
    expect(file.charCodeAt(0)).toBe(5);
    expect(file.slice(336)).toBe('\nKEY: /a\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nbody 1');
  });

  it('asks again when the file was removed', async () => {
    await get(proxy.port, '/removed');
    rmSync(join(proxy.dir, 'cache'), { recursive: true });
    expect(await statusesOf('/removed', 2)).toEqual(['MISS', 'HIT']);
  });

  it.each([
    ['Cache-Control: no-store'],
    ['Cache-Control: private, max-age=10'],
    ['Set-Cookie: a=b'],
    [`Expires: ${past}`],
    ['X-Accel-Expires: 0'],
    ['Vary: *'],
  ])('does not keep %s', async (header) => {
    reply = () => response('x', header);
    expect(await statusesOf(`/not?${encodeURIComponent(header)}`, 2)).toEqual(['MISS', 'MISS']);
  });

  it('keeps a HEAD as the whole response, and no POST', async () => {
    await raw(proxy.port, 'HEAD /head HTTP/1.0\r\n\r\n');
    expect(upstream.requests.at(-1)!.text).toMatch(/^GET \/head /);
    expect(headerOf(await get(proxy.port, '/head'), 'X-Cache')).toBe('HIT');
    const post = await raw(proxy.port, 'POST /head HTTP/1.0\r\nContent-Length: 0\r\n\r\n');
    expect(headerOf(post, 'X-Cache')).toBeUndefined();
  });

  it('keeps one variant for each value that Vary names', async () => {
    reply = () => response(`body ${asked}`, 'Vary: Accept-Language');
    const ask = async (language: string): Promise<string> =>
      bodyOf(await get(proxy.port, '/vary', `Accept-Language: ${language}`));
    expect([await ask('de'), await ask('en'), await ask('de'), await ask('en')]).toEqual([
      'body 1',
      'body 2',
      'body 1',
      'body 2',
    ]);
  });

  it('waits for min_uses, bypasses and skips as told', async () => {
    expect(await statusesOf('/twice/', 3)).toEqual(['MISS', 'MISS', 'HIT']);
    expect(await statusesOf('/bypass/', 2)).toEqual(['MISS', 'HIT']);
    expect(await statusesOf('/bypass/', 1, 'X-Fresh: 1')).toEqual(['BYPASS']);
    expect(bodyOf(await get(proxy.port, '/bypass/'))).toBe(`body ${asked}`);
    expect(await statusesOf('/bypass/other', 2, 'X-Secret: 1')).toEqual(['MISS', 'MISS']);
  });

  it('answers conditions and ranges from the cache', async () => {
    reply = () => response('0123456789', 'ETag: "v1"', 'Accept-Ranges: bytes');
    await get(proxy.port, '/part');
    expect(statusOf(await get(proxy.port, '/part', 'If-None-Match: "v1"'))).toBe(304);
    const part = await get(proxy.port, '/part', 'Range: bytes=2-4');
    expect([statusOf(part), bodyOf(part), asked]).toEqual([206, '234', 1]);
  });
});

describe('expired responses', () => {
  it('are served when the upstream fails, if told', async () => {
    reply = () => response('old', `X-Accel-Expires: @${Math.floor(Date.now() / 1000) - 5}`);
    await get(proxy.port, '/stale/');
    reply = () => 'HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n';
    const text = await get(proxy.port, '/stale/');
    expect([statusOf(text), headerOf(text, 'X-Cache'), bodyOf(text)]).toEqual([200, 'STALE', 'old']);
  });

  it('are good again after a 304', async () => {
    const expired = `X-Accel-Expires: @${Math.floor(Date.now() / 1000) - 5}`;
    reply = () => response('old', 'ETag: "v1"', `Last-Modified: ${past}`, expired);
    await get(proxy.port, '/again/');
    reply = () => 'HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=60\r\n\r\n';
    const text = await get(proxy.port, '/again/');
    expect([headerOf(text, 'X-Cache'), bodyOf(text)]).toEqual(['REVALIDATED', 'old']);
    expect(upstream.requests.at(-1)!.text).toMatch(`If-Modified-Since: ${past}\r\nIf-None-Match: "v1"`);
    expect(await statusesOf('/again/', 1)).toEqual(['HIT']);
  });
});

it('lets one request fetch while the others wait', async () => {
  const all = await Promise.all(Array.from({ length: 5 }, () => get(proxy.port, '/lock/')));
  expect(all.map((text) => headerOf(text, 'X-Cache')).toSorted()).toEqual(['HIT', 'HIT', 'HIT', 'HIT', 'MISS']);
  expect(asked).toBe(1);
  expect(existsSync(join(proxy.dir, 'proxy_temp'))).toBe(false);
});

describe('max_size', () => {
  const sizes = (): number[] => {
    const dir = join(proxy.dir, 'small');
    return readdirSync(dir).map((name) => statSync(join(dir, name), { throwIfNoEntry: false })?.size ?? 0);
  };

  it('is kept while files keep coming', async () => {
    let most = 0;
    let i = 1;
    await get(proxy.port, '/small/0');
    for (; i < 1000 && sizes().length >= most; i++) {
      most = sizes().length;
      await get(proxy.port, `/small/${i}`);
    }
    expect(i).toBeLessThan(1000);
  });

  it('counts whole blocks', async () => {
    const block = statfsSync(proxy.dir).bsize;
    const used = (): number => sizes().reduce((sum, size) => sum + Math.ceil(size / block) * block, 0);
    for (let i = 3000; i < 3020; i++) await get(proxy.port, `/small/${i}`);
    await vi.waitUntil(() => used() < 40_960);
    expect(sizes().length).toBeGreaterThan(0);
  });
});
