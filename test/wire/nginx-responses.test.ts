// What ours and real nginx pass on of the same bytes of an upstream, byte for byte: responses that a seeded generator made
// of a few good ones. PORTICO_FUZZ_SEED repeats a run.
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mutate } from '../fuzz/mutate.ts';
import { isFull, seed, startRandom } from '../fuzz/random.ts';
import { type RunningProxy, raw, startProxy } from '../proxy/start-proxy.ts';
import { findNginx, OURS } from '../real/differential/twin.ts';
import { inParallel } from './attacker.ts';
import { hasStatusLine, RESPONSE_SEEDS } from './response-seeds.ts';

const nginx = findNginx();
if ('reason' in nginx) console.log(`the differential of responses is skipped: ${nginx.reason}`);

const scripts = new Map<string, string>();
let upstream: Server;
let ours: RunningProxy;
let theirs: RunningProxy;
beforeAll(async () => {
  if ('reason' in nginx) return;
  upstream = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (request: Buffer) => {
      const key = /^GET \/(n\d+) /.exec(request.toString('latin1'))?.[1] ?? '';
      socket.end(scripts.get(key) ?? 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine', 'latin1');
    });
  });
  await new Promise<void>((done) => upstream.listen(0, '127.0.0.1', done));
  const { port } = upstream.address() as { port: number };
  const conf = `http { access_log off; keepalive_timeout 1s; server { listen 127.0.0.1:%%PORT_0%% backlog=1024;
    location / { proxy_pass http://127.0.0.1:${port}; proxy_read_timeout 2s; proxy_http_version 1.1; }
    location /own { return 200 own; } } }`;
  ours = await startProxy(conf, { program: OURS });
  theirs = await startProxy(conf, { program: nginx.program });
});
afterAll(async () => {
  await ours?.stop();
  await theirs?.stop();
  if (upstream) await new Promise((done) => upstream.close(done));
});

/** What a client gets that asks for this response, and for another thing behind it. */
async function ask(proxy: RunningProxy, key: string): Promise<string> {
  const fields = 'HTTP/1.1\r\nHost: a\r\n';
  const text = await raw(proxy.port, `GET /${key} ${fields}\r\nGET /own ${fields}Connection: close\r\n\r\n`);
  return text.replace(/^Date: .*$/gm, 'Date: -').replaceAll(`:${proxy.port}`, ':PORT');
}

describe.skipIf('reason' in nginx)('responses of an upstream beside nginx', () => {
  it('become the same bytes', { timeout: 4_000_000 }, async () => {
    const random = startRandom(seed);
    const rounds = isFull ? 100 : 3;
    const wrong: string[] = [];
    let tried = 0;
    for (let round = 0; round < rounds && wrong.length === 0; round++) {
      const inputs = Array.from({ length: 500 }, () => mutate(random, RESPONSE_SEEDS));
      await inParallel(inputs, 100, async (response) => {
        const key = `n${++tried}`;
        scripts.set(key, response);
        const [a, b] = await Promise.all([ask(ours, key), ask(theirs, key)]);
        scripts.delete(key);
        if (a === b || isUnlike(response, a, b)) return;
        wrong.push(`${JSON.stringify(response)}\n  ours  ${JSON.stringify(a)}\n  nginx ${JSON.stringify(b)}`);
      });
    }
    console.log(`${tried} responses beside nginx, seed ${seed}`);
    expect(wrong).toEqual([]);
  });
});

/** Where ours does otherwise on purpose, or cannot do the same. */
function isUnlike(response: string, ours: string, theirs: string): boolean {
  // Behind an answer of HTTP/0.9 nginx goes on with the connection, though nobody sees where it ends; ours closes it.
  if (!hasStatusLine(response)) return ours === response && theirs.startsWith(ours);
  // Lengths from 2^53 on are not exact in ours.
  return /content-length: *0*[1-9]\d{15}/i.test(response);
}
