// The running proxy under fuzz, over sockets: mutated requests, mutated frames of HTTP/2, Range sets, and an upstream
// whose responses are mutated. It must stay alive, leave no connection hanging, log no alert, and keep the rules of the
// wire; the bytes of a range must be those of the file.
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { raw, startProxy } from '../proxy/start-proxy.ts';
import { OURS } from '../real/differential/twin.ts';
import { attack, inParallel } from '../wire/attacker.ts';
import { CHUNK_ROWS } from '../wire/chunk-rows.ts';
import { FRAMING_ROWS } from '../wire/framing-rows.ts';
import { attackH2 } from '../wire/h2-attacker.ts';
import { H2_ROWS } from '../wire/h2-rows.ts';
import { HEAD_ROWS } from '../wire/head-rows.ts';
import { attackAll, violation } from '../wire/outcome.ts';
import { hasStatusLine, RESPONSE_SEEDS } from '../wire/response-seeds.ts';
import { FILE, startWireServer, type WireServer } from '../wire/server.ts';
import { mutate } from './mutate.ts';
import { type Random, seconds, seed, startRandom } from './random.ts';

/** A starved machine lets a batch stand for ten seconds. */
const HANG_MS = 40_000;
const patience = { timeout: 1000 * seconds * 4 + 60_000 };
const BATCH = 250;

/** Makes batches of inputs until the time is over; gives the number of cases. */
async function fuzz(make: (random: Random) => string, act: (inputs: string[]) => Promise<void>): Promise<number> {
  const random = startRandom(seed);
  const until = performance.now() + 2000 * seconds;
  let tried = 0;
  do {
    const inputs = Array.from({ length: BATCH }, () => make(random));
    await act(inputs);
    tried += inputs.length;
  } while (performance.now() < until);
  return tried;
}

/** Lines that no input may cause. */
const alerts = (log: string): string[] =>
  log.split('\n').filter((line) => /\[(alert|emerg)\]|^\s+at |Error:/.test(line));

