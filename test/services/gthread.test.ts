import net from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { begun, get, gunicorn, type Running, rawRequest } from './server-process.ts';

const FLASK = 'services/apps/flask.ts:app';

const twoResponses = (text: string): boolean =>
  (text.match(/HTTP\/1\.1 200 OK/g) ?? []).length === 2 && text.endsWith('}\n');

describe('the gthread worker', () => {
  let running: Running;
  beforeAll(async () => {
    running = await gunicorn(['--threads', '2', '--timeout', '2', '--keep-alive', '1', FLASK]);
  });
  afterAll(() => running.server.stop());

  it('is what --threads asks for', async () => {
    await running.server.said(/Using worker: gthread/);
  });

  it('serves two requests at once, and a third when a thread is free', async () => {
    const order: string[] = [];
    const one = (await begun(running.port, '/io?ms=3000')).answer.then(() => order.push('one'));
    const two = (await begun(running.port, '/io?ms=1000')).answer.then(() => order.push('two'));
    const three = get(running.port, '/io?ms=100').then(() => order.push('three'));
    await Promise.all([one, two, three]);
    expect(order).toEqual(['two', 'three', 'one']);
  });

  it('keeps a connection for the next request, also one that came with the first', async () => {
    const text = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
    const pipelined = await rawRequest(running.port, text + text, twoResponses);
    expect(pipelined).toContain('Connection: keep-alive\r\n');
    expect(twoResponses(pipelined)).toBe(true);
    const socket = net.connect(running.port, '127.0.0.1');
    let received = '';
    await new Promise<void>((done) => {
      socket.on('data', (bytes) => {
        received += bytes.toString();
        if (received.endsWith('}\n') && !twoResponses(received)) setTimeout(() => socket.write(text), 50);
        if (twoResponses(received)) done();
      });
      socket.write(text);
    });
    // And it is closed when nothing more comes.
    await new Promise((done) => socket.once('close', done));
  });

  it('reads a body that comes late and in pieces', async () => {
    const answer = await new Promise<string>((done) => {
      let received = '';
      const socket = net.connect(running.port, '127.0.0.1');
      socket.write('POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 10\r\n\r\n');
      setTimeout(() => socket.write('hello'), 50);
      setTimeout(() => socket.write('world'), 100);
      socket.on('data', (bytes) => {
        received += bytes.toString();
      });
      socket.on('close', () => done(received));
    });
    expect(answer.endsWith('\r\n\r\nhelloworld')).toBe(true);
  });

  it('does not give the unread rest of a body to the next request', async () => {
    const first = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello';
    const second = 'GET /size?bytes=3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
    const text = await rawRequest(running.port, first + second);
    expect(text).toMatch(/^HTTP\/1\.1 405 [\s\S]*HTTP\/1\.1 200 OK[\s\S]*\r\n\r\nxxx$/);
  });

  it('outlives a handler that sleeps or computes longer than the timeout', async () => {
    const from = running.server.log.length;
    const [slept, burnt] = await Promise.all([get(running.port, '/io?ms=3500'), get(running.port, '/cpu?ms=3000')]);
    expect([slept?.status, burnt?.status]).toEqual([200, 200]);
    expect(running.server.log.slice(from)).not.toContain('WORKER TIMEOUT');
  });

  it('is killed for a call that keeps the GIL, since its main thread needs it too', async () => {
    const from = running.server.log.length;
    const answer = get(running.port, '/native?ms=5000&hold=1');
    await running.server.said(/WORKER TIMEOUT/, from);
    await answer;
    await running.server.said(/Booting worker/, from);
    expect(await get(running.port, '/')).toMatchObject({ status: 200 });
  });

  it('shows the wait for the GIL', async () => {
    const start = `X-Request-Start: t=${Date.now()}\r\n`;
    const [one, two] = await Promise.all([
      get(running.port, '/cpu?ms=100', start),
      get(running.port, '/cpu?ms=100', start),
    ]);
    expect(`${one?.head}${two?.head}`).toMatch(/gil;dur=[1-9]/);
  });

  it('counts it from the moment at which a thread took the request, before it could read it', async () => {
    let isBurning = true;
    const burning = get(running.port, '/cpu?ms=1000').finally(() => {
      isBurning = false;
    });
    // This request runs no Python that would have to hand the lock over: it waits only to be read. One that comes before
    // the burning has begun, or just when the lock is handed over, waits for next to nothing.
    const hasWaited = /app;dur=[1-9].*gil;dur=[1-9]/;
    let head = '';
    while (isBurning && !hasWaited.test(head)) {
      const answer = await get(running.port, '/', `X-Request-Start: t=${Date.now()}\r\n`);
      head = answer?.head ?? '';
    }
    expect(head).toMatch(hasWaited);
    await burning;
  });

  it('exits as one process when a thread crashes, and heals', async () => {
    const from = running.server.log.length;
    const { answer: bystander } = await begun(running.port, '/io?ms=5000');
    expect(await get(running.port, '/crash')).toBeNull();
    expect(await bystander).toBeNull();
    await running.server.said(/Worker \(pid:\d+\) exited with code 1\./, from);
    expect(await get(running.port, '/')).toMatchObject({ status: 200 });
  });

  it('finishes what it has when it is told to stop', async () => {
    const { answer } = await begun(running.port, '/io?ms=800');
    expect(await running.server.stop()).toEqual({ status: 0, signal: null });
    expect(await answer).toMatchObject({ status: 200 });
  });
});

it('stops with status 4 when its threads cannot load the app', async () => {
  const { ServerProcess } = await import('./server-process.ts');
  const server = new ServerProcess('gunicorn', ['-b', '127.0.0.1:0', '--threads', '2', 'services/apps/flask.ts:nope']);
  expect(await server.exited).toEqual({ status: 4, signal: null });
  expect(server.log).toContain('Reason: App failed to load.');
});
