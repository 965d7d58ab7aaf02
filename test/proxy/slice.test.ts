// slice: a response is fetched in pieces, only those that are wanted, each cached by itself; and what is done when the
// pieces do not belong together. What is expected is what nginx 1.22.1 does.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type FakeUpstream, fakeUpstream } from './fake-upstream.ts';
import { bodyOf, get, headerOf, type RunningProxy, startProxy, statusOf } from './start-proxy.ts';

const WHOLE = '0123456789abcdef';

let upstream: FakeUpstream;
let proxy: RunningProxy;
/** First and last byte of the pieces that the upstream was asked for. */
let asked: string[];
/** What it answers for a piece. */
let reply: (first: number, last: number) => string;

beforeAll(async () => {
  upstream = await fakeUpstream(({ socket, text }) => {
    const range = /^range: bytes=(\d+)-(\d+)/im.exec(text);
    asked.push(range ? `${range[1]}-${range[2]}` : 'all');
    socket.end(range ? reply(Number(range[1]), Number(range[2])) : response('200 OK', WHOLE));
  });
  proxy = await startProxy(`
http {
  access_log off;
  proxy_cache_path cache keys_zone=one:1m;
  proxy_cache_key $uri$is_args$args$slice_range;
  add_header X-Cache $upstream_cache_status;
  proxy_set_header Range $slice_range;
  server {
    listen 127.0.0.1:%%PORT_0%%;
    slice 4;
    location / { proxy_pass http://127.0.0.1:${upstream.port}; }
    location /cache { proxy_pass http://127.0.0.1:${upstream.port}; proxy_cache one; proxy_cache_valid 206 1m; }
    location /error { error_page 404 = @named; return 404; }
    location @named { proxy_pass http://127.0.0.1:${upstream.port}; }
    location ~ ^/regex(/.*) { proxy_pass http://127.0.0.1:${upstream.port}$1; }
    location /sub { sub_filter_types *; sub_filter 345 X; proxy_pass http://127.0.0.1:${upstream.port}; }
    location /off { slice 0; proxy_pass http://127.0.0.1:${upstream.port}; }
  }
}`);
});

afterAll(async () => {
  await proxy?.stop();
  await upstream?.stop();
});

beforeEach(() => {
  asked = [];
  reply = piece;
});

function response(status: string, body: string, ...headers: string[]): string {
  return [`HTTP/1.1 ${status}`, `Content-Length: ${body.length}`, ...headers, '', body].join('\r\n');
}

function piece(first: number, last: number): string {
  const body = WHOLE.slice(first, last + 1);
  const range = `Content-Range: bytes ${first}-${first + body.length - 1}/${WHOLE.length}`;
  return response('206 Partial Content', body, range, 'Accept-Ranges: bytes', 'ETag: "a"');
}

const ask = (uri: string, ...headers: string[]): Promise<string> => get(proxy.port, uri, ...headers);

describe('slice', () => {
  it('puts a whole response together', async () => {
    const text = await ask('/');
    expect(statusOf(text)).toBe(200);
    expect(bodyOf(text)).toBe(WHOLE);
    expect(headerOf(text, 'Content-Length')).toBe('16');
    expect(headerOf(text, 'Content-Range')).toBeUndefined();
    expect(asked).toEqual(['0-3', '4-7', '8-11', '12-15']);
  });

  it.each([
    ['bytes=5-9', '56789', '5-9', ['4-7', '8-11']],
    ['bytes=6-6', '6', '6-6', ['4-7']],
    ['bytes=13-', 'def', '13-15', ['12-15']],
    // Where the end is was not known before the first piece came.
    ['bytes=-3', 'def', '13-15', ['0-3', '12-15']],
  ])('fetches for %s only what it needs', async (range, body, sent, pieces) => {
    const text = await ask('/', `Range: ${range}`);
    expect(statusOf(text)).toBe(206);
    expect(bodyOf(text)).toBe(body);
    expect(headerOf(text, 'Content-Range')).toBe(`bytes ${sent}/16`);
    expect(asked).toEqual(pieces);
  });

  it('answers several ranges with the whole', async () => {
    const text = await ask('/', 'Range: bytes=0-0,2-2');
    expect([statusOf(text), bodyOf(text)]).toEqual([200, WHOLE]);
  });

  it('keeps each piece in the cache', async () => {
    const first = await ask('/cache', 'Range: bytes=5-9');
    expect([headerOf(first, 'X-Cache'), bodyOf(first)]).toEqual(['MISS', '56789']);
    const second = await ask('/cache', 'Range: bytes=4-10');
    expect([headerOf(second, 'X-Cache'), bodyOf(second)]).toEqual(['HIT', '456789a']);
    expect(asked).toEqual(['4-7', '8-11']);
    const all = await ask('/cache');
    expect([statusOf(all), bodyOf(all)]).toEqual([200, WHOLE]);
    expect(asked).toEqual(['4-7', '8-11', '0-3', '12-15']);
    expect(statusOf(await ask('/cache', 'If-None-Match: "a"'))).toBe(304);
  });

  it('goes on in a named location', async () => {
    expect(bodyOf(await ask('/error'))).toBe(WHOLE);
    expect(asked).toHaveLength(4);
  });

  it('goes on with what a regular expression found', async () => {
    expect(bodyOf(await ask('/regex/a'))).toBe(WHOLE);
    expect(upstream.requests.at(-1)!.text).toMatch(/^GET \/a HTTP/);
  });

  it('keeps in order what a filter has held back', async () => {
    // The 3 might have been the beginning of 345, which goes across two slices.
    expect(
      bodyOf(await ask('/sub'))
        .replace(/[\da-f]+\r\n([^\r]*)\r\n/g, '$1')
        .trim(),
    ).toBe(WHOLE);
  });

  it('passes on what is no part', async () => {
    reply = () => response('200 OK', 'everything');
    expect(bodyOf(await ask('/'))).toBe('everything');
    expect(asked).toEqual(['0-3']);
  });

  it('is off with a size of 0', async () => {
    expect(bodyOf(await ask('/off'))).toBe(WHOLE);
    expect(asked).toEqual(['all']);
  });

  it.each([
    ['etag mismatch', (first: number, last: number) => piece(first, last).replace('"a"', `"${first}"`)],
    [
      'unexpected status code 200',
      (first: number, last: number) => (first === 0 ? piece(first, last) : response('200 OK', 'abcd')),
    ],
    ['unexpected range', () => piece(0, 2)],
    ['no complete length', (first: number, last: number) => piece(first, last).replace('/16', '/*')],
    ['invalid range', (first: number, last: number) => piece(first, last).replace('bytes 0', 'bytes ')],
  ])('gives up on %s', async (message, answer) => {
    reply = answer;
    expect(await ask('/')).toBe('');
    await proxy.waitFor('error.log', new RegExp(`\\[error\\].*${message}.*in slice response`));
  });
});
