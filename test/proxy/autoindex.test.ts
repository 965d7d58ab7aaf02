// Directory listings in all four formats, byte for byte.
import { mkdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bodyOf, get, headerOf, type RunningProxy, startProxy, statusOf } from './start-proxy.ts';

const LONG = 'a-name-that-is-longer-than-the-fifty-columns-of-the-list.txt';

let proxy: RunningProxy;
beforeAll(async () => {
  const location = (name: string, more: string): string =>
    `location /${name}/ { alias %%DIR%%/files/; autoindex on; ${more} }`;
  proxy = await startProxy(
    `http {
      access_log off;
      server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%DIR%%/files;
        ${location('html', '')}
        ${location('round', 'autoindex_exact_size off;')}
        ${location('utf8', 'charset utf-8;')}
        ${location('json', 'autoindex_format json;')}
        ${location('jsonp', 'autoindex_format jsonp;')}
        ${location('xml', 'autoindex_format xml;')}
        location /off/ { alias %%DIR%%/files/; }
      }
    }`,
    {
      files: {
        'files/b&"<.txt': 'x'.repeat(20_000),
        'files/a.txt': 'A',
        'files/.hidden': '',
        [`files/${LONG}`]: '',
        'files/\u00fc\u00fc.txt': '',
      },
    },
  );
  mkdirSync(join(proxy.dir, 'files/z-dir'));
  for (const name of ['b&"<.txt', 'a.txt', LONG, '\u00fc\u00fc.txt', 'z-dir']) {
    utimesSync(join(proxy.dir, 'files', name), 1_000_000_000, 1_000_000_000);
  }
});
afterAll(() => proxy.stop());

const DATE = '09-Sep-2001 01:46';

describe('autoindex', () => {
  it('lists as HTML', async () => {
    const answer = await get(proxy.port, '/html/');
    expect(headerOf(answer, 'Content-Type')).toBe('text/html');
    expect(bodyOf(answer)).toBe(
      [
        '<html>',
        '<head><title>Index of /html/</title></head>',
        '<body>',
        '<h1>Index of /html/</h1><hr><pre><a href="../">../</a>',
        `<a href="z-dir/">z-dir/</a>${' '.repeat(44)} ${DATE}                   -`,
        `<a href="${LONG}">${LONG.slice(0, 47)}..&gt;</a> ${DATE}                   0`,
        `<a href="a.txt">a.txt</a>${' '.repeat(45)} ${DATE}                   1`,
        `<a href="b%26%22%3C.txt">b&amp;&quot;&lt;.txt</a>${' '.repeat(42)} ${DATE}               20000`,
        `<a href="%C3%BC%C3%BC.txt">\u00c3\u00bc\u00c3\u00bc.txt</a>${' '.repeat(42)} ${DATE}                   0`,
        '</pre><hr></body>',
        '</html>',
        '',
      ].join('\r\n'),
    );
  });

  it('rounds sizes, and counts characters of UTF-8', async () => {
    const round = bodyOf(await get(proxy.port, '/round/'));
    expect(round).toContain(`${DATE}     20K\r\n`);
    expect(round).toContain(`${DATE}       1\r\n`);
    expect(round).toContain(`${DATE}       -\r\n`);
    expect(bodyOf(await get(proxy.port, '/utf8/'))).toContain(`</a>${' '.repeat(44)} ${DATE}                   0`);
  });

  it('lists as JSON', async () => {
    const answer = await get(proxy.port, '/json/');
    expect(headerOf(answer, 'Content-Type')).toBe('application/json');
    const list = bodyOf(answer);
    expect(list.split('\r\n')[1]).toBe(
      '{ "name":"z-dir", "type":"directory", "mtime":"Sun, 09 Sep 2001 01:46:40 GMT" },',
    );
    expect(JSON.parse(list).at(-2)).toEqual({
      name: 'b&"<.txt',
      type: 'file',
      mtime: 'Sun, 09 Sep 2001 01:46:40 GMT',
      size: 20_000,
    });
  });

  it('lists as JSONP for a callback with a plain name', async () => {
    expect(bodyOf(await get(proxy.port, '/jsonp/?callback=app.show'))).toMatch(
      /^\/\* callback \*\/\r\napp\.show\(\[[\s\S]*\]\);$/,
    );
    expect(headerOf(await get(proxy.port, '/jsonp/'), 'Content-Type')).toBe('application/json');
    expect(statusOf(await get(proxy.port, '/jsonp/?callback=alert(1)'))).toBe(400);
  });

  it('lists as XML', async () => {
    const answer = await get(proxy.port, '/xml/');
    expect(headerOf(answer, 'Content-Type')).toBe('text/xml; charset=utf-8');
    expect(bodyOf(answer)).toContain('<directory mtime="2001-09-09T01:46:40Z">z-dir</directory>\r\n');
    expect(bodyOf(answer)).toContain('<file mtime="2001-09-09T01:46:40Z" size="20000">b&amp;&quot;&lt;.txt</file>\r\n');
  });

  it('is off by default, and not for what is not there', async () => {
    expect(statusOf(await get(proxy.port, '/off/'))).toBe(403);
    expect(statusOf(await get(proxy.port, '/html/missing/'))).toBe(404);
  });
});