describe('the proxy under fuzz', () => {
  let server: WireServer;
  beforeAll(async () => {
    server = await startWireServer(OURS);
  });
  afterAll(() => server.stop());

  const isAlive = async (): Promise<void> => {
    expect(server.process.exitCode, server.errors().slice(-2000)).toBeNull();
    const { answers } = await attack(server.port, 'GET /own HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    expect(answers).toEqual([{ status: 200, up: 0, isKept: false, isWhole: true }]);
    expect(alerts(server.errors())).toEqual([]);
  };

  it('keeps the rules of the wire', patience, async () => {
    const seeds = [...FRAMING_ROWS, ...CHUNK_ROWS, ...HEAD_ROWS].map(({ send }) =>
      typeof send === 'string' ? send : send.join(''),
    );
    const tried = await fuzz(
      (random) => mutate(random, seeds),
      async (inputs) => {
        const before = server.upstream.refused.length;
        for (const [i, outcome] of (await attackAll(server, inputs, BATCH)).entries()) {
          expect(violation(outcome), JSON.stringify(inputs[i])).toBeUndefined();
        }
        // Odd methods, bytes of UTF-8 and control bytes in values are the upstream's to judge; framing is not.
        const framing = server.upstream.refused.slice(before).filter(concernsFraming);
        expect(framing).toEqual([]);
      },
    );
    await isAlive();
    console.log(`requests: ${tried} cases, seed ${seed}`);
  });

  it('survives what is no HTTP/2', patience, async () => {
    const seeds = H2_ROWS.map(({ frames }) => frames);
    const trouble = [
      '\0',
      '\x01',
      '\x04',
      '\x05',
      '\x08',
      '\x09',
      '\xff',
      '\x80',
      '\x7f',
      '\0\0\0\x04\x01\0\0\0\0',
      '\x82\x86',
    ];
    const tried = await fuzz(
      (random) => mutate(random, seeds, trouble),
      async (inputs) => {
        const before = server.upstream.refused.length;
        const ends = await inParallel(inputs, BATCH, (frames) => attackH2(server.h2Port, frames));
        for (const [i, { outcome }] of ends.entries()) expect(outcome, JSON.stringify(inputs[i])).not.toBe('hangs');
        const framing = server.upstream.refused.slice(before).filter(concernsFraming);
        expect(framing).toEqual([]);
      },
    );
    await isAlive();
    console.log(`HTTP/2: ${tried} cases, seed ${seed}`);
  });

  it('cuts ranges as they are', patience, async () => {
    const tried = await fuzz(
      (random) => {
        const offset = (): string =>
          random.pick(['', '0', '1', '9', '998', '999', '1000', '1001', '99999999999999999999', '-', ' 5', 'x']);
        return `bytes=${random.some(1, 6, () => `${offset()}-${offset()}`).join(random.pick([',', ', ', ',,', ' ']))}`;
      },
      async (inputs) => {
        const answers = await inParallel(inputs, 50, (range) =>
          raw(server.port, `GET /file HTTP/1.0\r\nHost: a\r\nRange: ${range}\r\n\r\n`),
        );
        for (const [i, answer] of answers.entries()) checkRanges(answer, inputs[i]!);
      },
    );
    await isAlive();
    console.log(`Range: ${tried} cases, seed ${seed}`);
  });
});

const HARMLESS = new Set(['HPE_INVALID_METHOD', 'HPE_INVALID_URL', 'HPE_INVALID_HEADER_TOKEN']);

/** llhttp takes the method PRI for HTTP/2's preface, and then misses its version. */
const PRI = /PRI [^ \r\n]+ HTTP\/1\.1\r\n(?:[^\r\n]+\r\n)+\r\n$/;

function concernsFraming({ fault, bytes }: WireServer['upstream']['refused'][number]): boolean {
  return !HARMLESS.has(fault) && !(fault === 'HPE_INVALID_VERSION' && PRI.test(bytes));
}

/** 200 with all, 416, or 206 whose parts hold what they say. */
function checkRanges(answer: string, range: string): void {
  const status = Number(answer.slice(9, 12));
  const stop = answer.indexOf('\r\n\r\n');
  const [head, body] = [answer.slice(0, stop + 2), answer.slice(stop + 4)];
  const file = FILE.toString('latin1');
  expect([200, 206, 416], range).toContain(status);
  expect(body.length, range).toBe(Number(/^content-length: (\d+)\r$/im.exec(head)![1]));
  if (status === 200) expect(body === file, range).toBe(true);
  if (status !== 206) return;
  const single = /^content-range: bytes (\d+)-(\d+)\/1000\r$/im.exec(head);
  if (single) {
    expect(body === file.slice(Number(single[1]), Number(single[2]) + 1), range).toBe(true);
    return;
  }
  const boundary = /boundary=(\S+)/.exec(head)![1]!;
  const parts = body.split(`\r\n--${boundary}`);
  expect([parts.shift(), parts.pop()], range).toEqual(['', '--\r\n']);
  for (const part of parts) {
    const [, from, to] = /Content-Range: bytes (\d+)-(\d+)\/1000\r\n\r\n/.exec(part)!;
    expect(part.slice(part.indexOf('\r\n\r\n') + 4) === file.slice(Number(from), Number(to) + 1), range).toBe(true);
  }
}

describe('the proxy before an upstream that is fuzzed', () => {
  let upstream: Server;
  let proxy: Awaited<ReturnType<typeof startProxy>>;
  const scripts = new Map<string, string>();
  beforeAll(async () => {
    upstream = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (request: Buffer) => {
        const key = /^GET \/(\d+) /.exec(request.toString('latin1'))?.[1] ?? '';
        socket.end(scripts.get(key) ?? 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine', 'latin1');
      });
    });
    await new Promise<void>((done) => upstream.listen(0, '127.0.0.1', done));
    const { port } = upstream.address() as { port: number };
    proxy =
      await startProxy(`http { access_log off; keepalive_timeout 1s; server { listen 127.0.0.1:%%PORT_0%% backlog=1024;
      location / { proxy_pass http://127.0.0.1:${port}; proxy_read_timeout 2s; proxy_http_version 1.1; }
      location /own { return 200 own; } } }`);
  });
  afterAll(async () => {
    await proxy.stop();
    await new Promise((done) => upstream.close(done));
  });

  it('passes on what its client can frame, or 502', patience, async () => {
    let number = 0;
    const tried = await fuzz(
      (random) => mutate(random, RESPONSE_SEEDS),
      async (inputs) => {
        await inParallel(inputs, BATCH, async (response) => {
          const key = String(++number);
          scripts.set(key, response);
          const transcript = await attack(
            proxy.port,
            `GET /${key} HTTP/1.1\r\nHost: a\r\n\r\nGET /own HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
            HANG_MS,
          );
          scripts.delete(key);
          const { bytes, answers, rest, end } = transcript;
          const what = `${JSON.stringify(response)} became ${JSON.stringify(transcript)}`;
          expect(end, what).not.toBe('hangs');
          // No head: what came is passed on as it is, as nginx does, and nothing behind it. Its bytes may look like anything.
          if (!hasStatusLine(response) && bytes === response) return;
          // What nginx 1.22 makes of an interim response, its head for an answer and the rest for a body, no client can frame.
          if (/^HTTP\/\d+\.\d+ +[01]\d\d/.test(response)) return;
          // Whatever the upstream said, the second answer is where the client looks for it, or the connection was closed.
          if (answers[0]?.isKept && answers[0].isWhole)
            expect([answers.length, answers[1]?.status, rest], what).toEqual([2, 200, '']);
          else expect(answers.length, what).toBeLessThanOrEqual(1);
        });
      },
    );
    expect(proxy.process.exitCode, proxy.read('error.log').slice(-2000)).toBeNull();
    expect(alerts(proxy.read('error.log'))).toEqual([]);
    expect((await attack(proxy.port, 'GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')).answers).toHaveLength(
      1,
    );
    console.log(`responses of an upstream: ${tried} cases, seed ${seed}`);
  });
});
