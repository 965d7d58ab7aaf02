// Groups of servers: who gets the request, what happens when one fails, and connections that are kept.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FakeUpstream, fakeUpstream, ok } from './fake-upstream.ts';
import { freePort, get, type RunningProxy, raw, runProxy, startProxy, statusOf } from './start-proxy.ts';

const servers: FakeUpstream[] = [];
let proxy: RunningProxy;
let hostsDir: string;
let hostsFile: string;

beforeAll(async () => {
  for (const name of ['a', 'b', 'c']) {
    servers.push(
      await fakeUpstream(({ socket, text, connection }) => {
        if (text.includes('/fail')) socket.write(`HTTP/1.1 503 Busy\r\nContent-Length: 1\r\n\r\n${name}`);
        else socket.write(ok(name, `X-Connection: ${connection}`));
      }),
    );
  }
  const [a, b, c] = servers.map((s) => `127.0.0.1:${s.port}`);
  const dead = `127.0.0.1:${await freePort()}`;
  hostsDir = mkdtempSync(join(tmpdir(), 'portico-hosts-'));
  hostsFile = join(hostsDir, 'hosts');
  writeFileSync(hostsFile, '127.0.0.1 app worker\n');
  const location = (name: string, extra = ''): string => `location /${name} { proxy_pass http://${name}; ${extra} }`;
  proxy = await startProxy(
    `
http {
  access_log off;
  error_log error.log info;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  add_header X-Tried $upstream_addr always;
  add_header X-Statuses $upstream_status always;
  upstream weighted { server ${a} weight=3; server ${b}; }
  upstream backed { server ${dead}; server ${b} backup; }
  upstream retried { server ${a} max_fails=0; server ${b} max_fails=0; server ${c} max_fails=0; }
  upstream dead { server ${dead}; server ${dead} weight=2; }
  upstream downed { server ${a} down; server ${b}; }
  upstream kept { server ${c}; keepalive 4; keepalive_requests 3; }
  upstream hashed { hash $arg_key consistent; server ${a}; server ${b}; server ${c}; }
  upstream sticky { ip_hash; server ${a}; server ${b}; server ${c}; }
  upstream named { zone named 64k; server worker:${servers[1]!.port} resolve; }
  resolver 127.0.0.1:1 valid=1s;
  resolver_timeout 200ms;
  server {
    listen 127.0.0.1:%%PORT_0%%;
    ${['weighted', 'backed', 'dead', 'downed', 'kept', 'hashed', 'sticky', 'named'].map((n) => location(n)).join('\n')}
    ${location('retried', 'proxy_next_upstream error http_503;')}
    location /app/ { set $host_name app; proxy_pass http://$host_name:${servers[0]!.port}; }
    location /unknown/ { set $host_name nowhere.invalid; proxy_pass http://$host_name:80; }
  }
}`,
    { env: { PORTICO_HOSTS: hostsFile } },
  );
});

afterAll(async () => {
  await proxy?.stop();
  for (const server of servers) await server.stop();
  rmSync(hostsDir, { recursive: true, force: true });
});

const body = (text: string): string => text.slice(text.indexOf('\r\n\r\n') + 4);

async function many(uri: string, count: number): Promise<string> {
  let out = '';
  for (let i = 0; i < count; i++) out += body(await get(proxy.port, uri));
  return out;
}

describe('choosing', () => {
  it('spreads by weight, smoothly', async () => {
    expect(await many('/weighted', 8)).toBe('aabaaaba');
  });

  it('skips servers that are down', async () => {
    expect(await many('/downed', 4)).toBe('bbbb');
  });

  it('sends a key to one server and the keys to all', async () => {
    const byKey = new Map<string, string>();
    for (let i = 0; i < 30; i++) byKey.set(String(i), body(await get(proxy.port, `/hashed?key=${i}`)));
    expect(new Set(byKey.values()).size).toBe(3);
    for (let i = 0; i < 30; i++) expect(body(await get(proxy.port, `/hashed?key=${i}`))).toBe(byKey.get(String(i)));
  });

  it('keeps a client on its server with ip_hash', async () => {
    expect(new Set(await many('/sticky', 6)).size).toBe(1);
  });
});

describe('failing', () => {
  it('goes on to the backup, and takes the dead server out', async () => {
    expect(await many('/backed', 3)).toBe('bbb');
    expect(proxy.read('error.log')).toMatch('upstream server temporarily disabled while connecting to upstream');
  });

  it('tries the next server for the statuses that proxy_next_upstream names', async () => {
    const text = await get(proxy.port, '/retried/fail');
    expect(statusOf(text)).toBe(503);
    expect(text).toMatch(/X-Statuses: 503, 503, 503\r\n/);
    expect(text.match(/127\.0\.0\.1:\d+/g)).toHaveLength(3);
  });

  it('does not send a POST twice', async () => {
    const text = await raw(
      proxy.port,
      'POST /retried/fail HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx',
    );
    expect(text).toMatch(/X-Statuses: 503\r\n/);
  });

  it('answers 502 when no server is live', async () => {
    expect(statusOf(await get(proxy.port, '/dead'))).toBe(502);
    const text = await get(proxy.port, '/dead');
    expect(text).toMatch('X-Tried: dead\r\n');
    expect(proxy.read('error.log')).toMatch(
      /no live upstreams while connecting to upstream, .*upstream: "http:\/\/dead\/dead"/,
    );
  });
});

it('keeps connections for as many requests as it is told', async () => {
  const connections: string[] = [];
  for (let i = 0; i < 7; i++) connections.push(/X-Connection: (\d+)/.exec(await get(proxy.port, '/kept'))![1]!);
  const [first, , , fourth, , , seventh] = connections;
  expect(connections).toEqual([first, first, first, fourth, fourth, fourth, seventh]);
  expect(new Set(connections).size).toBe(3);
});

describe('names', () => {
  it('come from PORTICO_HOSTS, for variables and for `resolve`', async () => {
    expect(body(await get(proxy.port, '/app/'))).toBe('a');
    expect(body(await get(proxy.port, '/named'))).toBe('b');
  });

  it('that cannot be resolved answer 502', async () => {
    expect(statusOf(await get(proxy.port, '/unknown/'))).toBe(502);
    expect(proxy.read('error.log')).toMatch(/nowhere\.invalid could not be resolved \(\d+: /);
  });
});

it.each([
  ['upstream u { }', 'no servers are inside upstream'],
  [
    'upstream u { server 127.0.0.1:1; } upstream u { server 127.0.0.1:1; }',
    'duplicate upstream "u" in DIR/nginx.conf:2',
  ],
  ['upstream u { server 127.0.0.1:1 weight=0; }', 'invalid parameter "weight=0"'],
  ['upstream u { ip_hash; server 127.0.0.1:1 backup; }', 'balancing method does not support parameter "backup"'],
  ['upstream u { server no-such-host.invalid; }', 'host not found in upstream "no-such-host.invalid"'],
  ['server { location / { proxy_pass ftp://x; } }', 'invalid URL prefix in DIR/nginx.conf:2'],
  [
    'server { location ~ x { proxy_pass http://127.0.0.1/y; } }',
    '"proxy_pass" cannot have URI part in location given by',
  ],
  ['proxy_buffers 1 4k; server { }', 'there must be at least 2 "proxy_buffers"'],
])('refuses %s', async (conf, message) => {
  const { code, stderr } = await runProxy(`events { }\nhttp { ${conf} }`);
  expect(code).toBe(1);
  expect(stderr).toContain(`[emerg] ${message}`);
});
