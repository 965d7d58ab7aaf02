// From flags and scenario files to a plan, and what is refused: every mistake is one line that says where it is.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { type LoadCommand, parseLoadCommand } from '../../load/command-line.ts';
import { measuredMs, shareOf } from '../../load/plan.ts';
import { parseDuration, parseRate, parseSize, parseStages } from '../../load/units.ts';
import { portico, stopAll, temporaryDirectory } from './load-command.ts';

afterEach(stopAll);

const URL_ = 'http://127.0.0.1:8000/';
const parse = (...args: string[]): LoadCommand => parseLoadCommand(args, (name) => name === 'keepalive-race');

function planOf(...args: string[]) {
  const command = parse(...args);
  if (command.kind !== 'run') throw new Error(`it is ${command.kind}`);
  return command.plan;
}

test('units', () => {
  expect([parseDuration('1m30s'), parseDuration('250ms'), parseDuration('2')]).toEqual([90_000, 250, 2000]);
  expect([parseRate('300rps'), parseRate('1.5k'), parseRate('600/m')]).toEqual([300, 1500, 10]);
  expect([parseSize('64k'), parseSize('100'), parseSize('1m/s')]).toEqual([65_536, 100, 1_048_576]);
  expect(parseStages('10:5s,10-100:1m', Number, 1)).toEqual([
    { durationMs: 5000, from: 10, to: 10 },
    { durationMs: 60_000, from: 10, to: 100 },
  ]);
});

test('flags make a plan', () => {
  expect(planOf(URL_)).toMatchObject({ model: 'closed', connections: 10, isKeepalive: true, protocol: 'http/1.1' });
  expect(measuredMs(planOf('-d', '3s', URL_))).toBe(3000);
  expect(planOf('-r', '50-200:10s', '--poisson', '-c', '64', URL_)).toMatchObject({
    model: 'open',
    arrivals: 'poisson',
    connections: 64,
  });
  expect(planOf('-r', '20000', URL_).threads).toBeGreaterThan(1);
  expect(planOf(`3*${URL_}`, `${URL_}b`).requests.map(({ weight }) => weight)).toEqual([3, 1]);
  expect(planOf('-b', 'x', URL_).requests[0]).toMatchObject({ method: 'POST' });
  expect(parse('keepalive-race', '--quick')).toMatchObject({ kind: 'scenario', name: 'keepalive-race', isQuick: true });
});

test('threads share a plan without loss', () => {
  const plan = planOf('-c', '10', '-n', '101', '--threads', '3', URL_);
  const shares = [0, 1, 2].map((thread) => shareOf(plan, thread));
  expect(shares.map(({ connections }) => connections)).toEqual([4, 3, 3]);
  expect(shares.reduce((sum, { requestLimit }) => sum + requestLimit!, 0)).toBe(101);
});

test.each([
  [[], /what shall be loaded/],
  [['nonsense'], /"nonsense" is no URL, no \.yml file and no scenario/],
  [['keepalive-race', '-r', '5'], /--rate does not go with a ready scenario/],
  [['keepalive-race', URL_], /a ready scenario stands alone/],
  [['--quick', URL_], /--quick is for ready scenarios/],
  [['ftp://127.0.0.1/'], /only http: and https:/],
  [['-r', 'fast', URL_], /--rate: "fast" is no rate; write 300/],
  [['-d', '0', URL_], /--duration: a run needs some time/],
  [['-c', '0', URL_], /--connections: nothing would be sent/],
  [['--fail-if', 'p99>200', URL_], /"200" needs a unit/],
  [['--fail-if', 'speed>2', URL_], /no threshold; .*measures: min/],
  [['--fail-if', 'errors>5', URL_], /write 5%/],
  [['--think', '1s', '-r', '5', URL_], /--think is for the closed loop/],
  [['--threads', '4', '-c', '2', URL_], /4 threads cannot share 2 connections/],
  [['-H', 'no colon', URL_], /is no header field/],
  [['-b', '@/nowhere', URL_], /no such file/],
  [['--cacert', '/nowhere', URL_], /--cacert: .*no such file/],
  [['--http2', '--close', URL_], /--http2 does not go with/],
  [['--what', URL_], /^Unknown option '--what'$/],
  [['-c'], /^Option '-c, --connections <value>' argument missing$/],
])('%j is refused', (args, message) => {
  expect(() => parse(...args)).toThrow(message);
  expect(() => parse(...args)).toThrow(RangeError);
});

