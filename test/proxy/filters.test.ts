// Filters that change the body: gzip, gunzip, gzip_static, sub_filter, charset, addition, limit_rate.
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bodyOf, get, headerOf, type RunningProxy, raw, runProxy, startProxy, statusOf } from './start-proxy.ts';

const PAGE = 'all work and no play makes a dull page\n'.repeat(50);
const LARGE = Array.from({ length: 20_000 }, (_, i) => `line ${i}\n`).join('');

let proxy: RunningProxy;
beforeAll(async () => {
  proxy = await startProxy(
    `http {
      log_format ratio "$uri $gzip_ratio";
      charset_map koi8-r utf-8 { C0 D18E; C1 D0B0; }
      charset_map one two { 80 90; 81 91; }
      server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%DIR%%/files;
        access_log %%DIR%%/access.log ratio;
        location / { }
        location /gzip/ { alias %%DIR%%/files/; gzip on; gzip_vary on; }
        location /gzip-more/ { alias %%DIR%%/files/; gzip on; gzip_types text/plain; gzip_min_length 100; gzip_http_version 1.0; gzip_proxied any; gzip_comp_level 9; gzip_disable "Old.*Browser"; }
        location /gunzip/ { alias %%DIR%%/files/; gunzip on; gzip_static always; }
        location /static/ { alias %%DIR%%/files/; gzip_static on; gzip_http_version 1.0; }
        location /sub/ { alias %%DIR%%/files/; sub_filter FOO '<$arg_a>'; sub_filter foobar never; sub_filter_once off; }
        location /once/ { alias %%DIR%%/files/; sub_filter foo 1; sub_filter bar 2; sub_filter_last_modified on; }
        location /name/ { alias %%DIR%%/files/; charset $arg_c; charset_types text/plain; }
        location /to-utf8/ { alias %%DIR%%/files/; charset utf-8; source_charset koi8-r; charset_types text/plain; }
        location /from-utf8/ { alias %%DIR%%/files/; charset koi8-r; source_charset utf-8; charset_types text/plain; }
        location /bytes/ { alias %%DIR%%/files/; charset two; source_charset one; charset_types text/plain; }
        location /add/ { alias %%DIR%%/files/; add_before_body /part/before; add_after_body /part/after; }
        location /part/ { return 200 "[$uri]"; }
        location /slow/ { alias %%DIR%%/files/; limit_rate 20k; limit_rate_after 10k; }
      }
    }`,
    {
      files: {
        'files/page.html': PAGE,
        'files/large.html': LARGE,
        'files/short.html': 'short',
        'files/plain.txt': PAGE,
        'files/page.html.gz': gzipSync(PAGE),
        'files/foo.html': 'a foo Foobar fo foo',
        'files/split.html': `${'-'.repeat(131_070)}foo${'-'.repeat(131_070)}FOO`,
        'files/koi.txt': Buffer.from([0xc0, 0xc1, 0x61, 0xff]),
        'files/utf.txt': Buffer.from('\u044e\u0430b\u20ac'),
        'files/bytes.txt': Buffer.from([0x80, 0x41, 0x81, 0x82]),
      },
    },
  );
});
afterAll(() => proxy.stop());

const ask = (uri: string, ...headers: string[]): Promise<string> =>
  raw(proxy.port, [`GET ${uri} HTTP/1.1`, 'Host: x', 'Connection: close', ...headers, '', ''].join('\r\n'));
const GZIP = 'Accept-Encoding: gzip';

/** The body without chunked framing. */
function dechunk(answer: string): string {
  let rest = bodyOf(answer);
  if (!/^Transfer-Encoding: chunked\r$/m.test(answer)) return rest;
  let out = '';
  for (;;) {
    const end = rest.indexOf('\r\n');
    const size = Number.parseInt(rest.slice(0, end), 16);
    if (!size) return out;
    out += rest.slice(end + 2, end + 2 + size);
    rest = rest.slice(end + 4 + size);
  }
}

const gunzip = (answer: string): string => gunzipSync(Buffer.from(dechunk(answer), 'latin1')).toString('latin1');

