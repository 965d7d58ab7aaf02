// HTTP/2 towards clients, spoken frame by frame and through a client library: heads, bodies, flow control, errors, and
// a shutdown that finishes what it began.
import { once } from 'node:events';
import { connect as connectH2, type IncomingHttpHeaders } from 'node:http2';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { CODE, FLAG, FRAME, frame, windowUpdateFrame } from '../../proxy/http/h2-frames.ts';
import { encodeField } from '../../proxy/http/h2-hpack.ts';
import { decodeHuffman, encodeHuffman } from '../../proxy/http/h2-huffman.ts';
import { Client } from './h2-client.ts';
import { type RunningProxy, startProxy } from './start-proxy.ts';

let proxy: RunningProxy;

beforeAll(async () => {
  proxy = await startProxy(
    `http {
      access_log access.log;
      server {
        listen 127.0.0.1:%%PORT_0%% http2;
        location / { return 200 "$request_method $request_uri $http2 $http_cookie $server_protocol"; }
        location /f { root .; }
        location /echo { client_max_body_size 1k; proxy_pass http://127.0.0.1:%%PORT_1%%/; }
      }
      server { listen 127.0.0.1:%%PORT_1%%; location / { return 200 "$http_content_length"; } location = /status { stub_status; } }
      server { listen 127.0.0.1:%%PORT_3%% http2 sndbuf=32k; send_timeout 100ms; root .; }
      server { listen 127.0.0.1:%%PORT_2%%; http2 on; return 200 "$server_protocol"; }
      server { listen 127.0.0.1:%%PORT_2%%; server_name off.test; return 200 "$server_protocol"; }
    }`,
    { files: { f: 'y'.repeat(100_000), large: 'z'.repeat(20_000_000) } },
  );
});

afterAll(async () => {
  await proxy.stop();
});

async function withClient(act: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client(proxy.port);
  try {
    await act(client);
  } finally {
    client.close();
  }
}