describe('scenario files', () => {
  const file = (text: string): string => {
    const path = join(temporaryDirectory(), 'shop.yml');
    writeFileSync(path, text);
    return path;
  };

  test('say the same as flags, and flags win', () => {
    const path = file(`name: shop
url: http://127.0.0.1:8000/shop/
requests:
  - weight: 9
    url: list?page=1
  - name: buy
    url: /cart
    json: { item: 7 }
    headers: { X-User: 12 }
    expect: [201, 409]
  - http://127.0.0.1:9000/
rate: 100:1s,100-200:2s
arrivals: poisson
connections: 50
timeout: 2s
fail-if: ['p99>200ms', errors>1%]
`);
    const plan = planOf(path);
    expect(plan).toMatchObject({ name: 'shop', model: 'open', arrivals: 'poisson', connections: 50, timeoutMs: 2000 });
    expect(plan.requests.map(({ url, method, weight }) => [method, url, weight])).toEqual([
      ['GET', 'http://127.0.0.1:8000/shop/list?page=1', 9],
      ['POST', 'http://127.0.0.1:8000/cart', 1],
      ['GET', 'http://127.0.0.1:9000/', 1],
    ]);
    expect(plan.requests[1]).toMatchObject({
      name: 'buy',
      expect: [201, 409],
      headers: [
        ['X-User', '12'],
        ['Content-Type', 'application/json'],
      ],
    });
    expect(Buffer.from(plan.requests[1]!.body!).toString()).toBe('{"item":7}');
    expect(planOf('-r', '7', '-d', '1s', path).stages).toEqual([{ durationMs: 1000, from: 7, to: 7 }]);
  });

  test.each([
    ['url: http://a/\nrats: 5\n', /shop\.yml:2: rats: is no field; there are: name, url/],
    ['requests:\n  - url: http://a/\n    weight: many\n', /shop\.yml:3: requests\[0\]\.weight: must be a number/],
    ['requests:\n  - method: GET\n', /shop\.yml:2: requests\[0\]\.url: is missing/],
    ['url: http://a/\nrate: soon\n', /shop\.yml:2: rate: "soon" is no rate/],
    ['url: http://a/\nconnections: lots\n', /shop\.yml:2: connections: /],
    ['url: http://a/\nfail-if:\n  - p99>1s\n  - p98>1s\n', /shop\.yml:4: fail-if\[1\]: "p98>1s" is no threshold/],
    ['url: http://a/\narrivals: even\n', /shop\.yml:2: arrivals: must be constant or poisson/],
    ['url: [1\n', /shop\.yml:\d: [^:]*[^:]$/],
    ['- 1\n', /shop\.yml:1: file: must be a mapping/],
    ['name: x\n', /requests: is missing/],
    ['url: http://a/\nduration:\n', /shop\.yml:2: duration: has no value/],
  ])('%j is refused with file, line and field', (text, message) => {
    expect(() => parse(file(text))).toThrow(message);
  });
});

test('the command tells mistakes in one line, with exit status 2', async () => {
  const { status, stderr } = await portico(['load', 'nonsense']);
  expect(status).toBe(2);
  expect(stderr).toBe(
    'portico load: "nonsense" is no URL, no .yml file and no scenario; portico load --list shows the scenarios\nTry \'portico load --help\'.\n',
  );
});
