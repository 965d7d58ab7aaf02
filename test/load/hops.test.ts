// Where the time went: the hops of a request add up to its latency, and the sentence names the largest.
import { expect, test } from 'vitest';
import { Exchange } from '../../load/client/exchange.ts';
import { encodeRequest } from '../../load/client/request.ts';
import { readAccessLog } from '../../load/measure/access-log.ts';
import { bottleneckOf } from '../../load/measure/bottleneck.ts';
import { tableOf } from '../../load/measure/hop-table.ts';
import { HOP_NAMES, hopsOf, readServerTiming } from '../../load/measure/hops.ts';

const request = encodeRequest(
  { name: 'x', url: 'http://127.0.0.1/', method: 'GET', headers: [], body: undefined, weight: 1, expect: undefined },
  true,
);

function hops(serverTiming: string): Record<string, number> {
  const exchange = new Exchange(request, 1000, false, 0);
  Object.assign(exchange, { freeMs: 1002, connectMs: 3, sentMs: 1005, headMs: 1105, endMs: 1110, serverTiming });
  const into = new Float32Array(HOP_NAMES.length);
  hopsOf(exchange, into);
  const found = Object.fromEntries(HOP_NAMES.map((name, index) => [name, Math.round(into[index]! * 100) / 100]));
  expect(Object.values(found).reduce((sum, ms) => sum + ms, 0)).toBeCloseTo(110, 3);
  return Object.fromEntries(Object.entries(found).filter(([, ms]) => ms > 0));
}

test('without Server-Timing the server is one hop', () => {
  expect(hops('')).toEqual({ late: 2, connect: 3, server: 100, body: 5 });
});

test('with it, what is left is the proxy and the network', () => {
  expect(hops('queue;dur=40, app;dur=50, cpu;dur=10, gil;dur=20, io;dur=15')).toEqual({
    late: 2,
    connect: 3,
    proxy: 10,
    queue: 40,
    gil: 20,
    cpu: 10,
    io: 15,
    app: 5,
    body: 5,
  });
});

test('clocks that disagree give no more than the client has seen', () => {
  expect(hops('queue;dur=5000, app;dur=50, cpu;dur=50')).toEqual({ late: 2, connect: 3, queue: 50, cpu: 50, body: 5 });
});

test("other servers' entries", () => {
  expect(hops('total;dur=80, db;dur=53')).toEqual({ late: 2, connect: 3, proxy: 20, server: 80, body: 5 });
  expect(readServerTiming('cache;desc="hit", db;dur=x, worker;desc="w 1";dur=2,,;dur=3')).toEqual({
    durations: new Map([['worker', 2]]),
    worker: 'w 1',
  });
});

test('the bottleneck of most requests, and of the slowest', () => {
  const columns = ['cpu', 'queue'].map((name) => ({ name, meaning: name }));
  const usual = Array.from({ length: 990 }, () => ({ total: 10, parts: [9, 1] }));
  const slow = Array.from({ length: 10 }, () => ({ total: 500, parts: [10, 490] }));
  const result = {
    requests: 1000,
    errors: 0,
    failures: {},
    makers: {},
    generator: { cpuShares: [0.3], lagMs: 0, latenessMs: 0, warnings: [] },
  };
  expect(bottleneckOf(result, tableOf(usual, columns))).toMatch(/^Most time goes to cpu .*The app computes/);
  expect(bottleneckOf(result, tableOf([...usual, ...slow], columns))).toMatch(
    /slowest 1% spend 98% in queue .*more workers/,
  );
  const busy = { ...result, generator: { ...result.generator, cpuShares: [0.97] } };
  expect(bottleneckOf(busy, tableOf(usual, columns))).toMatch(
    /^The generator itself was at its limit \(97% of a core\)/,
  );
  const failing = { ...result, errors: 400, makers: { '502 from nginx': 400 } };
  expect(bottleneckOf(failing, undefined)).toMatch(/40% of the requests failed, most of them as 502 from nginx/);
});

test('lines of an access log, with retries and without an upstream', () => {
  const line = (rest: string): string => `127.0.0.1 - - [22/Nov/2026:15:15:08 +0000] "GET / HTTP/1.1" 200 31 ${rest}`;
  const { hops: table, lanes } = readAccessLog([
    line('rt=0.050 uct=0.001 uht=0.045 urt=0.046 ua=127.0.0.1:8000 us=200'),
    line(
      'rt=0.300 uct="0.001, 0.000" uht="-, 0.080" urt="0.200, 0.090" ua="127.0.0.1:8000, 127.0.0.1:8001" us="504, 200"',
    ),
    line('rt=0.000 uct=- uht=- urt=- ua=- us=-'),
    'something else',
  ]);
  expect(table!.count).toBe(3);
  expect(table!.rows.map(({ hop }) => hop)).toEqual(['proxy', 'connect', 'header', 'body']);
  expect(lanes).toMatchObject({ names: ['127.0.0.1:8000', '127.0.0.1:8001'], values: [[2], [1]] });
});