describe('gzip', () => {
  it.each(['page.html', 'large.html'])('compresses %s', async (name) => {
    const answer = await ask(`/gzip/${name}`, GZIP);
    expect(headerOf(answer, 'Content-Encoding')).toBe('gzip');
    expect(headerOf(answer, 'Vary')).toBe('Accept-Encoding');
    expect(headerOf(answer, 'ETag')).toMatch(/^W\/"/);
    expect(headerOf(answer, 'Accept-Ranges')).toBeUndefined();
    expect(gunzip(answer)).toBe(name === 'page.html' ? PAGE : LARGE);
    expect(await proxy.waitFor('access.log', new RegExp(`${name} \\d`))).toMatch(/ \d+\.\d\d$/m);
  });

  it.each([
    ['/gzip/page.html', 'X: y', 'Accept-Encoding'],
    ['/gzip/page.html', 'Accept-Encoding: gzip;q=0', 'Accept-Encoding'],
    ['/gzip/page.html', 'Accept-Encoding: xgzip', 'Accept-Encoding'],
    ['/gzip/page.html', 'Accept-Encoding: gzip\r\nVia: 1.1 x', 'Accept-Encoding'],
    ['/gzip/plain.txt', GZIP, undefined],
    ['/gzip/short.html', GZIP, undefined],
    ['/gzip-more/page.html', 'Accept-Encoding: gzip\r\nUser-Agent: an Old kind of Browser', undefined],
    ['/gzip-more/short.html', GZIP, undefined],
  ])('leaves %s with %j alone', async (uri, header, vary) => {
    const answer = await ask(uri, header);
    expect([headerOf(answer, 'Content-Encoding'), headerOf(answer, 'Vary')]).toEqual([undefined, vary]);
  });

  it.each([
    ['/gzip/page.html', 'Accept-Encoding: deflate, gzip;q=0.5'],
    ['/gzip-more/plain.txt', GZIP],
    ['/gzip-more/page.html', 'Accept-Encoding: gzip\r\nVia: 1.1 x'],
  ])('takes %s with %j', async (uri, header) => {
    expect(gunzip(await ask(uri, header))).toBe(PAGE);
  });

  it('speaks to HTTP/1.0 only when told to', async () => {
    expect(headerOf(await get(proxy.port, '/gzip/page.html', GZIP), 'Content-Encoding')).toBeUndefined();
    expect(gunzip(await get(proxy.port, '/gzip-more/page.html', GZIP))).toBe(PAGE);
  });

  it('refuses what nginx refuses', async () => {
    const { stderr } = await runProxy('events { } http { gzip_comp_level 10; }');
    expect(stderr).toContain('value must be between 1 and 9');
  });
});

describe('gzip_static and gunzip', () => {
  it('sends the compressed twin to who takes it', async () => {
    const answer = await get(proxy.port, '/static/page.html', GZIP);
    expect([headerOf(answer, 'Content-Encoding'), headerOf(answer, 'Content-Type')]).toEqual(['gzip', 'text/html']);
    expect(gunzip(answer)).toBe(PAGE);
    expect(bodyOf(await get(proxy.port, '/static/page.html'))).toBe(PAGE);
  });

  it('decompresses for who does not', async () => {
    const plain = await ask('/gunzip/page.html');
    expect([headerOf(plain, 'Content-Encoding'), dechunk(plain)]).toEqual([undefined, PAGE]);
    expect(gunzip(await ask('/gunzip/page.html', GZIP))).toBe(PAGE);
  });
});

describe('sub_filter', () => {
  it('replaces in any case, the first pattern at a place', async () => {
    const answer = await ask('/sub/foo.html?a=b');
    expect(dechunk(answer)).toBe('a <b> <b>bar fo <b>');
    expect(headerOf(answer, 'Last-Modified')).toBeUndefined();
    expect(headerOf(answer, 'ETag')).toBeUndefined();
  });

  it('finds what is split between two pieces', async () => {
    const body = dechunk(await ask('/sub/split.html?a=b'));
    expect(body.replace(/-+/g, '-')).toBe('-<b>-<b>');
    expect(body.length).toBe(2 * 131_070 + 6);
  });

  it('replaces each pattern once by default', async () => {
    const answer = await ask('/once/foo.html');
    expect(dechunk(answer)).toBe('a 1 Foo2 fo foo');
    expect(headerOf(answer, 'ETag')).toMatch(/^W\//);
  });

  it('leaves other types alone', async () => {
    expect(headerOf(await ask('/sub/plain.txt'), 'Content-Length')).toBe(String(PAGE.length));
  });
});

describe('charset', () => {
  it('is named in Content-Type', async () => {
    expect(headerOf(await ask('/name/plain.txt?c=utf-8'), 'Content-Type')).toBe('text/plain; charset=utf-8');
  });

  it('is converted to and from UTF-8', async () => {
    const to = await ask('/to-utf8/koi.txt');
    expect(headerOf(to, 'Content-Type')).toBe('text/plain; charset=utf-8');
    expect(Buffer.from(dechunk(to), 'latin1').toString()).toBe('\u044e\u0430a?');
    const from = await ask('/from-utf8/utf.txt');
    expect(headerOf(from, 'Content-Type')).toBe('text/plain; charset=koi8-r');
    expect(dechunk(from)).toBe('\xc0\xc1b&#8364;');
  });

  it('is converted byte by byte, ranges included', async () => {
    const whole = await ask('/bytes/bytes.txt');
    expect([headerOf(whole, 'Content-Length'), bodyOf(whole)]).toEqual(['4', '\x90A\x91?']);
    const part = await ask('/bytes/bytes.txt', 'Range: bytes=2-2');
    expect([statusOf(part), bodyOf(part)]).toEqual([206, '\x91']);
  });

  it('needs a map', async () => {
    const { code, stderr } = await runProxy('events { } http { charset a; source_charset b; server { } }');
    expect([code, stderr]).toEqual([1, expect.stringContaining('no "charset_map" between the charsets "b" and "a"')]);
  });
});

describe('addition', () => {
  it('puts the answers of subrequests around the body', async () => {
    const answer = await ask('/add/short.html');
    expect(dechunk(answer)).toBe('[/part/before]short[/part/after]');
    expect(headerOf(answer, 'Content-Length')).toBeUndefined();
  });

  it('keeps the order with a large body', async () => {
    expect(dechunk(await ask('/add/large.html'))).toBe(`[/part/before]${LARGE}[/part/after]`);
  });

  it('leaves other types, and errors, alone', async () => {
    expect(bodyOf(await ask('/add/plain.txt'))).toBe(PAGE);
    expect(await ask('/add/none.html')).not.toContain('/part/');
  });
});

describe('limit_rate', () => {
  it('sends everything all the same', async () => {
    expect(bodyOf(await ask('/slow/page.html'))).toBe(PAGE);
  });
});
