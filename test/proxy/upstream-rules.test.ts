// The pure parts of the upstream room: when a request may be sent again, hashes that agree with nginx's, and where a
// response's body ends.
import { describe, expect, it } from 'vitest';
import { chashRing, crc32Of, findChashPoint, ipHashBytes, ipHashRound } from '../../proxy/upstream/hash.ts';
import { mayTryNext, type RetryFacts } from '../../proxy/upstream/next-upstream.ts';
import { DEFAULT_PARAMETERS, Peer } from '../../proxy/upstream/peer.ts';
import { ResponseBody } from '../../proxy/upstream/response-body.ts';
import { parseUpstreamHead, type UpstreamHead } from '../../proxy/upstream/response-head.ts';

describe('proxy_next_upstream', () => {
  const facts: RetryFacts = {
    allowed: new Set(['error', 'timeout', 'http_503']),
    timeoutMs: 0,
    triesLeft: 1,
    elapsedMs: 5,
    isRequestSent: false,
    isNonIdempotent: false,
    isBodyUnbuffered: false,
  };
  it.each<[string, Parameters<typeof mayTryNext>[0], Partial<RetryFacts>, boolean]>([
    ['a failure that is named', 'error', {}, true],
    ['one that is not', 'http_500', {}, false],
    ['no try left', 'error', { triesLeft: 0 }, false],
    ['off', 'error', { allowed: new Set(['off']) }, false],
    ['a POST that was not sent', 'error', { isNonIdempotent: true }, true],
    ['a POST that was sent', 'error', { isNonIdempotent: true, isRequestSent: true }, false],
    [
      'a POST that was sent, with non_idempotent',
      'error',
      { isNonIdempotent: true, isRequestSent: true, allowed: new Set(['error', 'non_idempotent']) },
      true,
    ],
    ['an unbuffered body that was sent', 'error', { isBodyUnbuffered: true, isRequestSent: true }, false],
    ['the time is over', 'error', { timeoutMs: 5 }, false],
    ['no server is live', 'no_live', {}, false],
  ])('%s', (_, kind, changed, expected) => {
    expect(mayTryNext(kind, { ...facts, ...changed })).toBe(expected);
  });
});

describe('hashes', () => {
  it('CRC-32 is the usual one', () => {
    expect(crc32Of('123456789')).toBe(0xcbf43926);
  });

  it('the ring has 160 points for each unit of weight, sorted', () => {
    const address = { family: 4, host: '127.0.0.1', port: 1 } as const;
    const ring = chashRing([
      new Peer(address, 'a:1', DEFAULT_PARAMETERS),
      new Peer(address, 'b:1', { ...DEFAULT_PARAMETERS, weight: 2 }),
    ]);
    expect(ring).toHaveLength(480);
    expect(ring.filter((p) => p.server === 'a:1')).toHaveLength(160);
    expect(ring.every((p, i) => i === 0 || p.hash > ring[i - 1]!.hash)).toBe(true);
    expect(findChashPoint(ring, 0)).toBe(0);
    expect(findChashPoint(ring, ring[7]!.hash)).toBe(7);
    expect(findChashPoint(ring, 0xffffffff)).toBe(480);
  });

  it('ip_hash takes three bytes of IPv4 and all of IPv6', () => {
    expect(ipHashBytes('10.1.2.3')).toEqual([10, 1, 2]);
    expect(ipHashBytes('::1')).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    expect(ipHashBytes('unix:')).toEqual([0, 0, 0]);
    expect(ipHashRound(89, [127, 0, 0])).toBe((((((89 * 113 + 127) % 6271) * 113) % 6271) * 113) % 6271);
  });
});

describe('the head', () => {
  const head = (text: string): UpstreamHead => parseUpstreamHead(text) as UpstreamHead;
  it.each([
    ['HTTP/1.1 200 OK\r\n\r\n', { status: 200, statusText: '200 OK', isClose: false, contentLength: -1 }],
    ['HTTP/1.0 404\n\n', { status: 404, statusText: '404', isClose: true }],
    ['HTTP/1.1 403.4 IIS\r\n\r\n', { status: 403, statusText: '403.4 IIS' }],
    [
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n',
      { isChunked: true, contentLength: -1 },
    ],
    ['HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\n', { status: 200, isClose: true }],
    ['hello', { statusText: '', bytes: 0 }],
    ['HTTP/1.1 2x OK\r\n', { statusText: '', bytes: 0 }],
  ])('%j', (text, expected) => {
    expect(head(text)).toMatchObject(expected);
  });

  it('waits for more, and refuses what is wrong at once', () => {
    expect(parseUpstreamHead('HT')).toBeUndefined();
    expect(parseUpstreamHead('HTTP/1.1 200 OK\r\nX: 1\r\n')).toBeUndefined();
    expect(parseUpstreamHead('HTTP/1.1 200 OK\r\nX y: 1\r\n')).toEqual({ invalid: 'X\\x20...' });
    expect(parseUpstreamHead('HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n')).toEqual({ invalid: 'X: a\\x00...' });
    expect(parseUpstreamHead('HTTP/1.1 200 OK\nX: a\rHTTP/1.1 b\n\n')).toEqual({ invalid: 'X: a\\x0d...' });
  });
});

describe('the body', () => {
  const feed = (body: ResponseBody, text: string): [string, string] => {
    let out = '';
    const bytes = Buffer.from(text, 'latin1');
    const progress = body.feed(bytes, 0, bytes.length, (b, from, to) => {
      out += b.toString('latin1', from, to);
    });
    return [progress, out];
  };

  it('ends with its length and notices what is too much', () => {
    const body = new ResponseBody('length', 5);
    expect(feed(body, 'abc')).toEqual(['more', 'abc']);
    expect(body.wanted).toBe(2);
    expect(feed(body, 'defg')).toEqual(['done', 'de']);
    expect(body.hasExcess).toBe(true);
  });

  it('says what a chunked one still wants, byte by byte', () => {
    const body = new ResponseBody('chunked', -1);
    expect(body.wanted).toBe(3);
    for (const c of '5;x=y\r\nab') feed(body, c);
    expect(body.wanted).toBe(7);
    expect(feed(body, 'cde\r\n')).toEqual(['more', 'cde']);
    expect(body.wanted).toBe(3);
    expect(feed(body, '0\r\nT: x\r\n\r\n')).toEqual(['done', '']);
    expect(body.hasExcess).toBe(false);
  });

  it('ends with the connection when nothing else says so', () => {
    const body = new ResponseBody('close', -1);
    expect(feed(body, 'x')).toEqual(['more', 'x']);
    expect(body.wanted).toBe(-1);
  });
});
