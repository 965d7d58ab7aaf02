// Bodies that take their time: buffering, slow clients, temporary files, upgrades, and clients that go away.
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type FakeUpstream, fakeUpstream } from './fake-upstream.ts';
import { type RunningProxy, startProxy } from './start-proxy.ts';

let upstream: FakeUpstream;
let proxy: RunningProxy;
let served: Socket;
let onServed: (socket: Socket) => void;

/** The upstream's side of the next request. */
function nextRequest(): Promise<Socket> {
  return new Promise((done) => {
    onServed = done;
  });
}

beforeAll(async () => {
  upstream = await fakeUpstream(({ socket }) => {
    served = socket;
    onServed(socket);
  });
  const to = `http://127.0.0.1:${upstream.port}`;
  proxy = await startProxy(`
http {
  access_log access.log;
  error_log error.log info;
  server {
    listen 127.0.0.1:%%PORT_0%%;
    location / { proxy_pass ${to}; proxy_http_version 1.1; }
    location /unbuffered/ { proxy_pass ${to}; proxy_buffering off; }
    location /stubborn/ { proxy_pass ${to}; proxy_ignore_client_abort on; }
    location /ws/ {
      proxy_pass ${to};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
    }
  }
}`);
});

afterAll(async () => {
  await proxy?.stop();
  await upstream?.stop();
});

class Client {
  readonly socket: Socket;
  text = '';
  #changed: (() => void) | undefined;
  readonly closed: Promise<void>;

  constructor(request: string) {
    this.socket = connect(proxy.port, '127.0.0.1');
    this.socket.setEncoding('latin1');
    this.socket.on('data', (chunk: string) => {
      this.text += chunk;
      this.#changed?.();
    });
    this.closed = new Promise((done) => this.socket.on('close', () => done()));
    this.socket.on('error', () => undefined);
    this.socket.write(request);
  }

  until(pattern: RegExp): Promise<void> {
    return this.when(() => pattern.test(this.text));
  }

  async when(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await new Promise<void>((done) => {
        this.#changed = done;
      });
    }
  }
}

const ask = (uri: string): string => `GET ${uri} HTTP/1.1\r\nHost: a\r\n\r\n`;
const turn = (): Promise<void> => new Promise((done) => setTimeout(done, 60));

it('holds a part of a buffer back until more comes, unless buffering is off', async () => {
  const request = nextRequest();
  const client = new Client(ask('/held'));
  (await request).write('HTTP/1.0 200 OK\r\n\r\nfirst');
  await turn();
  expect(client.text).not.toMatch('first');
  served.write('second'.repeat(1000));
  await client.until(/first/);
  served.end('last');
  await client.until(/last/);

  const direct = nextRequest();
  const other = new Client(ask('/unbuffered/'));
  (await direct).write('HTTP/1.0 200 OK\r\n\r\nfirst');
  await other.until(/first/);
  served.end();
  client.socket.destroy();
  other.socket.destroy();
});

it('passes whole chunks on at once, and obeys X-Accel-Buffering', async () => {
  const request = nextRequest();
  const client = new Client(ask('/sse'));
  (await request).write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nevent1\r\n');
  await client.until(/event1/);
  client.socket.destroy();

  const direct = nextRequest();
  const other = new Client(ask('/sse'));
  (await direct).write('HTTP/1.0 200 OK\r\nX-Accel-Buffering: no\r\n\r\nevent2');
  await other.until(/event2/);
  expect(other.text).not.toMatch('X-Accel');
  other.socket.destroy();
});

it('keeps what a slow client does not take in a file, and loses nothing', async () => {
  const request = nextRequest();
  const client = new Client(ask('/large'));
  client.socket.pause();
  const size = 24 * 1024 * 1024;
  const body = Buffer.alloc(size, 'abcdefghij');
  const upstreamSocket = await request;
  upstreamSocket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
  // The upstream is done long before the client reads.
  await new Promise<void>((done) => upstreamSocket.write(body, () => done()));
  await proxy.waitFor('error.log', /an upstream response is buffered to a temporary file \S+proxy_temp\/1\/00\/0+1/);
  client.socket.resume();
  await client.when(
    () => client.text.length > size && client.text.length - client.text.indexOf('\r\n\r\n') - 4 >= size,
  );
  const got = client.text.slice(client.text.indexOf('\r\n\r\n') + 4);
  expect(got.length).toBe(size);
  expect(got === body.toString('latin1')).toBe(true);
  client.socket.destroy();
});

it('tunnels both ways after 101 and ends both sides', async () => {
  const request = nextRequest();
  const client = new Client('GET /ws/ HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n');
  const side = await request;
  expect(upstream.requests.at(-1)!.text).toMatch(
    /Connection: upgrade\r\nUpgrade: echo|Upgrade: echo\r\nConnection: upgrade/,
  );
  side.removeAllListeners('data');
  side.on('data', (chunk: string) => side.write(`<${chunk}>`));
  side.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nhello');
  await client.until(/hello$/);
  client.socket.write('ping');
  await client.until(/<ping>$/);
  const sideClosed = new Promise((done) => side.on('close', done));
  client.socket.end();
  await sideClosed;
  await client.closed;
});

it('drops the upstream when the client goes away, unless told to stay', async () => {
  const request = nextRequest();
  const client = new Client(ask('/gone'));
  const side = await request;
  const dropped = new Promise((done) => side.on('close', done));
  client.socket.destroy();
  await dropped;
  await proxy.waitFor('access.log', /"GET \/gone HTTP\/1.1" 499 0/);

  const second = nextRequest();
  const other = new Client(ask('/stubborn/'));
  const stubborn = await second;
  other.socket.destroy();
  await turn();
  stubborn.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  await proxy.waitFor('access.log', /"GET \/stubborn\/ HTTP\/1.1" 200/);
});
