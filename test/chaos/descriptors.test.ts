// Descriptors: too few of them, and none that leak. A worker that runs out says what nginx says, survives, leaves the
// connections in the system's queue, and serves them when it can again. After a churn of connections it holds what it
// held before.
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { fakeUpstream, ok } from '../proxy/fake-upstream.ts';
import {
  atEnd,
  descriptors,
  MASTER,
  open,
  rssBytes,
  size,
  start,
  statusFor,
  tell,
  until,
  volley,
  workerOf,
} from './fire.ts';

describe('too few descriptors', () => {
  const LIMIT = 64;

  it('are told as nginx tells them, and nobody is turned away', async () => {
    const proxy = await start('http { access_log off; server { listen 127.0.0.1:%%PORT_0%%; return 204; } }', {
      preamble: `${MASTER}worker_rlimit_nofile ${LIMIT};\n`,
    });
    const pid = await workerOf(proxy);
    expect(await statusFor(proxy.port, '/')).toBe(204);
    const idle = await Promise.all(Array.from({ length: LIMIT * 2 }, () => open(proxy.port)));
    await proxy.waitFor('error.log', /\[crit\] .*accept4\(\) failed \(24: Too many open files\)/);
    // Those that are in ask, those that are not wait in the queue of the system.
    for (const { socket } of idle) socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await Promise.all(idle.map(({ over }) => over));
    const answered = idle.filter(({ text }) => text.startsWith('HTTP/1.1 204')).length;
    const { statuses } = await volley(50, 4, () => statusFor(proxy.port, '/'));
    tell('too few descriptors', { limit: LIMIT, connections: idle.length, answered, afterwards: statuses });
    expect(answered).toBe(idle.length);
    expect(statuses).toEqual({ 204: 50 });
    expect(await workerOf(proxy)).toBe(pid);
    expect(proxy.read('error.log')).not.toMatch(/exited on signal|exited with code/);
  });
});

describe('a churn of connections', () => {
  it('leaves no descriptor, no socket and no memory behind', async () => {
    const upstream = await fakeUpstream(({ socket, connection }) =>
      // A third of the upstream's connections are kept, the others are not.
      connection % 3 === 0 ? socket.write(ok('hello')) : socket.end(ok('hello', 'Connection: close')),
    );
    atEnd(() => upstream.stop());
    const proxy = await start(
      `http { access_log access.log; upstream u { server 127.0.0.1:${upstream.port} max_fails=0; keepalive 4; } server { listen 127.0.0.1:%%PORT_0%%; keepalive_requests 1000000; location / { root .; } location /u { proxy_http_version 1.1; proxy_set_header Connection ''; proxy_pass http://u; } } }`,
      // A leak of a few hundred bytes a request would fill this heap in the full run.
      { files: { 'f.txt': 'file' }, env: { NODE_OPTIONS: '--max-old-space-size=64' } },
    );
    const pid = await workerOf(proxy);
    const uris = ['/f.txt', '/u', '/none'];
    const ask = (number: number): Promise<number> => statusFor(proxy.port, uris[number % 3]!);
    const warm = size(5000, 600);
    await volley(warm, 8, ask);
    await keptAlive(proxy.port, uris, warm);
    const before = { ...descriptors(pid), rssMb: rssBytes(pid) >> 20 };
    const count = size(100_000, 4000);
    const fresh = count / 2;
    const { statuses } = await volley(fresh, 8, ask);
    const kept = await keptAlive(proxy.port, uris, count - fresh);
    upstream.requests.length = 0;
    await until(() => descriptors(pid).sockets <= before.sockets);
    const after = { ...descriptors(pid), rssMb: rssBytes(pid) >> 20 };
    tell('churn', { requests: count, fresh: statuses, kept, before, after });
    expect(Object.values(statuses).reduce((a, b) => a + b)).toBe(fresh);
    expect(Object.keys(statuses)).toEqual(['200', '404']);
    expect(kept).toBe(count - fresh);
    expect(after.all).toBeLessThanOrEqual(before.all);
    expect(after.rssMb - before.rssMb).toBeLessThan(48);
    expect(await workerOf(proxy)).toBe(pid);
  }, 300_000);
});

/** `count` requests, one after another on each of four connections; resolves with how many were answered. */
async function keptAlive(port: number, uris: readonly string[], count: number): Promise<number> {
  let answered = 0;
  let asked = 0;
  const one = (): Promise<void> =>
    new Promise((done) => {
      const socket = connect(port, '127.0.0.1');
      let text = '';
      const ask = (): void => {
        if (asked === count) return void socket.end();
        socket.write(`GET ${uris[asked++ % uris.length]} HTTP/1.1\r\nHost: a\r\n\r\n`);
      };
      socket.on('connect', ask);
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
        const head = text.indexOf('\r\n\r\n');
        if (head < 0) return;
        const length = Number(/^content-length: (\d+)/im.exec(text)?.[1] ?? 0);
        if (text.length < head + 4 + length) return;
        text = text.slice(head + 4 + length);
        answered++;
        ask();
      });
      socket.on('error', () => undefined);
      socket.on('close', () => done());
    });
  await Promise.all([one(), one(), one(), one()]);
  return answered;
}
