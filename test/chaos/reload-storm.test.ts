// HUP after HUP, faster than a worker starts, under load: no request on a fresh connection is lost, the last
// configuration wins, and no old process, socket or descriptor is left.
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { bodyOf, get } from '../proxy/start-proxy.ts';
import { children, descriptors, MASTER, open, size, start, statusFor, tell, until } from './fire.ts';

it('a storm of reloads loses no request and leaves nothing behind', async () => {
  const http = (word: string): string =>
    `http { access_log access.log; server { listen 127.0.0.1:%%PORT_0%%; location / { return 200 ${word}; } } }`;
  const preamble = MASTER.replace('worker_processes 1', 'worker_processes 2');
  const proxy = await start(http('0'), { preamble });
  const master = proxy.process.pid!;
  await until(() => children(master).length === 2);
  expect(await statusFor(proxy.port, '/')).toBe(200);
  const before = descriptors(master);
  const statuses: Record<number, number> = {};
  let isOver = false;
  const client = async (): Promise<void> => {
    while (!isOver) {
      const status = await statusFor(proxy.port, '/');
      statuses[status] = (statuses[status] ?? 0) + 1;
    }
  };
  const clients = Promise.all([client(), client(), client(), client()]);
  const reloads = size(100, 12);
  for (let i = 1; i <= reloads; i++) {
    const conf = `pid nginx.pid;\n${preamble}\n${http(String(i)).replace('%%PORT_0%%', String(proxy.port))}\n`;
    // Moved into place, since the reload before may be reading.
    writeFileSync(join(proxy.dir, 'next.conf'), conf);
    renameSync(join(proxy.dir, 'next.conf'), join(proxy.dir, 'nginx.conf'));
    proxy.signal('SIGHUP');
    // A few at once, then a pause for one to come into force.
    if (i % 4 === 0) await until(async () => bodyOf(await get(proxy.port, '/')) === String(i));
  }
  await until(async () => bodyOf(await get(proxy.port, '/')) === String(reloads));
  isOver = true;
  await clients;
  await until(() => children(master).length === 2);
  await until(() => descriptors(master).all <= before.all);
  tell('reload storm', { reloads, statuses, before, after: descriptors(master) });
  expect(Object.keys(statuses)).toEqual(['200']);
  expect(proxy.read('error.log')).not.toMatch(/\[(alert|emerg|crit)\]/);
}, 180_000);

it('a connection that has not asked yet is served by the worker that accepted it', async () => {
  const proxy = await start('http { access_log off; server { listen 127.0.0.1:%%PORT_0%%; return 200 $pid; } }');
  const old = bodyOf(await get(proxy.port, '/'));
  const wire = await open(proxy.port);
  // What has just been accepted was always left alone: be older than that.
  await new Promise((done) => setTimeout(done, 400));
  proxy.signal('SIGHUP');
  await proxy.waitFor('error.log', new RegExp(`${old}#${old}: gracefully shutting down`));
  await until(async () => bodyOf(await get(proxy.port, '/')) !== old);
  wire.socket.write('GET / HTTP/1.0\r\n\r\n');
  await wire.over;
  expect(bodyOf(wire.text)).toBe(old);
});
