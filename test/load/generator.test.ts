// What the generator sends and counts: models, limits, HTTP/1.1 and HTTP/2, bodies, failures told apart, thresholds, Ctrl-C.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createH2Server, createSecureServer } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { finish, load, portico, startPortico, stopAll, temporaryDirectory } from './load-command.ts';

const servers: Array<Server | TcpServer> = [];
// Each run starts processes; on a busy machine that takes its time.
vi.setConfig({ testTimeout: 120_000 });
afterEach(async () => {
  for (const server of servers.splice(0)) {
    if ('closeAllConnections' in server) server.closeAllConnections();
    server.close();
  }
  await stopAll();
});

async function listen(server: Server | TcpServer): Promise<number> {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function serve(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  return `http://127.0.0.1:${await listen(createServer(handler))}/`;
}

/** A server of raw answers. */
async function serveRaw(onRequest: (socket: Socket, count: number) => void): Promise<string> {
  let count = 0;
  const server = createTcpServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', () => onRequest(socket, ++count));
  });
  return `http://127.0.0.1:${await listen(server)}/`;
}

test('sends so many requests, and counts what the server counts', async () => {
  let served = 0;
  const url = await serve((_request, response) => {
    served++;
    response.end('hello');
  });
  const result = await load('-n', '500', '-c', '7', url);
  expect(result).toMatchObject({ requests: 500, errors: 0, statuses: { 200: 500 }, warmupRequests: 0 });
  expect(served).toBe(500);
});

test('divides the work over threads', async () => {
  const ports = new Set<number>();
  const url = await serve((request, response) => {
    ports.add(request.socket.remotePort!);
    response.end();
  });
  const result = await load('-n', '301', '-c', '5', '--threads', '2', url);
  expect(result.requests).toBe(301);
  expect(result.generator.cpuShares).toHaveLength(2);
  expect(ports.size).toBe(5);
});

test('sends method, header fields and body as given', async () => {
  const seen: string[] = [];
  const url = await serve((request, response) => {
    let body = '';
    request
      .on('data', (chunk) => (body += chunk))
      .on('end', () => {
        seen.push(`${request.method} ${request.headers['x-one']} ${request.headers['content-length']} ${body}`);
        response.end();
      });
  });
  await load('-n', '2', '-c', '1', '-X', 'PUT', '-H', 'X-One: 1', '-b', 'twelve bytes', url);
  expect(seen).toEqual(['PUT 1 12 twelve bytes', 'PUT 1 12 twelve bytes']);
});

test('keeps connections, closes them, or closes them after some requests', async () => {
  let connections = 0;
  const server = createServer((_request, response) => response.end('x'));
  server.on('connection', () => connections++);
  const url = `http://127.0.0.1:${await listen(server)}/`;
  const opened = async (...flags: string[]): Promise<number> => {
    connections = 0;
    await load('-n', '20', '-c', '2', ...flags, url);
    // One is the check before the run.
    return connections - 1;
  };
  expect(await opened()).toBe(2);
  expect(await opened('--close')).toBe(20);
  // Two connections share 20 requests as they come: 4 connections, or 5 when neither share divides by 5.
  expect([4, 5]).toContain(await opened('--reconnect', '5'));
});

test('mixes URLs by weight', async () => {
  const paths: Record<string, number> = {};
  const url = await serve((request, response) => {
    paths[request.url!] = (paths[request.url!] ?? 0) + 1;
    response.end();
  });
  const { kinds } = await load('-n', '400', `3*${url}a`, `${url}b`);
  expect(kinds.map(({ name, requests }) => [new URL(name).pathname, requests])).toEqual([
    ['/a', paths['/a']],
    ['/b', paths['/b']],
  ]);
  expect(paths['/a']! / paths['/b']!).toBeGreaterThan(2);
});

test('the open loop sends at its rate whatever the server does, and steps have figures of their own', async () => {
  const url = await serve((_request, response) => setTimeout(() => response.end(), 300));
  const result = await load('-r', '20:1s,60:1s', url);
  expect(result.stages.map(({ requests }) => requests)).toEqual([20, 60]);
  expect(result.errors).toBe(0);
});

