// Clients that go away at every phase of a request, half-closing or resetting, in front of files, upstreams and TLS.
// After them the proxy serves as before, and holds no descriptor, no connection and no upstream connection of theirs.
import { connect as connectTls } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { throwawayCertificate } from '../../proxy/testing/throwaway-certificate.ts';
import { fakeUpstream } from '../proxy/fake-upstream.ts';
import { get } from '../proxy/start-proxy.ts';
import { atEnd, descriptors, open, settled, size, start, statusFor, tell, until, volley, workerOf } from './fire.ts';

const BIG = 4 << 20;
const PHASES: Readonly<Record<string, (uri: string) => string>> = {
  'nothing sent': () => '',
  'half a request line': () => 'GET /',
  'half a head': (uri) => `GET ${uri} HTTP/1.1\r\nHost: a\r\nX-`,
  'half a body': (uri) => `POST ${uri} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc`,
  'half a chunk': (uri) => `POST ${uri} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc`,
  'a whole request': (uri) => `GET ${uri} HTTP/1.1\r\nHost: a\r\n\r\n`,
  'requests in a row': (uri) => `GET ${uri} HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(5),
};
/** When the client goes: as soon as it has sent, or with a part of the answer read. */
const MOMENTS = ['at once', 'within the answer'] as const;
const WAYS = ['half-closed', 'reset'] as const;
const URIS = ['/file.bin', '/proxied', '/unbuffered', '/silent'] as const;

describe('clients that go', () => {
  it('leave nothing behind, whenever and however they go', async () => {
    const piece = Buffer.alloc(BIG, 'x');
    const upstream = await fakeUpstream(({ socket, text }) => {
      if (text.includes(' /silent')) return;
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${BIG}\r\n\r\n`);
      socket.write(piece);
    });
    atEnd(() => upstream.stop());
    const proxy = await start(
      `http { access_log off; server { listen 127.0.0.1:%%PORT_0%%; root .; proxy_http_version 1.1;
        location / { } location = /ok { return 204; } location = /status { stub_status; }
        location /proxied { proxy_pass http://127.0.0.1:${upstream.port}; }
        location /silent { proxy_pass http://127.0.0.1:${upstream.port}; }
        location /unbuffered { proxy_buffering off; proxy_request_buffering off; proxy_pass http://127.0.0.1:${upstream.port}; } } }`,
      { files: { 'file.bin': piece } },
    );
    const pid = await workerOf(proxy);
    expect(await statusFor(proxy.port, '/ok')).toBe(204);
    const before = descriptors(pid);
    let tried = 0;
    const rounds = size(30, 3);
    for (let round = 0; round < rounds; round++) {
      for (const uri of URIS) {
        for (const [phase, bytes] of Object.entries(PHASES)) {
          for (const moment of MOMENTS) {
            const answers = phase.includes('request') && !phase.includes('line') && uri !== '/silent';
            if (moment === 'within the answer' && !answers) continue;
            for (const way of WAYS) {
              const wire = await open(proxy.port, bytes(uri), moment === 'at once');
              if (moment === 'within the answer') await new Promise((done) => wire.socket.once('readable', done));
              // A half-closed client still reads, and then goes.
              if (way === 'reset') wire.socket.resetAndDestroy();
              else wire.socket.end(() => setImmediate(() => wire.socket.destroy()));
              tried++;
            }
          }
        }
      }
      expect(await statusFor(proxy.port, '/ok')).toBe(204);
    }
    // Only the connection that asks is left, and the books agree with the system.
    await until(async () => /^Active connections: 1 /m.test(await get(proxy.port, '/status')));
    await until(() => descriptors(pid).sockets <= before.sockets + 1);
    const status = await get(proxy.port, '/status');
    expect(status).toMatch(/Reading: 0 Writing: 1 Waiting: 0/);
    tell('clients that go', { tried, upstreamConnections: upstream.connections, before, after: descriptors(pid) });
    const { statuses } = await volley(50, 4, () => statusFor(proxy.port, '/ok'));
    expect(statuses).toEqual({ 204: 50 });
    expect(proxy.read('error.log')).not.toMatch(/\[(alert|emerg)\]/);
  }, 120_000);

  it('within a TLS handshake or after it leave nothing behind', async () => {
    const { certificate, key } = await throwawayCertificate();
    const proxy = await start(
      `http { access_log off; server { listen 127.0.0.1:%%PORT_0%%; return 204; }
        server { listen 127.0.0.1:%%PORT_1%% ssl http2; ssl_certificate cert.pem; ssl_certificate_key key.pem; return 204; } }`,
      { files: { 'cert.pem': certificate, 'key.pem': key } },
    );
    const pid = await workerOf(proxy);
    expect(await statusFor(proxy.port, '/')).toBe(204);
    const secure = (protocol: string): Promise<void> =>
      new Promise((done) => {
        const socket = connectTls({ port: proxy.ports[1]!, rejectUnauthorized: false, ALPNProtocols: [protocol] });
        socket.resume();
        socket.on('error', () => undefined);
        socket.on('close', () => done());
        socket.on('secureConnect', () => socket.end());
      });
    await secure('http/1.1');
    const before = await settled(() => descriptors(pid).sockets, 4);
    const hello = '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03';
    let tried = 0;
    for (let round = 0; round < size(200, 20); round++) {
      for (const way of WAYS) {
        for (const bytes of ['', '\x16', hello, 'GET / HTTP/1.0\r\n\r\n', '\x00'.repeat(64)]) {
          const wire = await open(proxy.ports[1]!, bytes);
          if (way === 'reset') wire.socket.resetAndDestroy();
          else wire.socket.end();
          tried++;
        }
        for (const protocol of ['http/1.1', 'h2']) {
          await secure(protocol);
          tried++;
        }
      }
    }
    await until(() => descriptors(pid).sockets <= before);
    expect(await statusFor(proxy.port, '/')).toBe(204);
    expect(proxy.read('error.log')).not.toMatch(/\[(alert|emerg)\]/);
    tell('clients that go under TLS', { tried, sockets: [before, descriptors(pid).sockets] });
  }, 60_000);

  it('before it is known what they speak leave nothing behind', async () => {
    const proxy = await start(
      `http { access_log off; server { listen 127.0.0.1:%%PORT_0%%; return 204; }
        server { listen 127.0.0.1:%%PORT_1%% proxy_protocol; return 204; } server { listen 127.0.0.1:%%PORT_2%%; http2 on; return 204; } }`,
    );
    const pid = await workerOf(proxy);
    expect(await statusFor(proxy.port, '/')).toBe(204);
    const before = descriptors(pid).sockets;
    let tried = 0;
    for (let round = 0; round < size(100, 10); round++) {
      for (const [port, bytes] of [
        [1, ''],
        [1, 'PROXY TCP4 127.'],
        [2, ''],
        [2, 'PRI * HTTP/2'],
      ] as const) {
        for (const way of WAYS) {
          const wire = await open(proxy.ports[port]!, bytes);
          if (way === 'reset') wire.socket.resetAndDestroy();
          else wire.socket.end();
          tried++;
        }
      }
    }
    await until(() => descriptors(pid).sockets <= before);
    tell('clients that go within a preface', { tried, sockets: [before, descriptors(pid).sockets] });
  });
});
