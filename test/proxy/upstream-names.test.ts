// Servers of upstreams that are given by name: `resolve`, `service=`, and what becomes of them on a reload.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type FakeDns, type FakeRecord, fakeDns } from './fake-dns.ts';
import { type FakeUpstream, fakeUpstream, ok } from './fake-upstream.ts';
import { bodyOf, get, headerOf, type RunningProxy, runProxy, startProxy, statusOf } from './start-proxy.ts';

let dns: FakeDns;
let a: FakeUpstream;
let b: FakeUpstream;
let proxy: RunningProxy | undefined;

beforeEach(async () => {
  dns = await fakeDns();
  a = await fakeUpstream(({ socket }) => void socket.write(ok('a')));
  b = await fakeUpstream(({ socket }) => void socket.write(ok('b')));
});

afterEach(async () => {
  await proxy?.stop();
  proxy = undefined;
  await dns.stop();
  await a.stop();
  await b.stop();
});

const answering =
  (entries: Record<string, FakeRecord[]>): FakeDns['answer'] =>
  ({ name, type }) => ({ records: entries[`${name} ${type}`] ?? [] });

function conf(server: string): string {
  return `
http {
  access_log off;
  resolver 127.0.0.1:${dns.port} valid=1s ipv6=off;
  upstream app { zone app 64k; server ${server}; }
  server {
    listen 127.0.0.1:%%PORT_0%%;
    add_header X-Tried $upstream_addr always;
    location / { proxy_pass http://app; }
  }
}`;
}

/** Asks until `good` comes, as names are looked up once a second. */
async function until(good: (answer: string) => boolean): Promise<string> {
  for (;;) {
    const count = dns.asked.length;
    const answer = await get(proxy!.port, '/');
    if (good(answer)) return answer;
    await dns.whenAsked(count + 1);
  }
}

it('follows a name to its new address, and is without servers when it is gone', async () => {
  dns.answer = answering({ 'app.test A': [['A', '127.0.0.1']] });
  proxy = await startProxy(conf(`app.test:${a.port} resolve max_fails=0`));
  expect(bodyOf(await get(proxy.port, '/'))).toBe('a');
  dns.answer = answering({});
  const gone = await until((answer) => statusOf(answer) === 502);
  expect(headerOf(gone, 'X-Tried')).toBe('app');
  expect(proxy.read('error.log')).toContain('app.test could not be resolved (3: Host not found)');
  expect(proxy.read('error.log')).toContain('no live upstreams while connecting to upstream');
  dns.answer = answering({ 'app.test A': [['A', '127.0.0.1']] });
  await until((answer) => bodyOf(answer) === 'a');
});

it('takes ports, weights and backups from SRV records', async () => {
  dns.answer = answering({
    '_web._tcp.app.test SRV': [
      ['SRV', `1 3 ${a.port} one.test`],
      ['SRV', `1 1 ${b.port} one.test`],
      ['SRV', '2 1 1 two.test'],
    ],
    'one.test A': [['A', '127.0.0.1']],
    'two.test A': [['A', '127.0.0.1']],
  });
  proxy = await startProxy(conf('app.test service=web resolve'));
  let bodies = '';
  for (let i = 0; i < 8; i++) bodies += bodyOf(await get(proxy.port, '/'));
  expect([...bodies].toSorted().join('')).toBe('aaaaaabb');
});

it('keeps the addresses while DNS fails, on a reload too', async () => {
  dns.answer = answering({ 'app.test A': [['A', '127.0.0.1']] });
  proxy = await startProxy(conf(`app.test:${a.port} resolve`), {
    preamble: 'daemon off;\nworker_processes 1;\nerror_log error.log notice;\nevents { }\n',
  });
  expect(bodyOf(await get(proxy.port, '/'))).toBe('a');
  dns.answer = () => ({ code: 2 });
  proxy.signal('SIGHUP');
  await proxy.waitFor('error.log', /worker process \d+ exited with code 0/);
  expect(bodyOf(await get(proxy.port, '/'))).toBe('a');
  const failed = /app\.test could not be resolved \(2: Server failure\)/;
  await proxy.waitFor('error.log', failed);
  expect(bodyOf(await get(proxy.port, '/'))).toBe('a');
});

it.each([
  [
    'server app.test resolve;',
    'resolving names at run time requires upstream "app" in DIR/nginx.conf:1 to be in shared memory',
  ],
  [
    'zone app 64k; server app.test resolve;',
    'no resolver defined to resolve names at run time in upstream "app" in DIR/nginx.conf:1',
  ],
  [
    'zone app 64k; server app.test service=web;',
    'service upstream "app.test" requires "resolve" parameter in DIR/nginx.conf:1',
  ],
  ['resolver 127.0.0.1 ipv4=off ipv6=off;', '"ipv4" and "ipv6" cannot both be "off" in DIR/nginx.conf:1'],
  ['resolver 127.0.0.1 valid=10ms;', 'invalid parameter: valid=10ms in DIR/nginx.conf:1'],
  ['resolver 127.0.0.1:0;', 'invalid port in resolver "127.0.0.1:0" in DIR/nginx.conf:1'],
])('refuses %s', async (block, message) => {
  const { code, stderr } = await runProxy(`events { } http { upstream app { ${block} } }`);
  expect(code).toBe(1);
  expect(stderr).toContain(`nginx: [emerg] ${message}`);
});
