// add_header, expires and add_trailer.
import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bodyOf, get, headerOf, type RunningProxy, raw, runProxy, startProxy, statusOf } from './start-proxy.ts';

let proxy: RunningProxy;
beforeAll(async () => {
  proxy = await startProxy(
    `http {
      access_log off;
      add_header X-Outer outer;
      map $arg_e $expires { default off; epoch epoch; hour 1h; bad nonsense; }
      server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%DIR%%/files;
        location / { }
        location /own/ { alias %%DIR%%/files/; add_header X-Uri $uri; add_header X-Empty $arg_nothing; }
        location /always/ { add_header X-Sometimes no; add_header X-Always yes always; }
        location /replace/ { alias %%DIR%%/files/; add_header ETag '"mine"'; add_header Last-Modified "Sat, 08 Sep 2001 01:46:40 GMT"; }
        location /remove/ { alias %%DIR%%/files/; add_header ETag ""; add_header Last-Modified ""; }
        location /cache/ { alias %%DIR%%/files/; expires 1h; add_header Cache-Control private; }
        location /hour/ { alias %%DIR%%/files/; expires 1h; }
        location /past/ { alias %%DIR%%/files/; expires -1; }
        location /zero/ { alias %%DIR%%/files/; expires 0; }
        location /epoch/ { alias %%DIR%%/files/; expires epoch; }
        location /max/ { alias %%DIR%%/files/; expires max; }
        location /modified/ { alias %%DIR%%/files/; expires modified 1d; }
        location /daily/ { alias %%DIR%%/files/; expires @15h30m; }
        location /mapped/ { alias %%DIR%%/files/; expires $expires; }
        location /trailer/ { alias %%DIR%%/files/; add_trailer X-Sent $bytes_sent; add_trailer X-None $arg_none; }
      }
    }`,
    { files: { 'files/t.html': 'text' } },
  );
  utimesSync(join(proxy.dir, 'files/t.html'), 1_000_000_000, 1_000_000_000);
});
afterAll(() => proxy.stop());

describe('add_header', () => {
  it('is inherited until a level has its own', async () => {
    expect(headerOf(await get(proxy.port, '/t.html'), 'X-Outer')).toBe('outer');
    const own = await get(proxy.port, '/own/t.html');
    expect([headerOf(own, 'X-Uri'), headerOf(own, 'X-Outer'), headerOf(own, 'X-Empty')]).toEqual([
      '/own/t.html',
      undefined,
      undefined,
    ]);
  });

  it('is for good answers only, unless always', async () => {
    const missing = await get(proxy.port, '/always/none');
    expect([statusOf(missing), headerOf(missing, 'X-Sometimes'), headerOf(missing, 'X-Always')]).toEqual([
      404,
      undefined,
      'yes',
    ]);
  });

  it('replaces or removes ETag and Last-Modified', async () => {
    const replaced = await get(proxy.port, '/replace/t.html');
    expect(replaced.match(/^ETag: .*$/gm)).toEqual(['ETag: "mine"']);
    expect(replaced.match(/^Last-Modified: .*$/gm)).toEqual(['Last-Modified: Sat, 08 Sep 2001 01:46:40 GMT']);
    const removed = await get(proxy.port, '/remove/t.html');
    expect(removed).not.toMatch(/^(ETag|Last-Modified):/m);
  });
});

describe('expires', () => {
  const secondsAhead = (answer: string): number =>
    (Date.parse(headerOf(answer, 'Expires')!) - Date.parse(headerOf(answer, 'Date')!)) / 1000;

  it.each([
    ['/epoch/t.html', 'Thu, 01 Jan 1970 00:00:01 GMT', 'no-cache'],
    ['/max/t.html', 'Thu, 31 Dec 2037 23:55:55 GMT', 'max-age=315360000'],
    ['/modified/t.html', 'Mon, 10 Sep 2001 01:46:40 GMT', 'no-cache'],
    ['/mapped/t.html?e=epoch', 'Thu, 01 Jan 1970 00:00:01 GMT', 'no-cache'],
    ['/mapped/t.html', undefined, undefined],
    ['/mapped/t.html?e=bad', undefined, undefined],
    ['/t.html', undefined, undefined],
  ])('%s', async (uri, date, cacheControl) => {
    const answer = await get(proxy.port, uri);
    expect([headerOf(answer, 'Expires'), headerOf(answer, 'Cache-Control')]).toEqual([date, cacheControl]);
  });

  it('counts from now', async () => {
    const hour = await get(proxy.port, '/hour/t.html');
    // The two dates may be taken on either side of a tick.
    expect([3599, 3600]).toContain(secondsAhead(hour));
    expect(headerOf(hour, 'Cache-Control')).toBe('max-age=3600');
    const past = await get(proxy.port, '/past/t.html');
    expect([-2, -1]).toContain(secondsAhead(past));
    expect(headerOf(past, 'Cache-Control')).toBe('no-cache');
    const zero = await get(proxy.port, '/zero/t.html');
    expect([-1, 0]).toContain(secondsAhead(zero));
    expect(headerOf(zero, 'Cache-Control')).toBe('max-age=0');
    expect(headerOf(await get(proxy.port, '/mapped/t.html?e=hour'), 'Cache-Control')).toBe('max-age=3600');
  });

  it('may name a time of the day', async () => {
    const at = new Date(headerOf(await get(proxy.port, '/daily/t.html'), 'Expires')!);
    expect([at.getHours(), at.getMinutes(), at.getSeconds()]).toEqual([15, 30, 0]);
  });

  it('leaves an added Cache-Control beside its own', async () => {
    const answer = await get(proxy.port, '/cache/t.html');
    expect(answer.match(/^Cache-Control: .*$/gm)).toEqual(['Cache-Control: max-age=3600', 'Cache-Control: private']);
  });

  it.each([
    ['expires bad;', '"expires" directive invalid value in'],
    ['expires modified @5h;', '"expires" directive daily time cannot be used with "modified" parameter in'],
    ['expires @25h;', '"expires" directive daily time value must be less than 24 hours in'],
    ['add_header A b c;', 'invalid parameter "c" in'],
  ])('refuses `%s`', async (line, message) => {
    const { code, stderr } = await runProxy(`events { } http { ${line} }`);
    expect([code, stderr]).toEqual([1, expect.stringContaining(message)]);
  });
});

describe('add_trailer', () => {
  it('sends trailers behind a chunked body', async () => {
    const answer = await raw(proxy.port, 'GET /trailer/t.html HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(headerOf(answer, 'Content-Length')).toBeUndefined();
    expect(bodyOf(answer)).toMatch(/^4\r\ntext\r\n0\r\nX-Sent: \d+\r\n\r\n$/);
  });

  it('does not disturb HTTP/1.0', async () => {
    expect(bodyOf(await get(proxy.port, '/trailer/t.html'))).toBe('text');
  });
});
