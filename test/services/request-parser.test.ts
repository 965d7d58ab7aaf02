import { describe, expect, it } from 'vitest';
import { InvalidRequest, type RequestHead, RequestParser } from '../../services/event-loop/request-parser.ts';

interface Parsed {
  readonly head: RequestHead;
  body: string;
  isComplete: boolean;
}

function parse(text: string, step: number, takesOver = false): Parsed[] {
  const requests: Parsed[] = [];
  const parser = new RequestParser({
    onHead: (head) => {
      requests.push({ head, body: '', isComplete: false });
      return takesOver;
    },
    onBody: (bytes) => {
      requests.at(-1)!.body += bytes.toString('latin1');
    },
    onTrailers: (fields) => {
      requests.at(-1)!.body += fields.map((field) => `[${field.join('=')}]`).join('');
    },
    onComplete: () => {
      requests.at(-1)!.isComplete = true;
    },
  });
  const bytes = Buffer.from(text, 'latin1');
  for (let at = 0; at < bytes.length; at += step) parser.feed(bytes.subarray(at, at + step));
  return requests;
}

/** The same requests, however the bytes come. */
function parseAll(text: string): Parsed[] {
  const whole = parse(text, 1 << 20);
  expect(parse(text, 1)).toEqual(whole);
  expect(parse(text, 5)).toEqual(whole);
  return whole;
}

describe('the parser of the ASGI side', () => {
  it('takes pipelined requests apart', () => {
    const requests = parseAll(
      'GET /a HTTP/1.1\r\nHost: x\r\nA:  b \r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\r\nGET /c HTTP/1.0\r\n\r\n',
    );
    expect(
      requests.map(({ head, body, isComplete }) => [head.method, head.target, head.version, body, isComplete]),
    ).toEqual([
      ['GET', '/a', '1.1', '', true],
      ['POST', '/b', '1.1', 'abc', true],
      ['GET', '/c', '1.0', '', true],
    ]);
    expect(requests[0]?.head.headers).toEqual([
      ['host', 'x'],
      ['a', 'b '],
    ]);
  });

  it('joins chunks, and hands over trailers', () => {
    const [request] = parseAll(
      'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\n',
    );
    expect(request).toMatchObject({ body: 'abc0123456789[t=v]', isComplete: true });
  });

  it('looks at nothing after a request that closes', () => {
    expect(parseAll('GET / HTTP/1.1\r\nConnection: close\r\n\r\nGARBAGE')).toHaveLength(1);
  });

  it('stops at an upgrade that is taken over', () => {
    const text = 'GET /ws HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00';
    expect(parse(text, 1 << 20, true)).toMatchObject([{ head: { isUpgrade: true }, isComplete: false }]);
  });

  it.each([
    'GARBAGE\r\n\r\n',
    'GET / HTTP/1.1\nHost: x\n\n',
    'get / HTTP/1.1\r\n\r\n',
    'NOPE / HTTP/1.1\r\n\r\n',
    'GET / HTTP/3.0\r\n\r\n',
    'CONNECT host:1 HTTP/1.1\r\n\r\n',
    'GET http://host HTTP/1.1\r\n\r\n',
    'POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n',
    'GET /a b HTTP/1.1\r\n\r\n',
    'GET nopath HTTP/1.1\r\n\r\n',
    'GET / HTTP/1.1\r\nNo colon\r\n\r\n',
    'GET / HTTP/1.1\r\nA : b\r\n\r\n',
    'GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n',
    'GET / HTTP/1.1\r\nA: \x00\r\n\r\n',
    'POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na',
    'POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\na',
    'POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\na',
    'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n',
    'POST / HTTP/1.1\r\nTransfer-Encoding: \xa0chunked\r\n\r\n0\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: x\r\n\r\r\n',
    'GET / HTTP/1.1\r\nHost: x\nA: b',
    'GET http://a_b/ HTTP/1.1\r\n\r\n',
    'POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n',
    'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n',
    'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc',
  ])('refuses %j', (text) => {
    for (const step of [1 << 20, 3, 1]) expect(() => parse(text, step)).toThrow(InvalidRequest);
  });
});
