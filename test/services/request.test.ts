import { describe, expect, it } from 'vitest';
import { BlockingSocket } from '../../services/http/blocking-socket.ts';
import { ClientGone, RequestError } from '../../services/http/errors.ts';
import { readRequest, type WsgiRequest } from '../../services/http/request.ts';
import { type RequestRules, requestRules } from '../../services/http/rules.ts';
import { readGunicornCommand } from '../../services/settings/gunicorn-settings.ts';

/** A socket that gives its bytes in pieces of a chosen size, and then ends. */
class FedSocket extends BlockingSocket {
  #bytes: Buffer;
  readonly #step: number;

  constructor(bytes: Buffer, step: number, peer = '127.0.0.1') {
    super(-1, { address: peer, port: 1 }, { address: '127.0.0.1', port: 80 }, (call) => call());
    this.#bytes = bytes;
    this.#step = step;
  }

  override read(): Buffer {
    if (this.pending) return super.read();
    const piece = this.#bytes.subarray(0, this.#step);
    this.#bytes = this.#bytes.subarray(piece.length);
    return Buffer.from(piece);
  }
}

async function rulesOf(...flags: string[]): Promise<RequestRules> {
  return requestRules((await readGunicornCommand([...flags, 'app'], {})).settings);
}

const STEPS = [1 << 20, 7, 1];

async function parse(text: string, flags: string[] = [], peer?: string): Promise<WsgiRequest> {
  const rules = await rulesOf(...flags);
  const results = STEPS.map((step) => {
    const request = readRequest(new FedSocket(Buffer.from(text, 'latin1'), step, peer), rules, 1);
    return { request, body: Buffer.from(request.body.read()).toString('latin1') };
  });
  for (const { request, body } of results.slice(1)) {
    // However the bytes come, the request is the same.
    expect([request.method, request.uri, request.headers, body]).toEqual([
      results[0]?.request.method,
      results[0]?.request.uri,
      results[0]?.request.headers,
      results[0]?.body,
    ]);
  }
  const first = results[0]!;
  return Object.assign(first.request, { text: first.body });
}

async function refused(text: string, flags: string[] = []): Promise<string> {
  const rules = await rulesOf(...flags);
  const names = STEPS.map((step) => {
    try {
      const request = readRequest(new FedSocket(Buffer.from(text, 'latin1'), step), rules, 1);
      request.body.read();
      return 'accepted';
    } catch (error) {
      return error instanceof RequestError ? `${error.code} ${error.status}` : (error as Error).name;
    }
  });
  expect(new Set(names).size, `by pieces: ${names}`).toBe(1);
  return names[0] ?? '';
}

describe('a request that Gunicorn takes', () => {
  it('has its parts', async () => {
    const request = await parse('GET /a%20b/c?x=1&y#frag HTTP/1.1\r\nHost: me\r\nA:  b \t\r\nA: c\r\n\r\n');
    expect(request).toMatchObject({ method: 'GET', path: '/a%20b/c', query: 'x=1&y', version: [1, 1], scheme: 'http' });
    expect(request.headers).toEqual([
      ['HOST', 'me'],
      ['A', 'b'],
      ['A', 'c'],
    ]);
  });

  it.each([
    ['GET http://host:1/p?q HTTP/1.1', '/p', 'q'],
    ['GET //double/slash HTTP/1.1', '//double/slash', ''],
    ['OPTIONS * HTTP/1.1', '*', ''],
  ])('%s', async (line, path, query) => {
    expect(await parse(`${line}\r\nHost: a\r\n\r\n`)).toMatchObject({ path, query });
  });

  it('may begin with one empty line', async () => {
    expect(await parse('\r\nGET / HTTP/1.1\r\n\r\n')).toMatchObject({ path: '/' });
  });

  it.each([
    ['Content-Length: 5\r\n\r\nhelloEXTRA', 'hello'],
    ['Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\nEXTRA', 'hello world'],
    ['Transfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\nTrail: er\r\n\r\n', 'x'],
    ['\r\nEXTRA', ''],
  ])('has the body of %j', async (rest, text) => {
    expect(await parse(`POST / HTTP/1.1\r\n${rest}`)).toMatchObject({ text });
  });

  it('keeps alive or closes as the version and Connection say', async () => {
    const closes = async (version: string, field: string): Promise<boolean> =>
      (await parse(`GET / HTTP/${version}\r\n${field}\r\n`)).shouldClose();
    expect(await closes('1.1', '')).toBe(false);
    expect(await closes('1.1', 'Connection: close\r\n')).toBe(true);
    expect(await closes('1.0', '')).toBe(true);
    expect(await closes('1.0', 'Connection: Keep-Alive\r\n')).toBe(false);
  });

  it('is https when a trusted proxy says so, and not when another does', async () => {
    const text = 'GET / HTTP/1.1\r\nX-Forwarded-Proto: https\r\n\r\n';
    expect(await parse(text)).toMatchObject({ scheme: 'https' });
    expect(await parse(text, [], '10.0.0.1')).toMatchObject({ scheme: 'http' });
    expect(await parse(text, ['--forwarded-allow-ips', '10.0.0.0/8'], '10.0.0.1')).toMatchObject({ scheme: 'https' });
    expect(await parse(text, ['--forwarded-allow-ips', '*'], '10.0.0.1')).toMatchObject({ scheme: 'https' });
  });

  it('drops header names with an underscore, unless told otherwise', async () => {
    const text = 'GET / HTTP/1.1\r\nX_Real: a\r\nScript_Name: /s\r\n\r\n';
    expect((await parse(text)).headers).toEqual([['SCRIPT_NAME', '/s']]);
    expect((await parse(text, ['--header-map', 'dangerous'])).headers).toHaveLength(2);
    expect(await refused(text, ['--header-map', 'refuse'])).toBe('InvalidHeaderName 400');
  });

  it('may come behind a PROXY line', async () => {
    const text = 'PROXY TCP4 1.2.3.4 5.6.7.8 99 80\r\nGET / HTTP/1.1\r\n\r\n';
    expect((await parse(text, ['--proxy-protocol', 'v1'])).proxy).toMatchObject({
      clientAddress: '1.2.3.4',
      clientPort: 99,
    });
    expect(await refused('PROXY TCP4 1.2.3.4 5.6.7.8 99\r\n\r\n', ['--proxy-protocol', 'auto'])).toBe(
      'InvalidProxyLine 400',
    );
    const head = Buffer.from(
      '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\0\x63\0\x50',
      'latin1',
    ).toString('latin1');
    expect((await parse(`${head}GET / HTTP/1.1\r\n\r\n`, ['--proxy-protocol', 'auto'])).proxy).toMatchObject({
      clientAddress: '1.2.3.4',
      clientPort: 99,
    });
  });
});

