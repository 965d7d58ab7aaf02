// What nginx keeps in shared memory is one for all worker processes: the state of an upstream's servers (`zone`), the
// counts of connections, the index of a cache, TLS sessions. It holds when a worker is killed, and for as long as in
// nginx when the configuration is loaded again.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { fakeDns } from './fake-dns.ts';
import { type FakeUpstream, fakeUpstream, ok } from './fake-upstream.ts';
import { bodyOf, get, headerOf, type RunningProxy, startProxy, statusOf } from './start-proxy.ts';

let proxy: RunningProxy | undefined;
const stops: (() => unknown)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  await proxy?.stop();
  proxy = undefined;
});

/** A client that keeps its connection, and so its worker. */
class Client {
  readonly socket: Socket;
  #text = '';
  #done: ((answer: string) => void) | undefined;
  pid = 0;

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.setEncoding('latin1');
    this.socket.on('error', () => {});
    this.socket.on('close', () => this.#done?.(''));
    this.socket.on('data', (chunk: string) => {
      this.#text += chunk;
      const head = this.#text.indexOf('\r\n\r\n');
      if (head < 0) return;
      const length = Number(/^content-length: (\d+)/im.exec(this.#text)?.[1] ?? 0);
      if (this.#text.length < head + 4 + length) return;
      const text = this.#text;
      this.#text = '';
      this.#done?.(text);
    });
    stops.push(() => this.socket.destroy());
  }

  /** The whole answer; '' when the connection ended without one. */
  get(uri: string): Promise<string> {
    return new Promise((done) => {
      this.#done = done;
      this.socket.write(`GET ${uri} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    });
  }
}

/** One client for each of `count` workers, none of which is in `except`. */
async function clientsOf(running: RunningProxy, count: number, except: readonly number[] = []): Promise<Client[]> {
  const found = new Map<number, Client>();
  while (found.size < count) {
    const client = new Client(running.port);
    client.pid = Number(bodyOf(await client.get('/pid')));
    if (client.pid > 0 && !found.has(client.pid) && !except.includes(client.pid)) found.set(client.pid, client);
    else client.socket.destroy();
  }
  return [...found.values()];
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue()));
}

function start(http: string, workers: number, options: { files?: Record<string, string | Buffer> } = {}) {
  return startProxy(
    `http { access_log off; ${http.replace('@server', 'listen 127.0.0.1:%%PORT_0%%; location /pid { return 200 $pid; }')} }`,
    { ...options, preamble: `daemon off;\nworker_processes ${workers};\nerror_log error.log info;\nevents { }\n` },
  );
}

async function servers(count: number): Promise<FakeUpstream[]> {
  const all: FakeUpstream[] = [];
  for (let i = 0; i < count; i++) {
    const server = await fakeUpstream(({ text, socket }) => {
      if (!text.startsWith('GET /hang')) socket.end(ok(String(i)));
    });
    stops.push(() => server.stop());
    all.push(server);
  }
  return all;
}

const lines = (all: readonly FakeUpstream[], parameters = ''): string =>
  all.map((server) => `server 127.0.0.1:${server.port} ${parameters};`).join(' ');

const PASS = 'location / { proxy_pass http://u; add_header X-Addr $upstream_addr always; }';

/** Kills a client's worker and waits until another has taken its place. */
async function killWorker(running: RunningProxy, client: Client): Promise<void> {
  process.kill(client.pid, 'SIGKILL');
  await running.waitFor('error.log', new RegExp(`worker process ${client.pid} exited on signal 9`));
}

describe('zone of an upstream', () => {
  it('makes one round of three workers, and without it each has its own', async () => {
    const all = await servers(3);
    proxy = await start(
      `upstream u { zone u 64k; ${lines(all)} } upstream own { ${lines(all)} }
       server { @server location /own { proxy_pass http://own; } ${PASS} }`,
      3,
    );
    const clients = await clientsOf(proxy, 3);
    const order: string[] = [];
    for (let i = 0; i < 9; i++) order.push(bodyOf(await clients[(i * 7 + (i >> 1)) % 3]!.get('/')));
    expect(order).toEqual(['0', '1', '2', '0', '1', '2', '0', '1', '2']);
    const own: string[] = [];
    for (const client of clients) own.push(bodyOf(await client.get('/own')));
    expect(own).toEqual(['0', '0', '0']);
  });

  it('keeps weights in step', async () => {
    const all = await servers(2);
    proxy = await start(
      `upstream u { zone u 64k; server 127.0.0.1:${all[0]!.port} weight=3; server 127.0.0.1:${all[1]!.port}; }
       server { @server ${PASS} }`,
      2,
    );
    const clients = await clientsOf(proxy, 2);
    let order = '';
    for (let i = 0; i < 8; i++) order += bodyOf(await clients[i % 2]!.get('/'));
    expect(order).toBe('00100010');
  });

  it('tells all workers of a failure, also when the one that met it is dead, until a reload', async () => {
    const [good] = await servers(1);
    const dead = await new Promise<number>((done) => {
      const server: Server = createServer().listen(0, '127.0.0.1', () => {
        const { port } = server.address() as { port: number };
        server.close(() => done(port));
      });
    });
    proxy = await start(
      `upstream u { zone u 64k; server 127.0.0.1:${dead} fail_timeout=1h; server 127.0.0.1:${good!.port}; }
       server { @server ${PASS} }`,
      2,
    );
    const live = `127.0.0.1:${good!.port}`;
    const [first, second] = (await clientsOf(proxy, 2)) as [Client, Client];
    expect(headerOf(await first.get('/'), 'X-Addr')).toBe(`127.0.0.1:${dead}, ${live}`);
    for (let i = 0; i < 4; i++) expect(headerOf(await second.get('/'), 'X-Addr')).toBe(live);
    await killWorker(proxy, first);
    const [fresh] = (await clientsOf(proxy, 1, [first.pid, second.pid])) as [Client];
    for (let i = 0; i < 4; i++) expect(headerOf(await fresh.get('/'), 'X-Addr')).toBe(live);
    expect(proxy.read('error.log').match(/Connection refused/g)).toHaveLength(1);
    proxy.signal('SIGHUP');
    const [next] = (await clientsOf(proxy, 1, [first.pid, second.pid, fresh.pid])) as [Client];
    expect(headerOf(await next.get('/'), 'X-Addr')).toBe(`127.0.0.1:${dead}, ${live}`);
  });

  it.each(['least_conn', 'random two'])('counts connections of all workers for %s', async (method) => {
    const all = await servers(2);
    proxy = await start(`upstream u { zone u 64k; ${method}; ${lines(all)} } server { @server ${PASS} }`, 3);
    const [one, two, three] = (await clientsOf(proxy, 3)) as [Client, Client, Client];
    void one.get('/hang');
    await until(async () => (await get(proxy!.port, '/pid')) !== '' && all.some((s) => s.requests.length > 0));
    const busy = all.findIndex((server) => server.requests.length > 0);
    for (let i = 0; i < 6; i++) {
      for (const client of [two, three]) expect(bodyOf(await client.get('/'))).toBe(String(1 - busy));
    }
    // With the worker its connection is gone, and both are as good as new.
    await killWorker(proxy, one);
    const seen = new Set<string>();
    while (seen.size < 2) seen.add(bodyOf(await two.get('/')));
    expect(seen).toEqual(new Set(['0', '1']));
  });

  it('limits connections for all workers together, and gives back those of a dead one', async () => {
    const all = await servers(1);
    proxy = await start(`upstream u { zone u 64k; ${lines(all, 'max_conns=2')} } server { @server ${PASS} }`, 3);
    const [one, two, three] = (await clientsOf(proxy, 3)) as [Client, Client, Client];
    void one.get('/hang');
    void two.get('/hang');
    await until(async () => (await get(proxy!.port, '/pid')) !== '' && all[0]!.requests.length === 2);
    expect(statusOf(await three.get('/'))).toBe(502);
    await killWorker(proxy, one);
    // The master hears of the death in its own time.
    await until(async () => statusOf(await three.get('/')) === 200);
  });
});

describe('names of an upstream', () => {
  it('are asked for by one worker for all, also when one was killed', async () => {
    const [server] = (await servers(1)) as [FakeUpstream];
    // Every question gets another address, so workers that asked for themselves would never agree.
    const dns = await fakeDns(() => ({ records: [['A', `127.0.1.${dns.asked.length + 1}`, 1]] }));
    stops.push(() => dns.stop());
    proxy = await start(
      `resolver 127.0.0.1:${dns.port} valid=1s ipv6=off;
       upstream u { zone u 64k; server app.test:1 resolve max_fails=0; server 127.0.0.1:${server.port} backup; }
       server { @server ${PASS} }`,
      3,
    );
    const agree = async (clients: readonly Client[]): Promise<boolean> => {
      const last = `127.0.1.${dns.asked.length}:1,`;
      for (const client of clients) if (!headerOf(await client.get('/'), 'X-Addr')?.startsWith(last)) return false;
      return true;
    };
    const clients = await clientsOf(proxy, 3);
    for (const client of clients) await client.get('/');
    await dns.whenAsked(dns.asked.length + 1);
    await until(() => agree(clients));
    const [dead, ...others] = clients as [Client, ...Client[]];
    await killWorker(proxy, dead);
    const fresh = await clientsOf(
      proxy,
      1,
      clients.map((client) => client.pid),
    );
    await dns.whenAsked(dns.asked.length + 1);
    await until(() => agree([...others, ...fresh]));
  });
});

describe('counts of connections', () => {
  const numbers = (answer: string): number[] => (bodyOf(answer).match(/\d+/g) ?? []).map(Number);

  it('are sums over all workers; those of a dead one are given back, but for what only grows', async () => {
    proxy = await start('server { @server location /status { stub_status; } }', 3);
    const clients = await clientsOf(proxy, 3);
    // [active, accepted, handled, requests, reading, writing, waiting]
    const status = async (): Promise<number[]> => numbers(await clients[2]!.get('/status'));
    await until(async () => (await status()).join(' ').endsWith(' 0 1 2'));
    const before = await status();
    expect(before[0]).toBe(3);
    expect(before[1]).toBe(before[2]);
    await killWorker(proxy, clients[0]!);
    await until(async () => (await status())[0] === 2);
    const after = await status();
    expect(after[1]).toBe(before[1]);
    expect(after[3]).toBeGreaterThan(before[3]!);
    proxy.signal('SIGHUP');
    const old = clients.map((client) => client.pid);
    const fresh = await clientsOf(proxy, 2, old);
    expect(numbers(await fresh[0]!.get('/status'))[3]).toBeGreaterThan(after[3]!);
  });

  it('are variables, too', async () => {
    proxy = await start('server { @server location /active { return 200 $connections_active; } }', 2);
    const [one, two] = (await clientsOf(proxy, 2)) as [Client, Client];
    await until(async () => bodyOf(await one.get('/active')) === '2');
    expect(bodyOf(await two.get('/active'))).toBe('2');
  });
});

describe('a cache', () => {
  const conf = (port: number, path: string, location: string): string =>
    `proxy_cache_path ${path}; proxy_cache c; proxy_cache_valid 200 1h;
     server { @server location / { proxy_pass http://127.0.0.1:${port}; ${location} add_header X-Cache $upstream_cache_status; } }`;
  const statusIn = (answer: string): string | undefined => headerOf(answer, 'X-Cache');

  it('counts uses of all workers', async () => {
    const [server] = await servers(1);
    proxy = await start(conf(server!.port, 'cache keys_zone=c:1m', 'proxy_cache_min_uses 3;'), 3);
    const clients = await clientsOf(proxy, 3);
    for (const client of clients) expect(statusIn(await client.get('/'))).toBe('MISS');
    for (const client of clients) expect(statusIn(await client.get('/'))).toBe('HIT');
    expect(server!.requests).toHaveLength(3);
  });

  it('remembers errors for all workers, also when the one that met it is dead', async () => {
    const server = await fakeUpstream(({ socket }) => void socket.destroy());
    stops.push(() => server.stop());
    proxy = await start(conf(server.port, 'cache keys_zone=c:1m', 'proxy_cache_valid 502 1h;'), 2);
    const [one, two] = (await clientsOf(proxy, 2)) as [Client, Client];
    expect(statusOf(await one.get('/'))).toBe(502);
    await killWorker(proxy, one);
    expect(statusOf(await two.get('/'))).toBe(502);
    expect(server.requests).toHaveLength(1);
  });

  it('lets one worker fetch while the others wait, and another when that one dies', async () => {
    let answer = (): void => {};
    const server = await fakeUpstream(({ socket }) => {
      answer = () => void socket.end(ok('here'));
    });
    stops.push(() => server.stop());
    const location = 'proxy_cache_lock on; proxy_cache_lock_age 1h; proxy_cache_lock_timeout 1h;';
    proxy = await start(conf(server.port, 'cache keys_zone=c:1m', location), 3);
    const [one, two, three] = (await clientsOf(proxy, 3)) as [Client, Client, Client];
    const asked = (count: number) =>
      until(async () => (await get(proxy!.port, '/pid')) !== '' && server.requests.length === count);
    void one.get('/');
    await asked(1);
    const second = two.get('/');
    // Once that worker has answered another question it has read this one, too, and waits.
    await clientsOf(proxy, 1, [one.pid, three.pid]);
    expect(server.requests).toHaveLength(1);
    await killWorker(proxy, one);
    await asked(2);
    const third = three.get('/');
    answer();
    expect(statusIn(await second)).toBe('MISS');
    expect(statusIn(await third)).toBe('HIT');
    expect(server.requests).toHaveLength(2);
  });

  it('updates a stale response once for all workers', async () => {
    let answer: (() => void) | undefined;
    const server = await fakeUpstream(({ socket }) => {
      const body = String(server.requests.length);
      const send = (): void => void socket.end(ok(body, 'X-Accel-Expires: @1'));
      if (server.requests.length === 1) send();
      else answer = send;
    });
    stops.push(() => server.stop());
    proxy = await start(
      conf(server.port, 'cache keys_zone=c:1m', 'proxy_cache_background_update on; proxy_cache_use_stale updating;'),
      2,
    );
    const [one, two] = (await clientsOf(proxy, 2)) as [Client, Client];
    await one.get('/');
    expect(statusIn(await one.get('/'))).toBe('STALE');
    await until(async () => (await get(proxy!.port, '/pid')) !== '' && server.requests.length === 2);
    for (let i = 0; i < 3; i++) expect(statusIn(await two.get('/'))).toBe('UPDATING');
    expect(server.requests).toHaveLength(2);
    answer!();
    await until(async () => bodyOf(await two.get('/')) === '2');
  });

  it('keeps within max_size whichever worker fills it, across a reload', async () => {
    const server = await fakeUpstream(({ socket }) => void socket.end(ok('x'.repeat(50_000))));
    stops.push(() => server.stop());
    const path = 'cache keys_zone=c:1m max_size=200k manager_sleep=10ms use_temp_path=off';
    proxy = await start(conf(server.port, path, ''), 2);
    const files = (): number => readdirSync(`${proxy!.dir}/cache`).filter((name) => /^[0-9a-f]{32}$/.test(name)).length;
    let clients = await clientsOf(proxy, 2);
    for (let i = 0; i < 12; i++) await clients[i % 2]!.get(`/${i}`);
    await until(async () => (await get(proxy!.port, '/pid')) !== '' && files() <= 4);
    // The oldest went; the last one is still there, for both.
    for (const client of clients) expect(statusIn(await client.get('/11'))).toBe('HIT');
    proxy.signal('SIGHUP');
    clients = await clientsOf(
      proxy,
      2,
      clients.map((client) => client.pid),
    );
    for (let i = 20; i < 26; i++) await clients[i % 2]!.get(`/${i}`);
    await until(async () => (await get(proxy!.port, '/pid')) !== '' && files() <= 4);
  });
});

describe('TLS sessions', () => {
  /** A self-signed certificate with its key, in one file. */
  function pem(): string {
    const dir = mkdtempSync(join(tmpdir(), 'portico-tls-'));
    const [key, crt] = [join(dir, 'key'), join(dir, 'crt')];
    const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    execFileSync('openssl', [...args, '-subj', '/CN=a', '-keyout', key, '-out', crt], { stdio: 'ignore' });
    const text = readFileSync(key, 'utf8') + readFileSync(crt, 'utf8');
    rmSync(dir, { recursive: true });
    return text;
  }

  /** One request; what it was answered, and the session to go on with. */
  function ask(port: number, options: ConnectionOptions): Promise<{ body: string; session: Buffer }> {
    return new Promise((done, fail) => {
      const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
      let text = '';
      let session: Buffer | undefined;
      socket.setEncoding('latin1');
      socket.on('session', (fresh) => {
        session = fresh;
      });
      socket.on('data', (chunk: string) => {
        text += chunk;
      });
      socket.on('end', () => done({ body: bodyOf(text), session: session ?? socket.getSession()! }));
      socket.on('error', fail);
      socket.on('secureConnect', () => socket.write('GET / HTTP/1.0\r\n\r\n'));
    });
  }

  it.each([
    ['TLSv1.2', 'off'],
    ['TLSv1.3', 'off'],
    ['TLSv1.2', 'on'],
    ['TLSv1.3', 'on'],
  ] as const)('%s, tickets %s: go on after the worker died and after a reload', async (version, tickets) => {
    proxy = await start(
      `server { @server } ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:S:1m; ssl_session_tickets ${tickets};
       server { listen 127.0.0.1:%%PORT_1%% ssl; ssl_certificate a.pem; ssl_certificate_key a.pem;
                return 200 "$pid $ssl_session_reused"; }`,
      2,
      { files: { 'a.pem': pem() } },
    );
    const port = proxy.ports[1]!;
    const options: ConnectionOptions = { minVersion: version, maxVersion: version };
    let { body, session } = await ask(port, options);
    const goOn = async (): Promise<number> => {
      const next = await ask(port, { ...options, session });
      session = next.session;
      const [pid, reused] = next.body.split(' ');
      expect(reused).toBe('r');
      return Number(pid);
    };
    const first = Number(body.split(' ')[0]);
    process.kill(first, 'SIGKILL');
    await proxy.waitFor('error.log', new RegExp(`worker process ${first} exited on signal 9`));
    const old = new Set([first, ...(await clientsOf(proxy, 2)).map((client) => client.pid)]);
    await goOn();
    proxy.signal('SIGHUP');
    await until(async () => !old.has(await goOn()));
  });

  it('of TLS 1.3 with tickets are in the tickets: the master is not asked for them', async () => {
    proxy = await start(
      `server { @server } ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:S:1m;
       server { listen 127.0.0.1:%%PORT_1%% ssl; ssl_certificate a.pem; ssl_certificate_key a.pem;
                return 200 "$pid $ssl_session_reused"; }`,
      2,
      { files: { 'a.pem': pem() } },
    );
    const { signal, ports } = proxy;
    // A worker that waited for the master, which has the cache, would wait for ever.
    signal('SIGSTOP');
    stops.push(() => signal('SIGCONT'));
    const { body, session } = await ask(ports[1]!, {});
    expect(body).toMatch(/^\d+ \.$/);
    expect((await ask(ports[1]!, { session })).body).toMatch(/^\d+ r$/);
  });
});
