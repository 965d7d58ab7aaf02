import { describe, expect, test } from 'vitest';
import { ChunkedDecoder } from '../../proxy/http/chunked.ts';
import { BadHead, Fields, findHeadEnd, parseFields, parseRequestLine, parseStatusLine } from '../../proxy/http/head.ts';
import { validHost } from '../../proxy/http/request-checks.ts';

const RULES = { hasUnderscores: false, ignoresInvalid: true };

function requestLine(line: string): ReturnType<typeof parseRequestLine> {
  return parseRequestLine(line, 0, line.length);
}

function fault(run: () => unknown): string | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof BadHead) return error.fault;
    throw error;
  }
  return undefined;
}

describe('request line', () => {
  test('origin form, absolute form, HTTP/0.9', () => {
    expect(requestLine('GET /a?b=c HTTP/1.1')).toMatchObject({ method: 'GET', path: '/a?b=c', version: 1001 });
    expect(requestLine('GET http://example.com:80/x HTTP/1.1')).toMatchObject({ host: 'example.com', path: '/x' });
    expect(requestLine('GET http://example.com?q HTTP/1.0')).toMatchObject({ path: '/?q', version: 1000 });
    expect(requestLine('GET http://[::1]:8080/ HTTP/1.1')).toMatchObject({ host: '[::1]' });
    expect(requestLine('GET /')).toMatchObject({ version: 9 });
    expect(requestLine('GET  /  HTTP/1.1 ')).toMatchObject({ path: '/', version: 1001 });
  });

  test.each([
    ['get / HTTP/1.1', 'method'],
    ['G@T / HTTP/1.1', 'method'],
    ['GET', 'method'],
    ['GET /\x01 HTTP/1.1', 'request'],
    ['GET /\x7f HTTP/1.1', 'request'],
    ['GET x HTTP/1.1', 'request'],
    ['GET http://a_b/x HTTP/1.1', 'request'],
    ['GET http://a', 'request'],
    ['POST /', 'old-method'],
    ['GET / HTTP/1.', 'request'],
    ['GET / HTTPS/1.1', 'request'],
    ['GET / HTTP/1.1 x', 'request'],
    ['GET / HTTP/2.0', 'version'],
    ['GET / HTTP/1.1000', 'request'],
    ['GET / HTTP/100.1', 'version'],
  ])('refuses %j', (line, kind) => {
    expect(fault(() => requestLine(line))).toBe(kind);
  });
});

describe('fields', () => {
  function fields(text: string, rules: Parameters<typeof parseFields>[2] = RULES): Fields {
    const into = new Fields();
    expect(parseFields(text, 0, rules, into)).toBe(text.length);
    return into;
  }

  test('keeps order, spelling and inner spaces; takes off outer ones', () => {
    const got = fields('Host:  a b \r\nX-A:\r\nhost: c\n\r\n');
    expect(got.names).toEqual(['Host', 'X-A', 'host']);
    expect(got.lower).toEqual(['host', 'x-a', 'host']);
    expect(got.values).toEqual(['a b', '', 'c']);
    expect(got.joined('host')).toBe('a b, c');
  });

  test('odd names are skipped, kept or refused, as the directives say', () => {
    const text = 'a_b: 1\r\nc.d: 2\r\n\r\n';
    expect(fields(text).names).toEqual([]);
    expect(fields(`x: 0\r\n${text}`).skipped).toEqual([
      { before: 1, line: 'a_b: 1' },
      { before: 1, line: 'c.d: 2' },
    ]);
    expect(fields(text, { hasUnderscores: true, ignoresInvalid: true }).names).toEqual(['a_b']);
    expect(fields(text, { hasUnderscores: true, ignoresInvalid: false }).names).toEqual(['a_b', 'c.d']);
  });

  test.each(['A : 1', ' A: 1', '\tA: 1', ': 1', 'A\x00: 1', 'A: 1\x002', 'A: 1\r2', 'A\x7f: 1'])(
    'refuses %j',
    (line) => {
      expect(fault(() => parseFields(`${line}\r\n\r\n`, 0, RULES, new Fields()))).toBe('header');
    },
  );

  test('finds the end of a head, bare LF included', () => {
    expect(findHeadEnd('GET / HTTP/1.1\r\nA: 1\r\n\r\nbody', 0)).toBe(24);
    expect(findHeadEnd('GET / HTTP/1.1\nA: 1\n\nbody', 0)).toBe(21);
    expect(findHeadEnd('GET / HTTP/1.1\r\nA: 1\r\n', 0)).toBe(-1);
  });
});

test('status line', () => {
  expect(parseStatusLine('HTTP/1.1 200 OK')).toEqual({ version: 1001, code: 200, text: '200 OK' });
  expect(parseStatusLine('HTTP/1.0 404')).toEqual({ version: 1000, code: 404, text: '404' });
  expect(parseStatusLine('HTTP/1.1 20 OK')).toBeUndefined();
  expect(parseStatusLine('HTTP/2.0 200 OK')).toEqual({ version: 2000, code: 200, text: '200 OK' });
  expect(parseStatusLine('HTTP/1.1 3 01 Moved')).toEqual({ version: 1001, code: 301, text: ' 01 Moved' });
  expect(parseStatusLine('hello')).toBeUndefined();
});

describe('chunked', () => {
  function decode(text: string, step = text.length): { body: string; end: number; isDone: boolean } {
    const decoder = new ChunkedDecoder();
    const all = Buffer.from(text, 'latin1');
    let body = '';
    let end = 0;
    for (let at = 0; at < all.length && !decoder.isDone; at += step) {
      const piece = all.subarray(at, at + step);
      const got = decoder.feed(piece, 0, (slice) => {
        body += slice.toString('latin1');
      });
      if (got < 0) return { body, end: -1, isDone: false };
      end = at + got;
    }
    return { body, end, isDone: decoder.isDone };
  }

  const WIRE = '5;ext="x"\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\nnext';

  test.each([WIRE.length, 1, 2, 3, 7])('decodes, fed %i bytes at a time', (step) => {
    expect(decode(WIRE, step)).toEqual({ body: 'hello0123456789', end: WIRE.length - 4, isDone: true });
  });

  test('a size may have leading zeros', () => {
    expect(decode('00000000000000000005\r\nhello\r\n000000000000000000\r\n\r\n').body).toBe('hello');
  });

  test.each([
    'x\r\n',
    '5\rhello',
    '5\r\nhelloX',
    '-1\r\n',
    '\r\n',
    'ffffffffffffffff\r\n',
    '0\r\n\rX',
    '0\r\nA\rB\n\n',
  ])('refuses %j', (wire) => {
    expect(decode(wire).end).toBe(-1);
  });
});

test('hosts', () => {
  expect(validHost('Example.COM:8080')).toBe('example.com');
  expect(validHost('example.com.')).toBe('example.com');
  expect(validHost('[::1]:80')).toBe('[::1]');
  expect(validHost('a_b')).toBe('a_b');
  for (const bad of ['', '.', 'a..b', 'a/b', 'a b', ':80', 'a\x7f']) expect(validHost(bad)).toBeUndefined();
});