describe('HTTP/2', () => {
  it('introduces itself as nginx does', () =>
    withClient(async (client) => {
      const settings = await client.find((f) => f.type === FRAME.SETTINGS && f.flags === 0);
      expect(settings.payload.toString('hex')).toBe('000300000080000400010000000500ffffff');
      const window = await client.find((f) => f.type === FRAME.WINDOW_UPDATE);
      expect(window.payload.readUInt32BE(0)).toBe(2 ** 31 - 1 - 65_535);
    }));

  it('answers with the fields in nginx’s order, and joins cookies', () =>
    withClient(async (client) => {
      client.request(1, '/x?y', undefined, ['cookie', 'a=1'], ['cookie', 'b=2']);
      const head = await client.head(1);
      expect([...head.keys()]).toEqual([':status', 'server', 'date', 'content-type', 'content-length']);
      expect(head.get(':status')).toBe('200');
      expect(await client.body(1)).toBe('GET /x?y h2c a=1; b=2 HTTP/2.0');
    }));

  it('keeps to the window of the peer', () =>
    withClient(async (client) => {
      client.request(1, '/f');
      expect((await client.head(1)).get('content-length')).toBe('100000');
      // 65535 bytes fit; a second request shows that the rest waits.
      client.send(frame(FRAME.PING, 0, 0, 8));
      await client.find((f) => f.type === FRAME.PING);
      while (client.bodySoFar(1).length < 65_535) await client.find(() => client.bodySoFar(1).length >= 65_535);
      expect(client.bodySoFar(1)).toHaveLength(65_535);
      client.send(windowUpdateFrame(0, 100_000), windowUpdateFrame(1, 100_000));
      expect(await client.body(1)).toHaveLength(100_000);
    }));

  it('closes the connection of a client that has the window but does not read', async () => {
    const client = new Client(proxy.ports[3]!);
    const status = async () => (await fetch(`http://127.0.0.1:${proxy.ports[1]}/status`)).text();
    client.send(windowUpdateFrame(0, 2 ** 30));
    client.request(1, '/large');
    client.send(windowUpdateFrame(1, 2 ** 30));
    await client.find((f) => f.type === FRAME.DATA);
    client.pause();
    await vi.waitUntil(async () => (await status()).startsWith('Active connections: 1 '), { timeout: 10_000 });
    client.close();
  });

  it('passes bodies on, with and without a declared length', () =>
    withClient(async (client) => {
      client.request(1, '/echo', 0);
      client.data(1, 'abc');
      client.data(1, 'de', FLAG.END_STREAM);
      expect(await client.body(1)).toBe('5');
      client.request(3, '/echo', 0, ['content-length', '4']);
      client.data(3, 'toolong', FLAG.END_STREAM);
      expect((await client.head(3)).get(':status')).toBe('400');
      client.request(5, '/echo', 0, ['content-length', '4000']);
      expect((await client.head(5)).get(':status')).toBe('413');
      expect(await client.code(FRAME.RST_STREAM)).toBe(CODE.NO_ERROR);
    }));

  it.each<[string, readonly (readonly [string, string])[], string]>([
    [
      'no :path',
      [
        [':method', 'GET'],
        [':scheme', 'http'],
        [':authority', 'a'],
      ],
      '400',
    ],
    [
      'an unknown pseudo-header',
      [
        [':method', 'GET'],
        [':scheme', 'http'],
        [':path', '/'],
        [':foo', 'a'],
      ],
      '400',
    ],
    [
      'two hosts',
      [
        [':method', 'GET'],
        [':scheme', 'http'],
        [':path', '/'],
        [':authority', 'a'],
        ['host', 'b'],
      ],
      '400',
    ],
    [
      'no host',
      [
        [':method', 'GET'],
        [':scheme', 'http'],
        [':path', '/'],
      ],
      '400',
    ],
    [
      'TRACE',
      [
        [':method', 'TRACE'],
        [':scheme', 'http'],
        [':path', '/'],
        [':authority', 'a'],
      ],
      '405',
    ],
  ])('refuses %s', (_, fields, status) =>
    withClient(async (client) => {
      client.headers(1, fields);
      expect((await client.head(1)).get(':status')).toBe(status);
    }),
  );

  it('resets a stream for a name in upper case', () =>
    withClient(async (client) => {
      client.request(1, '/', undefined, ['Foo', 'bar']);
      expect(await client.code(FRAME.RST_STREAM)).toBe(CODE.PROTOCOL_ERROR);
      client.request(3, '/');
      expect((await client.head(3)).get(':status')).toBe('200');
    }));

  it.each<[string, Buffer, number]>([
    ['DATA on stream 0', frame(FRAME.DATA, 0, 0, 0), CODE.PROTOCOL_ERROR],
    ['a PING of 7 bytes', frame(FRAME.PING, 0, 0, 7), CODE.FRAME_SIZE_ERROR],
    ['an empty header block', frame(FRAME.HEADERS, FLAG.END_HEADERS, 1, 0), CODE.FRAME_SIZE_ERROR],
    ['PUSH_PROMISE', frame(FRAME.PUSH_PROMISE, 0, 1, 4), CODE.PROTOCOL_ERROR],
    ['CONTINUATION of nothing', frame(FRAME.CONTINUATION, 0, 1, 1), CODE.PROTOCOL_ERROR],
    ['a window that overflows', windowUpdateFrame(0, 2 ** 31 - 1), CODE.FLOW_CONTROL_ERROR],
    ['a window of nothing', windowUpdateFrame(0, 0), CODE.PROTOCOL_ERROR],
    [
      'a bad index',
      Buffer.concat([frame(FRAME.HEADERS, FLAG.END_HEADERS, 1, 1, false), Buffer.from([0xff - 1])]),
      CODE.COMPRESSION_ERROR,
    ],
  ])('ends the connection for %s', (_, bytes, code) =>
    withClient(async (client) => {
      client.send(bytes);
      expect(await client.code(FRAME.GOAWAY)).toBe(code);
    }),
  );

  it.each([
    ['index', [0xff, 0xff, 0xff, 0xff]],
    ['length', [0x42, 0xff, 0xff, 0xff, 0xff]],
  ])('does not wait for the rest of a header block with too long an %s', (_, part) =>
    withClient(async (client) => {
      client.send(frame(FRAME.HEADERS, FLAG.END_HEADERS, 1, part.length + 1, false), Buffer.from(part));
      expect(await client.code(FRAME.GOAWAY)).toBe(CODE.COMPRESSION_ERROR);
    }),
  );

  it('takes a header block byte by byte', () =>
    withClient(async (client) => {
      const block = Buffer.from(
        [
          [':method', 'GET'],
          [':scheme', 'http'],
          [':path', '/x'],
          [':authority', 'a.test'],
        ]
          .map(([name, value]) => encodeField(name!, value!))
          .join(''),
        'latin1',
      );
      const head = frame(FRAME.HEADERS, FLAG.END_STREAM | FLAG.END_HEADERS, 1, block.length, false);
      for (const byte of Buffer.concat([head, block])) {
        client.send(Buffer.from([byte]));
        await new Promise((done) => setImmediate(done));
      }
      expect(await client.body(1)).toBe('GET /x h2c  HTTP/2.0');
    }));

  it('ignores frames that it does not know', () =>
    withClient(async (client) => {
      client.send(frame(200, 0, 0, 5), frame(FRAME.PING, 0, 0, 8));
      expect((await client.find((f) => f.type === FRAME.PING)).flags).toBe(FLAG.ACK);
    }));

  it('refuses a name whose server has it off', async () => {
    const session = connectH2(`http://127.0.0.1:${proxy.ports[2]}`);
    const statusOf = async (authority: string): Promise<unknown> => {
      const [head] = (await once(session.request({ ':path': '/', ':authority': authority }), 'response')) as [
        IncomingHttpHeaders,
      ];
      return head[':status'];
    };
    expect([await statusOf('a.test'), await statusOf('off.test')]).toEqual([200, 421]);
    session.destroy();
  });

  it('tells HTTP/2 from HTTP/1.x where both may come', async () => {
    const session = connectH2(`http://127.0.0.1:${proxy.ports[2]}`);
    const stream = session.request({ ':path': '/' });
    let text = '';
    for await (const chunk of stream) text += chunk;
    session.close();
    expect(text).toBe('HTTP/2.0');
    expect(await (await fetch(`http://127.0.0.1:${proxy.ports[2]}/`)).text()).toBe('HTTP/1.1');
  });
});

describe('Huffman code', () => {
  it('gives back what it was given', () => {
    for (const text of ['www.example.com', 'no-cache', '302', 'Mon, 21 Oct 2013 20:13:21 GMT']) {
      const encoded = encodeHuffman(text)!;
      expect(decodeHuffman(Buffer.from(encoded, 'latin1'))).toBe(text);
    }
    // RFC 7541 C.4.1
    expect(Buffer.from(encodeHuffman('www.example.com')!, 'latin1').toString('hex')).toBe('f1e3c2e5f23a6ba0ab90f4ff');
    expect(encodeHuffman('{{{{{')).toBeUndefined();
    expect(decodeHuffman(Buffer.from([0x00, 0x00, 0x00]))).toBeUndefined();
  });
});
