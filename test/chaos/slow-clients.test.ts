// Clients that are slow on purpose: heads and bodies that trickle (slowloris), answers that nobody reads. The others are
// served as before, what is too slow is cut off, and memory stays bounded by the buffers, not by the bodies.
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createNetServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { fakeUpstream, ok } from '../proxy/fake-upstream.ts';
import {
  atEnd,
  isFull,
  open,
  rssBytes,
  settled,
  size,
  start,
  statusFor,
  tell,
  until,
  volley,
  workerOf,
} from './fire.ts';

const SLOW = size(1000, 200);
const MB = 1 << 20;

async function openAll(port: number, bytes: string): Promise<Awaited<ReturnType<typeof open>>[]> {
  const wires = [];
  for (let i = 0; i < SLOW; i += 50) {
    wires.push(...(await Promise.all(Array.from({ length: Math.min(50, SLOW - i) }, () => open(port, bytes)))));
  }
  return wires;
}

describe('slowloris', () => {
  const CASES = [
    { what: 'heads', first: 'GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ', next: 'x' },
    { what: 'bodies', first: 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n', next: 'x' },
    {
      what: 'chunked bodies',
      first: 'POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n',
      next: '1\r\nx\r\n',
    },
  ];

  it.each(CASES)(
    'of $what leaves the others alone',
    async ({ what, first, next }) => {
      const upstream = await fakeUpstream(({ socket }) => socket.write(ok('hello')));
      atEnd(() => upstream.stop());
      const proxy = await start(
        `http { access_log off; server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_pass http://127.0.0.1:${upstream.port}; } } }`,
      );
      const ask = (): Promise<number> => statusFor(proxy.port, '/');
      const count = size(2000, 200);
      await volley(200, 4, ask);
      const before = await volley(count, 4, ask);
      const known = upstream.requests.length;

      const wires = await openAll(proxy.port, first);
      let turn = 0;
      let dripped = 0;
      const drip = setInterval(() => {
        for (let i = 0; i < SLOW / 100; i++, turn++, dripped++) wires[turn % SLOW]!.socket.write(next);
      }, 10);
      atEnd(() => clearInterval(drip));
      // Every one of them has said something more before the others are looked at.
      await until(() => dripped >= SLOW);
      const during = await volley(count, 4, ask);
      clearInterval(drip);
      tell(`slowloris of ${what}`, { connections: SLOW, dripped, before, during });
      expect(during.statuses).toEqual({ 200: count });
      // The upstream has seen the normal clients only.
      expect(upstream.requests.length - known).toBe(count);
      expect(wires.filter((wire) => wire.isOver)).toEqual([]);
      // Latency is judged where the machine is the test's own.
      if (isFull) expect(during.p99Ms).toBeLessThan(before.p99Ms * 3 + 20);
    },
    60_000,
  );

  it('is cut off at client_header_timeout, however it trickles', async () => {
    const proxy = await start(
      'http { client_header_timeout 1s; log_format s $status; access_log access.log s; server { listen 127.0.0.1:%%PORT_0%%; return 204; } }',
    );
    const wires = await openAll(proxy.port, 'GET / HTTP/1.1\r\nX-Slow: ');
    const drip = setInterval(() => {
      for (const { socket, isOver } of wires) if (!isOver) socket.write('x');
    }, 200);
    atEnd(() => clearInterval(drip));
    await Promise.all(wires.map(({ over }) => over));
    clearInterval(drip);
    expect(wires.map(({ text }) => text).join('')).toBe('');
    await until(() => proxy.read('access.log').split('\n').length > SLOW);
    expect(new Set(proxy.read('access.log').trim().split('\n'))).toEqual(new Set(['408']));
    tell('cut off at client_header_timeout', { connections: SLOW, cut: wires.filter((w) => w.isOver).length });
  });

  it('is cut off at client_body_timeout when the body stops', async () => {
    const proxy = await start(
      'http { client_body_timeout 1s; log_format s $status; access_log access.log s; server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_pass http://127.0.0.1:9; } } }',
    );
    const wires = await openAll(proxy.port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc');
    await Promise.all(wires.map(({ over }) => over));
    expect(wires.map(({ text }) => text).join('')).toBe('');
    await until(() => proxy.read('access.log').split('\n').length > SLOW);
    expect(new Set(proxy.read('access.log').trim().split('\n'))).toEqual(new Set(['408']));
    tell('cut off at client_body_timeout', { connections: SLOW, cut: wires.filter((w) => w.isOver).length });
  });
});

describe('slow readers', () => {
  const READERS = size(16, 6);
  const BYTES = size(256, 48) * MB;
  /** All bodies together are far beyond this; the buffers of all readers are far below. */
  const BOUND = 96 * MB;
  const piece = Buffer.alloc(65_536, 'x');

  /** Sends BYTES to whoever asks, with backpressure; counts what it got rid of. */
  async function bigUpstream(): Promise<{ port: number; sent(): number }> {
    let sent = 0;
    const server = createServer((request, response) => {
      request.resume();
      response.writeHead(200, { 'Content-Length': BYTES });
      let left = BYTES;
      const more = (): void => {
        while (left > 0) {
          left -= piece.length;
          sent += piece.length;
          if (!response.write(piece)) return void response.once('drain', more);
        }
        response.end();
      };
      more();
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    atEnd(() => {
      server.closeAllConnections();
      server.close();
    });
    return { port: (server.address() as AddressInfo).port, sent: () => sent };
  }

  it.each([
    { what: 'buffered', rows: 'proxy_max_temp_file_size 0;' },
    { what: 'unbuffered', rows: 'proxy_buffering off;' },
    { what: 'gzipped', rows: 'proxy_max_temp_file_size 0; gzip on; gzip_types *; gzip_comp_level 1;' },
  ])(
    'of a $what response cost its buffers only',
    async ({ what, rows }) => {
      const upstream = await bigUpstream();
      const proxy = await start(
        `http { access_log off; server { listen 127.0.0.1:%%PORT_0%%; location /ok { return 204; } location / { ${rows} proxy_pass http://127.0.0.1:${upstream.port}; } } }`,
      );
      const pid = await workerOf(proxy);
      expect(await statusFor(proxy.port, '/ok')).toBe(204);
      const before = rssBytes(pid);
      const request = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
      const wires = await Promise.all(Array.from({ length: READERS }, () => open(proxy.port, request, false)));
      await until(() => upstream.sent() > 0);
      const stuck = await settled(upstream.sent);
      const growth = rssBytes(pid) - before;
      expect(await statusFor(proxy.port, '/ok')).toBe(204);
      tell(`slow readers, ${what}`, {
        readers: READERS,
        bodiesMb: (READERS * BYTES) / MB,
        growthMb: Math.round(growth / MB),
        takenMb: Math.round(stuck / MB),
      });
      expect(growth).toBeLessThan(BOUND);
      if (what === 'gzipped') return;
      expect(stuck).toBeLessThan((READERS * BYTES) / 2);
      // One that reads at last gets everything.
      let got = 0;
      wires[0]!.socket.on('data', (chunk: Buffer) => {
        got += chunk.length;
      });
      wires[0]!.socket.resume();
      await new Promise((done) => wires[0]!.socket.on('end', done));
      expect(got).toBeGreaterThanOrEqual(BYTES);
    },
    60_000,
  );

  it('of a file cost no memory', async () => {
    const proxy = await start(
      'http { access_log off; server { listen 127.0.0.1:%%PORT_0%%; location /ok { return 204; } location / { root .; } } }',
      { files: { 'f.bin': Buffer.alloc(32 * MB, 'x') } },
    );
    const pid = await workerOf(proxy);
    expect(await statusFor(proxy.port, '/ok')).toBe(204);
    const before = rssBytes(pid);
    const request = 'GET /f.bin HTTP/1.1\r\nHost: a\r\n\r\n';
    const count = READERS * 2;
    await Promise.all(Array.from({ length: count }, () => open(proxy.port, request, false)));
    await settled(() => rssBytes(pid) >> 20, 5);
    expect(await statusFor(proxy.port, '/ok')).toBe(204);
    const growth = rssBytes(pid) - before;
    tell('slow readers of a file', { readers: count, bodiesMb: count * 32, growthMb: Math.round(growth / MB) });
    expect(growth).toBeLessThan(BOUND);
  });

  it('on the other side: an upstream that reads nothing stops the upload', async () => {
    const idle = createNetServer((socket) => {
      socket.pause();
      socket.on('error', () => undefined);
      atEnd(() => socket.destroy());
    });
    await new Promise<void>((done) => idle.listen(0, '127.0.0.1', done));
    atEnd(() => idle.close());
    const port = (idle.address() as AddressInfo).port;
    const proxy = await start(
      `http { access_log off; client_max_body_size 0; server { listen 127.0.0.1:%%PORT_0%%; location /ok { return 204; } location / { proxy_request_buffering off; proxy_pass http://127.0.0.1:${port}; } } }`,
    );
    const pid = await workerOf(proxy);
    expect(await statusFor(proxy.port, '/ok')).toBe(204);
    const before = rssBytes(pid);
    const head = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${BYTES}\r\n\r\n`;
    const wires = await Promise.all(Array.from({ length: READERS }, () => open(proxy.port, head)));
    for (const { socket } of wires) {
      const more = (): void => {
        while (socket.writable && socket.bytesWritten < BYTES && socket.write(piece));
      };
      socket.on('drain', more);
      more();
    }
    const sum = (): number => wires.reduce((all, { socket }) => all + socket.bytesWritten - socket.writableLength, 0);
    const taken = await settled(sum);
    const growth = rssBytes(pid) - before;
    tell('uploads nobody reads', {
      uploads: READERS,
      bodiesMb: (READERS * BYTES) / MB,
      growthMb: Math.round(growth / MB),
      takenMb: Math.round(taken / MB),
    });
    expect(growth).toBeLessThan(BOUND);
    expect(taken).toBeLessThan((READERS * BYTES) / 2);
    expect(await statusFor(proxy.port, '/ok')).toBe(204);
  });
});