test('a request that finds no connection waits, and the wait is in its latency', async () => {
  const url = await serve((_request, response) => setTimeout(() => response.end(), 100));
  const result = await load('-r', '20', '-c', '1', '-d', '1s', url);
  expect(result.requests).toBe(20);
  expect(result.latency!.max).toBeGreaterThan(800);
  expect(result.service!.max).toBeLessThan(result.latency!.max / 2);
  expect(result.hops!.rows.find(({ hop }) => hop === 'wait')!.all.share).toBeGreaterThan(0.5);
  expect(result.generator.warnings.join()).toMatch(/waited for a free connection/);
  expect(result.generator.warnings.join()).toMatch(/the rate was not reached: 20 requests\/s were due, \d+ were done/);
});

test('a rate that is not reached is said while the load still runs', async () => {
  const url = await serve((_request, response) => setTimeout(() => response.end(), 100));
  const child = startPortico(['load', '-r', '100', '-c', '1', '-d', '60s', url]);
  const ended = finish(child);
  const [warning] = (await once(child.stderr!, 'data')) as [string];
  child.kill('SIGINT');
  expect(warning).toMatch(
    /^warning: 100 requests\/s are not reached \(\d+ wait\): all 1 connections \(-c\) are busy\n/,
  );
  expect((await ended).status).toBe(130);
});

describe('HTTP/2', () => {
  test('over TLS, several streams on a connection, with the authority given', async () => {
    const directory = temporaryDirectory();
    await portico(['certs', '--dir', directory]);
    const file = join(directory, 'ca.pem');
    const cert = readFileSync(join(directory, 'leaf.pem'));
    const key = readFileSync(join(directory, 'leaf-key.pem'));
    const sessions = new Set<unknown>();
    const versions = new Set<string>();
    const server = createSecureServer({ cert, key, allowHTTP1: true }, (request, response) => {
      sessions.add(request.stream.session);
      versions.add(request.httpVersion);
      setTimeout(() => response.end('hello'), 5);
    });
    const url = `https://127.0.0.1:${await listen(server as unknown as Server)}/`;
    const result = await load('--http2', '--streams', '8', '-c', '2', '-n', '200', '--cacert', file, url);
    expect(result).toMatchObject({ requests: 200, errors: 0, statuses: { 200: 200 } });
    expect([...versions]).toEqual(['2.0']);
    expect(sessions.size).toBe(2);
    const { stderr, status } = await portico(['load', '-n', '1', url]);
    expect(stderr).toMatch(/cannot connect to https:.*certificate.*--cacert/);
    expect(status).toBe(1);
  });

  test('with prior knowledge', async () => {
    const server = createH2Server((_request, response) => response.end('hello'));
    const url = `http://127.0.0.1:${await listen(server as unknown as Server)}/`;
    expect(await load('--http2', '-c', '1', '--streams', '4', '-n', '40', url)).toMatchObject({
      requests: 40,
      errors: 0,
    });
  });
});

