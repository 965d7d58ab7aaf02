// Gunicorn's metrics as datagrams: what the master and the workers of each WSGI class send, with prefix and tags, and the depth of the queue.
import dgram from 'node:dgram';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { get, gunicorn, type Running, ServerProcess } from './server-process.ts';

const FLASK = 'services/apps/flask.ts:app';
let socket: dgram.Socket;
let host: string;
let metrics: string[];
let running: Running | null = null;

beforeEach(async () => {
  metrics = [];
  socket = dgram.createSocket('udp4');
  socket.on('message', (bytes) => metrics.push(bytes.toString()));
  await new Promise<void>((done) => socket.bind(0, '127.0.0.1', done));
  host = `127.0.0.1:${socket.address().port}`;
});
afterEach(async () => {
  await running?.server.stop();
  running = null;
  socket.close();
});

describe.each(['sync', 'gthread'])('-k %s', (kind) => {
  it('sends duration, count and status of each request, and the number of workers', async () => {
    const flags = ['-k', kind, '--statsd-host', host, '--statsd-prefix', 'my.app..', '--dogstatsd-tags', 'a:b,c:d'];
    running = await gunicorn([...flags, FLASK]);
    await get(running.port, '/no-such');
    await running.server.until(() => metrics.length >= 4, 'four metrics');
    // The master sends the number of workers, the worker the rest: which of the two comes first is the kernel's affair.
    const sent = metrics.map((each) => each.replace(/\d+\.\d+\|ms/, 'N|ms'));
    expect(sent.filter((each) => each.includes('.workers'))).toEqual(['my.app.gunicorn.workers:1|g|#a:b,c:d']);
    expect(sent.filter((each) => !each.includes('.workers'))).toEqual([
      'my.app.gunicorn.request.duration:N|ms|#a:b,c:d',
      'my.app.gunicorn.requests:1|c|@1.0|#a:b,c:d',
      'my.app.gunicorn.request.status.404:1|c|@1.0|#a:b,c:d',
    ]);
  });
});

it('counts warnings and errors of the log, and finds a host by its name', async () => {
  const name = host.replace('127.0.0.1', 'localhost');
  running = await gunicorn(['--statsd-host', name, '--ssl-version', 'TLSv1_2', FLASK]);
  await get(running.port, '/crash');
  await running.server.until(() => metrics.includes('gunicorn.log.error:1|c|@1.0'), 'the error');
  expect(metrics).toContain('gunicorn.log.warning:1|c|@1.0');
});

it('samples how many connections wait in the queue', async () => {
  running = await gunicorn(['--statsd-host', host, '--enable-backlog-metric', '--log-level', 'debug', FLASK]);
  const { port, server } = running;
  const answers = Array.from({ length: 4 }, () => get(port, '/io?ms=1200'));
  await server.until(() => metrics.some((each) => /^gunicorn\.backlog:[123]\|h$/.test(each)), 'a queue');
  await server.said(/\[DEBUG\] socket backlog: [123]\n/);
  await Promise.all(answers);
});

it.each([
  ['127.0.0.1:x', "Error: Value must be one of ('host:port', 'unix://PATH')"],
  ['unix:///run/statsd', 'Error: Node has no datagram sockets with a path; give HOST:PORT'],
])('refuses %s at start', async (address, message) => {
  const server = new ServerProcess('gunicorn', ['-b', '127.0.0.1:0', '--statsd-host', address, FLASK]);
  expect((await server.exited).status).toBe(1);
  expect(server.log).toContain(message);
});
