// Byte ranges, of files and of bodies that are made piece by piece.
import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bodyOf, get, headerOf, type RunningProxy, startProxy, statusOf } from './start-proxy.ts';

const TEXT = 'abcdefghijklmnopqrstuvwxyz';
const BIG = Buffer.from(Array.from({ length: 300_000 }, (_, i) => 32 + (i % 95)));

let proxy: RunningProxy;
beforeAll(async () => {
  proxy = await startProxy(
    `http {
      access_log off;
      server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%DIR%%/files;
        location / { }
        location /none/ { alias %%DIR%%/files/; max_ranges 0; }
        location /two/ { alias %%DIR%%/files/; max_ranges 2; }
        location /charset/ { alias %%DIR%%/files/; charset iso-8859-1; }
      }
    }`,
    { files: { 'files/t.html': TEXT, 'files/big.html': BIG } },
  );
  utimesSync(join(proxy.dir, 'files/t.html'), 1_000_000_000, 1_000_000_000);
});
afterAll(() => proxy.stop());

const ask = (range: string, uri = '/t.html', ...more: string[]): Promise<string> =>
  get(proxy.port, uri, `Range: ${range}`, ...more);

describe('one range', () => {
  it.each([
    ['bytes=0-0', 'bytes 0-0/26', 'a'],
    ['bytes=2-4', 'bytes 2-4/26', 'cde'],
    ['Bytes=23-', 'bytes 23-25/26', 'xyz'],
    ['bytes=-2', 'bytes 24-25/26', 'yz'],
    ['bytes=20-100', 'bytes 20-25/26', TEXT.slice(20)],
    ['bytes= 1 - 2 ', 'bytes 1-2/26', 'bc'],
    ['bytes=30-40, 1-1', 'bytes 1-1/26', 'b'],
  ])('%s', async (range, expected, body) => {
    const answer = await ask(range);
    expect(statusOf(answer)).toBe(206);
    expect(headerOf(answer, 'Content-Range')).toBe(expected);
    expect(headerOf(answer, 'Content-Length')).toBe(String(body.length));
    expect(headerOf(answer, 'Accept-Ranges')).toBeUndefined();
    expect(bodyOf(answer)).toBe(body);
  });

  it('of a large file', async () => {
    const answer = await ask('bytes=100000-250000', '/big.html');
    expect(bodyOf(answer)).toBe(BIG.toString('latin1', 100_000, 250_001));
  });
});

describe('several ranges', () => {
  it('come as parts, in the order asked for', async () => {
    const answer = await ask('bytes=20-21,0-1,-1');
    const boundary = /^multipart\/byteranges; boundary=(\d{20})$/.exec(headerOf(answer, 'Content-Type')!)![1]!;
    const part = (range: string, text: string): string =>
      `\r\n--${boundary}\r\nContent-Type: text/html\r\nContent-Range: bytes ${range}/26\r\n\r\n${text}`;
    const body = `${part('20-21', 'uv')}${part('0-1', 'ab')}${part('25-25', 'z')}\r\n--${boundary}--\r\n`;
    expect(bodyOf(answer)).toBe(body);
    expect(headerOf(answer, 'Content-Length')).toBe(String(body.length));
  });

  it('name the charset in each part', async () => {
    const answer = await ask('bytes=0-1,4-5', '/charset/t.html');
    expect(bodyOf(answer)).toContain('Content-Type: text/html; charset=iso-8859-1\r\n');
    expect(headerOf(answer, 'Content-Type')).not.toContain('charset');
  });

  it('that add up to more than the whole are not worth it', async () => {
    const answer = await ask('bytes=0-20,0-20');
    expect([statusOf(answer), bodyOf(answer)]).toEqual([200, TEXT]);
  });

  it('are limited by max_ranges', async () => {
    expect(statusOf(await ask('bytes=0-0,2-2', '/two/t.html'))).toBe(206);
    expect(statusOf(await ask('bytes=0-0,2-2,4-4', '/two/t.html'))).toBe(200);
    const none = await ask('bytes=0-0', '/none/t.html');
    expect([statusOf(none), headerOf(none, 'Accept-Ranges')]).toEqual([200, undefined]);
  });
});

describe('a range that cannot be had', () => {
  it.each(['bytes=26-', 'bytes=5-2', 'bytes=a-b', 'bytes=-', 'bytes=1-2x', 'bytes=99999999999999999999-'])(
    '%s',
    async (range) => {
      const answer = await ask(range);
      expect(statusOf(answer)).toBe(416);
      expect(headerOf(answer, 'Content-Range')).toBe('bytes */26');
      expect(bodyOf(answer)).toContain('416 Requested Range Not Satisfiable');
    },
  );

  it('is ignored in another unit, or from HTTP/0.9', async () => {
    expect(statusOf(await ask('lines=1-2'))).toBe(200);
  });
});

describe('If-Range', () => {
  it('holds the range back when the file is another one', async () => {
    expect(statusOf(await ask('bytes=0-1', '/t.html', 'If-Range: "3b9aca00-1a"'))).toBe(206);
    expect(statusOf(await ask('bytes=0-1', '/t.html', 'If-Range: "x"'))).toBe(200);
    expect(statusOf(await ask('bytes=0-1', '/t.html', 'If-Range: Sun, 09 Sep 2001 01:46:40 GMT'))).toBe(206);
    expect(statusOf(await ask('bytes=0-1', '/t.html', 'If-Range: Mon, 10 Sep 2001 01:46:40 GMT'))).toBe(200);
  });
});