describe('a request that Gunicorn refuses', () => {
  it.each([
    ['GET /\r\n\r\n', 'InvalidRequestLine 400'],
    ['GET  HTTP/1.1\r\n\r\n', 'InvalidRequestLine 400'],
    ['GET host:80 HTTP/1.1\r\n\r\n', 'InvalidRequestLine 400'],
    ['GET * HTTP/1.1\r\n\r\n', 'InvalidRequestLine 400'],
    ['GET /\xe9 HTTP/1.1\r\n\r\n', 'InvalidRequestLine 400'],
    ['get / HTTP/1.1\r\n\r\n', 'InvalidRequestMethod 400'],
    ['G / HTTP/1.1\r\n\r\n', 'InvalidRequestMethod 400'],
    ['GE(T / HTTP/1.1\r\n\r\n', 'InvalidRequestMethod 400'],
    ['GET / HTTP/2.0\r\n\r\n', 'InvalidHTTPVersion 400'],
    ['GET / HTTP/1.1 x\r\n\r\n', 'InvalidHTTPVersion 400'],
    ['GET / HTTP/1.1\r\nNo colon\r\n\r\n', 'InvalidHeader 400'],
    ['GET / HTTP/1.1\r\nBad name: x\r\n\r\n', 'InvalidHeaderName 400'],
    ['GET / HTTP/1.1\r\nA : x\r\n\r\n', 'InvalidHeaderName 400'],
    ['GET / HTTP/1.1\r\nA: x\0y\r\n\r\n', 'InvalidHeader 400'],
    ['GET / HTTP/1.1\r\nA: x\r\n folded\r\n\r\n', 'ObsoleteFolding 400'],
    ['GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 'InvalidHeader 400'],
    ['GET / HTTP/1.1\nHost: a\n\n', 'InvalidRequestLine 400'],
    ['POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx', 'InvalidHeader 400'],
    ['POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\nx', 'InvalidHeader 400'],
    ['POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\nx', 'InvalidHeader 400'],
    ['POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 'InvalidHeader 400'],
    ['POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 'InvalidHeader 400'],
    ['POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n', 'InvalidHeader 400'],
    ['POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n', 'InvalidHeader 400'],
    ['POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n', 'UnsupportedTransferCoding 501'],
    ['POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n', 'InvalidChunkSize 400'],
    ['POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy0\r\n\r\n', 'ChunkMissingTerminator 400'],
    ['POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 1\r\n\r\n', 'InvalidHeaderName 400'],
    ['POST / HTTP/1.1\r\nExpect: more\r\n\r\n', 'ExpectationFailed 417'],
    ['GET / HTTP/1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\n\r\n', 'InvalidSchemeHeaders 400'],
  ])('%j: %s', async (text, outcome) => {
    expect(await refused(text)).toBe(outcome);
  });

  it('goes over a limit', async () => {
    expect(await refused(`GET /${'a'.repeat(4094)} HTTP/1.1\r\n\r\n`)).toBe('LimitRequestLine 414');
    const fields = 'A: b\r\n'.repeat(101);
    expect(await refused(`GET / HTTP/1.1\r\n${fields}\r\n`)).toBe('LimitRequestHeaders 431');
    expect(await refused(`GET / HTTP/1.1\r\nA: ${'b'.repeat(8190)}\r\n\r\n`)).toBe('LimitRequestHeaders 431');
    expect(await refused('GET / HTTP/1.1\r\nA: b\r\nC: d\r\n\r\n', ['--limit-request-fields', '1'])).toBe(
      'LimitRequestHeaders 431',
    );
  });

  it('ends too early', async () => {
    expect(await refused('GET / HT')).toBe('ClientGone');
    expect(await refused('POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel')).toBe('ClientGone');
    await expect(parse('')).rejects.toThrow(ClientGone);
  });
});

it('reads its body by size, by line and to the end', async () => {
  const rules = await rulesOf();
  for (const step of STEPS) {
    const text = 'POST / HTTP/1.1\r\nContent-Length: 22\r\n\r\none\ntwo\n\nthree and more';
    const { body } = readRequest(new FedSocket(Buffer.from(text), step), rules, 1);
    expect(body.readline().toString()).toBe('one\n');
    expect(body.readline(2).toString()).toBe('tw');
    expect(body.read(3).toString()).toBe('o\n\n');
    expect(body.readlines().map(String)).toEqual(['three and mor']);
    expect(body.read().length).toBe(0);
  }
});
