// A proxy that stood still for longer than its timeouts (a machine that sleeps, a process that is not scheduled): what came
// meanwhile is read before anything is called late, as in the loop of ngx_process_events_and_timers. (Stopped by a signal, as
// here, the original is an exception to itself: SIGCONT interrupts its wait, and the timers come first once.)
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { type FakeUpstream, fakeUpstream } from './fake-upstream.ts';
import { type RunningProxy, startProxy } from './start-proxy.ts';

const TIMEOUT_MS = 1000;

let upstream: FakeUpstream | undefined;
let proxy: RunningProxy;
afterEach(async () => {
  proxy?.signal('SIGCONT');
  await proxy?.stop();
  await upstream?.stop();
  upstream = undefined;
});

/** Stops the proxy, does `act`, and lets it go on when its timeouts have passed. */
async function whileStopped(act: () => void): Promise<void> {
  proxy.signal('SIGSTOP');
  const { pid } = proxy.process;
  while (!/^\d+ \([^)]*\) T/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))) await delay(1);
  act();
  await delay(1.5 * TIMEOUT_MS);
  proxy.signal('SIGCONT');
}

/** What the proxy sends until it closes. */
function answerOf(socket: ReturnType<typeof connect>): Promise<string> {
  return new Promise((done) => {
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('close', () => done(text)).on('error', () => undefined);
  });
}

it('takes the answer of an upstream that came while the proxy stood still', async () => {
  upstream = await fakeUpstream(({ socket }) => {
    void whileStopped(() => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
  });
  proxy = await startProxy(`http { access_log off; server { listen 127.0.0.1:%%PORT_0%%;
    location / { proxy_pass http://127.0.0.1:${upstream.port}; proxy_read_timeout ${TIMEOUT_MS}ms; } } }`);
  const socket = connect(proxy.port, '127.0.0.1');
  const answer = answerOf(socket);
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  expect(await answer).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*ok$/);
});

it.each(['client_header_timeout', 'client_body_timeout'])('takes what a client sent meanwhile: %s', async (name) => {
  proxy = await startProxy(`http { access_log off; server { listen 127.0.0.1:%%PORT_0%%; listen 127.0.0.1:%%PORT_1%%;
    ${name} ${TIMEOUT_MS}ms;
    location / { proxy_pass http://127.0.0.1:%%PORT_1%%/own; }
    location /own { return 200 own; } } }`);
  const socket = connect(proxy.port, '127.0.0.1');
  const answer = answerOf(socket);
  const text = 'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok';
  const cut = text.length - (name === 'client_body_timeout' ? 1 : 10);
  await new Promise<void>((done) => socket.write(text.slice(0, cut), () => done()));
  // The proxy has read it, and its time runs, when it has answered another client that came later.
  const other = connect(proxy.port, '127.0.0.1');
  const second = answerOf(other);
  other.write('GET /own HTTP/1.0\r\n\r\n');
  expect(await second).toContain('own');
  await whileStopped(() => socket.write(text.slice(cut)));
  expect(await answer).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*own$/);
});