describe('failures are told apart', () => {
  test('reset, closed, malformed, stale', async () => {
    const reset = await serveRaw((socket) => socket.resetAndDestroy());
    expect((await load('-n', '3', '-c', '1', reset)).failures).toEqual({ reset: 3 });
    const closed = await serveRaw((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'));
    expect((await load('-n', '3', '-c', '1', closed)).failures).toEqual({ closed: 3 });
    const broken = await serveRaw((socket) => socket.end('SMTP ready\r\n\r\n'));
    expect((await load('-n', '3', '-c', '1', broken)).failures).toEqual({ protocol: 3 });
    // Every second request of a kept-alive connection finds it closed.
    const stale = await serveRaw((socket, count) => {
      if (count % 2 === 0) socket.destroy();
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    });
    expect(await load('-n', '6', '-c', '1', stale)).toMatchObject({ failures: { stale: 3 }, statuses: { 200: 3 } });
  });

  test('timeouts, and they are in the latencies', async () => {
    const silent = await serveRaw(() => {});
    const result = await load('-n', '2', '-c', '2', '--timeout', '200ms', silent);
    expect(result.failures).toEqual({ timeout: 2 });
    expect(result.latency!.min).toBeGreaterThanOrEqual(200);
  });

  test('502, 503, 504 by the hop that made them', async () => {
    const page =
      '<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n';
    const url = await serve((request, response) => {
      response.writeHead(request.url === '/own' ? 502 : 503, { Server: 'nginx/1.22.1' });
      response.end(request.url === '/own' ? page : 'the app is tired');
    });
    expect((await load('-n', '2', '-c', '1', `${url}own`)).makers).toEqual({ '502 from nginx': 2 });
    expect((await load('-n', '2', '-c', '1', url)).makers).toEqual({ '503 from behind nginx': 2 });
  });
});

test('reads chunked bodies, bodies to the end of the connection, and interim answers, in pieces', async () => {
  const answers = [
    'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=1\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n',
    'HTTP/1.1 204 No Content\r\n\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length:3\r\n\r\nabc',
    'HTTP/1.0 200 OK\r\n\r\nto the end',
  ];
  const url = await serveRaw((socket, count) => {
    const bytes = Buffer.from(answers[(count - 1) % 4]!);
    let at = 0;
    const next = (): void => {
      if (at < bytes.length) socket.write(bytes.subarray(at, (at += 3)), () => setImmediate(next));
      else if (count % 4 === 0) socket.end();
    };
    socket.setNoDelay();
    next();
  });
  expect(await load('-n', '8', '-c', '1', url)).toMatchObject({ failures: {}, statuses: { 200: 6, 204: 2 } });
});

test('slow clients trickle their request and read slowly', async () => {
  let pieces = 0;
  const url = await serve((request, response) => {
    request.on('data', () => pieces++).on('end', () => response.end('x'.repeat(300_000)));
  });
  const result = await load(
    '-n',
    '1',
    '-c',
    '1',
    '-b',
    'x'.repeat(200),
    '--slow-send',
    '1000',
    '--slow-read',
    '1m',
    url,
  );
  expect(result.statuses).toEqual({ 200: 1 });
  expect(pieces).toBeGreaterThan(2);
  expect(result.latency!.max).toBeGreaterThan(300);
});

test('where the time went comes from Server-Timing', async () => {
  const url = await serve((_request, response) => {
    response.setHeader('Server-Timing', 'queue;dur=30, app;dur=12, cpu;dur=2.0, io;dur=10, worker;desc="41"');
    setTimeout(() => response.end(), 45);
  });
  const result = await load('-n', '20', '-c', '2', url);
  const rows = Object.fromEntries(result.hops!.rows.map(({ hop, all }) => [hop, all.p50]));
  expect(rows).toMatchObject({ queue: 30, cpu: 2, io: 10 });
  expect(result.bottleneck).toMatch(/ost time goes to queue/);
  expect(result.lanes).toMatchObject({ source: 'worker', names: ['41'] });
});

test('exit status follows the thresholds', async () => {
  const url = await serve((_request, response) => response.end());
  const good = await portico(['load', '-n', '20', '--fail-if', 'errors>0.1%', '--fail-if', 'p99>20s', url]);
  expect(good.status).toBe(0);
  const bad = await portico(['load', '-n', '20', '--fail-if', 'p50<20s', url]);
  expect(bad.status).toBe(1);
  expect(bad.stdout).toMatch(/FAILED --fail-if 'p50<20s'/);
});

test('Ctrl-C prints the results so far', async () => {
  let isReady = (): void => {};
  const ready = new Promise<void>((resolve) => {
    isReady = resolve;
  });
  const url = await serve((_request, response) => {
    response.end();
    isReady();
  });
  const child = startPortico(['load', '-c', '1', '-d', '60s', url]);
  const ended = finish(child);
  await ready;
  child.kill('SIGINT');
  const { status, stdout } = await ended;
  expect(status).toBe(130);
  expect(stdout).toMatch(/interrupted: these are the results so far/);
});

test.each([
  [['http://127.0.0.1:1/'], /cannot connect to http:\/\/127\.0\.0\.1:1: nothing listens there/],
  [['-c', '9000000', 'http://127.0.0.1:1/'], /9000000 connections need \d+ file descriptors, and the limit is \d+/],
])('%j cannot be run, and says why in one line', async (args, message) => {
  const finished = await portico(['load', ...args]);
  expect(finished.stderr).toMatch(message);
  expect(finished.stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(finished.status).toBe(1);
});
