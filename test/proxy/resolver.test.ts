// The resolver against DNS servers that answer well, badly, late and with malice.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Resolution, Resolver, type ServiceAddress } from '../../proxy/resolver.ts';
import { MalformedAnswer, readHead, readQuestion, readRecords } from '../../proxy/resolver-message.ts';
import { encodeAnswer, encodeName, type FakeAnswer, type FakeDns, fakeDns } from './fake-dns.ts';

let dns: FakeDns;
let other: FakeDns;
let log: string[];

beforeEach(async () => {
  dns = await fakeDns();
  other = await fakeDns();
  log = [];
});

afterEach(async () => {
  vi.useRealTimers();
  await dns.stop();
  await other.stop();
});

function resolver(options: { validS?: number; six?: boolean; four?: boolean; ports?: number[] } = {}): Resolver {
  const { validS = 0, six = false, four = true, ports = [dns.port] } = options;
  return new Resolver({
    servers: ports.map((port) => ({ address: '127.0.0.1', port })),
    validS,
    hasIpv4: four,
    hasIpv6: six,
    log: (message) => log.push(message),
  });
}

function resolve(from: Resolver, name: string, timeoutMs = 0): Promise<Resolution> {
  return new Promise((done) => void from.resolve(name, timeoutMs, done));
}

/** `address address` or `code: text`. */
async function look(from: Resolver, name: string): Promise<string> {
  const { addresses, error } = await resolve(from, name);
  return error ? `${error.code}: ${error.text}` : addresses.map((a) => a.address).join(' ');
}

const zone =
  (entries: Record<string, FakeAnswer>): FakeDns['answer'] =>
  ({ name, type }) =>
    entries[`${name} ${type}`] ?? entries[name] ?? { code: 3 };

describe('addresses', () => {
  it('come from A and AAAA, IPv4 first', async () => {
    dns.answer = zone({
      'app.test A': { records: [['A', '192.0.2.1']] },
      'app.test AAAA': { records: [['AAAA', '2001:db8:0:0:1::2']] },
      'six.test A': {},
      'six.test AAAA': { records: [['AAAA', '::ffff:c000:201']] },
    });
    const both = resolver({ six: true });
    expect(await look(both, 'app.test')).toBe('192.0.2.1 2001:db8::1:0:0:2');
    expect(await look(both, 'six.test')).toBe('::ffff:192.0.2.1');
    expect(await look(resolver({ six: true, four: false }), 'app.test')).toBe('2001:db8::1:0:0:2');
    expect(await look(both, '[::1]')).toBe('::1');
    expect(new Set(dns.asked.map((q) => q.id)).size).toBeGreaterThan(1);
  });

  it('are kept for their TTL, or for valid=, whatever the case of the name', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    dns.answer = zone({
      'app.test': {
        records: [
          ['A', '192.0.2.1', 10],
          ['A', '192.0.2.2', 20],
        ],
      },
    });
    const byTtl = resolver();
    expect(await look(byTtl, 'app.test.')).toBe('192.0.2.1 192.0.2.2');
    expect((await look(byTtl, 'APP.test')).split(' ').toSorted()).toEqual(['192.0.2.1', '192.0.2.2']);
    expect(dns.asked).toHaveLength(1);
    vi.advanceTimersByTime(11_000);
    await look(byTtl, 'app.test');
    expect(dns.asked).toHaveLength(2);
    const byValid = resolver({ validS: 60 });
    expect((await resolve(byValid, 'app.test')).validMs).toBe(60_000);
    vi.advanceTimersByTime(25_000);
    await look(byValid, 'app.test');
    expect(dns.asked).toHaveLength(3);
  });

  it('are asked for once for all who wait', async () => {
    dns.answer = zone({ 'app.test': { records: [['A', '192.0.2.1']] } });
    const one = resolver();
    expect(await Promise.all([look(one, 'app.test'), look(one, 'app.test')])).toEqual(['192.0.2.1', '192.0.2.1']);
    expect(dns.asked).toHaveLength(1);
  });

  it('are found behind aliases', async () => {
    dns.answer = zone({
      'www.test': { records: [['CNAME', 'a.test']] },
      'a.test': { records: [['CNAME', 'b.test']] },
      'b.test': { records: [['A', '192.0.2.7']] },
      'whole.test': {
        records: [
          ['CNAME', 'elsewhere.test'],
          ['A', '192.0.2.8'],
        ],
      },
      'loop.test': { records: [['CNAME', 'loop.test']] },
    });
    const one = resolver();
    expect(await look(one, 'www.test')).toBe('192.0.2.7');
    expect(await look(one, 'www.test')).toBe('192.0.2.7');
    expect(dns.asked).toHaveLength(3);
    expect(await look(one, 'whole.test')).toBe('192.0.2.8');
    expect(await look(one, 'loop.test')).toBe('3: Host not found');
  });
});

describe('failures', () => {
  it('carry the server’s reason and are not kept', async () => {
    dns.answer = zone({ 'fail.test': { code: 2 }, 'refused.test': { code: 5 }, 'empty.test': {} });
    const one = resolver();
    expect(await look(one, 'gone.test')).toBe('3: Host not found');
    expect(await look(one, 'fail.test')).toBe('2: Server failure');
    expect(await look(one, 'refused.test')).toBe('5: Operation refused');
    expect(await look(one, 'empty.test')).toBe('3: Host not found');
    dns.answer = zone({ 'fail.test': { records: [['A', '192.0.2.1']] } });
    expect(await look(one, 'fail.test')).toBe('192.0.2.1');
  });

  it('of one address family spoil the answer', async () => {
    dns.answer = zone({ 'half.test A': { records: [['A', '192.0.2.1']] }, 'half.test AAAA': { code: 2 } });
    expect(await look(resolver({ six: true }), 'half.test')).toBe('2: Server failure');
  });

  it('come at once for what is no domain name', async () => {
    for (const name of ['', 'a..b', '.a', `${'x'.repeat(256)}.test`]) {
      expect(await look(resolver(), name)).toBe('3: Host not found');
    }
    expect(dns.asked).toHaveLength(0);
  });
});

describe('time', () => {
  it('passes, and the next server is asked after 5 s', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout', 'performance'] });
    other.answer = zone({ 'app.test': { records: [['A', '192.0.2.1']] } });
    const answer = look(resolver({ ports: [dns.port, other.port] }), 'app.test');
    await dns.whenAsked(1);
    vi.advanceTimersByTime(5000);
    expect(await answer).toBe('192.0.2.1');
    expect([dns.asked.length, other.asked.length]).toEqual([1, 1]);
  });

  it('runs out after resolver_timeout, and withdrawn questions are not answered', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout', 'performance'] });
    const one = resolver();
    const withdrawn = vi.fn();
    const answer = resolve(one, 'app.test', 30_000);
    one.resolve('app.test', 30_000, withdrawn)!();
    await dns.whenAsked(1);
    vi.advanceTimersByTime(30_000);
    expect((await answer).error).toEqual({ code: 110, text: 'Operation timed out' });
    expect(withdrawn).not.toHaveBeenCalled();
    await dns.whenAsked(6);
  });

  it('is not lost when a server refuses: the next one is asked in its turn', async () => {
    await dns.stop();
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout', 'performance'] });
    other.answer = zone({ 'app.test': { records: [['A', '192.0.2.1']] } });
    const from = resolver({ ports: [dns.port, other.port] });
    const answer = look(from, 'app.test');
    await vi.waitUntil(() => {
      vi.advanceTimersByTime(50);
      return log.length > 0;
    });
    expect(log[0]).toBe(`recv() failed (111: Connection refused) while resolving, resolver: 127.0.0.1:${dns.port}`);
    vi.advanceTimersByTime(5000);
    expect(await answer).toBe('192.0.2.1');
    dns = await fakeDns();
  });
});

describe('big answers', () => {
  it('are fetched over TCP', async () => {
    const records = Array.from({ length: 300 }, (_, i) => ['A', `198.51.${i >> 8}.${i & 255}`] as const);
    dns.answer = ({ isTcp }) => (isTcp ? { records } : { isTruncated: true, records: records.slice(0, 2) });
    const { addresses } = await resolve(resolver(), 'big.test');
    expect(addresses.map((a) => a.address)).toEqual(records.map((r) => r[1]));
    expect(dns.asked.map((q) => q.isTcp)).toEqual([false, true]);
  });
});

describe('answers that are not ours', () => {
  it.each([
    ['wrong id', (id: number) => encodeAnswer({ id: id ^ 1, name: 'app.test', type: 'A' }, {}), /^wrong ident/],
    ['another name', (id: number) => encodeAnswer({ id, name: 'b.test', type: 'A' }, {}), /^unexpected DNS response/],
    ['another type', (id: number) => encodeAnswer({ id, name: 'app.test', type: 'AAAA' }, {}), /^unexpected DNS/],
    ['a query', (id: number) => Buffer.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]), /^invalid UDP DNS/],
    ['nothing', () => Buffer.alloc(0), /^short DNS response$/],
    ['half a header', () => Buffer.alloc(11), /^short DNS response$/],
    ['format error', (id: number) => encodeAnswer({ id, name: 'app.test', type: 'A' }, { code: 1 }), /^DNS error \(1/],
  ])('are dropped: %s', async (_, bytes, message) => {
    dns.answer = ({ id }) => ({ before: [bytes(id)], records: [['A', '192.0.2.1']] });
    expect(await look(resolver(), 'app.test')).toBe('192.0.2.1');
    expect(log).toEqual([expect.stringMatching(message)]);
  });
});

describe('services', () => {
  const services = (from: Resolver, service: string): Promise<Resolution<ServiceAddress>> =>
    new Promise((done) => from.resolveService(service, 'app.test', 0, done));

  it('give addresses with port and weight, best priority first', async () => {
    dns.answer = zone({
      '_http._tcp.app.test SRV': {
        records: [
          ['SRV', '2 5 82 b.test'],
          ['SRV', '1 0 81 a.test'],
        ],
      },
      'a.test': {
        records: [
          ['A', '192.0.2.1', 7],
          ['A', '192.0.2.2', 9],
        ],
      },
      'b.test': { records: [['A', '192.0.2.3']] },
    });
    const { addresses, error, validMs } = await services(resolver(), 'http');
    expect(error).toBeUndefined();
    expect(addresses.map((a) => [a.address, a.port, a.priority, a.weight, a.name])).toEqual([
      ['192.0.2.1', 81, 1, 1, 'a.test'],
      ['192.0.2.2', 81, 1, 1, 'a.test'],
      ['192.0.2.3', 82, 2, 5, 'b.test'],
    ]);
    expect(validMs).toBeLessThanOrEqual(7000);
    expect((await services(resolver(), '_http._tcp')).addresses).toHaveLength(3);
  });

  it('do without hosts that are not found, and fail when none is', async () => {
    dns.answer = zone({
      '_http._tcp.app.test SRV': {
        records: [
          ['SRV', '1 1 81 a.test'],
          ['SRV', '1 1 82 gone.test'],
        ],
      },
      'a.test': { records: [['A', '192.0.2.1']] },
    });
    expect((await services(resolver(), 'http')).addresses.map((a) => a.port)).toEqual([81]);
    expect(log).toEqual([
      'gone.test could not be resolved (3: Host not found) while resolving service http of app.test',
    ]);
    dns.answer = zone({
      '_http._tcp.app.test SRV': { records: [['SRV', '1 1 81 a.test']] },
      'a.test': { code: 2 },
    });
    expect((await services(resolver(), 'http')).error?.code).toBe(2);
    dns.answer = zone({});
    expect((await services(resolver(), 'http')).error?.code).toBe(3);
  });
});

describe('the reader', () => {
  const read = (bytes: Buffer, warn: (text: string) => void = () => {}): void => {
    const head = readHead(bytes, false);
    readRecords(bytes, head, readQuestion(bytes, head), warn);
  };
  const question = { id: 7, name: 'app.test', type: 'A' } as const;
  const good = encodeAnswer(question, {
    records: [
      ['CNAME', 'b.test'],
      ['A', '192.0.2.1'],
    ],
  });
  const at = 12 + encodeName('app.test').length + 4;
  const changed = (offset: number, ...values: number[]): Buffer => {
    const bytes = Buffer.from(good);
    bytes.set(values, offset);
    return bytes;
  };

  it.each([
    ['a pointer in the question', changed(12, 0xc0), 'unexpected compression pointer in DNS response'],
    ['no question', changed(4, 0, 0), 'invalid number of questions in DNS response'],
    ['the root as question', changed(12, 0), 'zero-length domain name in DNS response'],
    ['more records than there are', changed(6, 0xff, 0xff), 'short DNS response'],
    ['a class of the question', changed(at - 1, 3), 'unknown query class 3 in DNS response'],
    ['a type of the question', changed(at - 3, 15), 'unknown query type 15 in DNS response'],
    ['a class of a record', changed(at + 5, 3), 'unexpected RR class 3 in DNS response'],
    ['the root as a record’s name', changed(at, 0), 'invalid name in DNS response'],
    ['a record longer than the message', changed(at + 10, 0xff), 'short DNS response'],
    ['an AAAA among A', changed(good.length - 13, 28), 'unexpected AAAA record in DNS response'],
    ['an A of the wrong size', changed(good.length - 5, 3), 'invalid A record in DNS response'],
    ['a cut end', good.subarray(0, good.length - 1), 'short DNS response'],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => read(bytes)).toThrow(new MalformedAnswer(message));
  });

  it('does not follow pointers in a circle, nor out of the message', () => {
    const service = encodeAnswer({ ...question, type: 'SRV' }, { records: [['SRV', '1 1 80 ab']] });
    const end = service.length;
    const loop = Buffer.from(service);
    loop.set([0xc0, end - 4], end - 4);
    expect(() => read(loop)).toThrow('compression pointers loop in DNS response');
    loop.set([0xff, 0xff], end - 4);
    expect(() => read(loop)).toThrow('name is out of DNS response');
    loop.set([0x80, 0], end - 4);
    expect(() => read(loop)).toThrow('invalid label type in DNS response');
  });

  it('throws nothing but MalformedAnswer, whatever the bytes', () => {
    let state = 1;
    const random = (below: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 8) % below;
    };
    const seeds = [
      good,
      encodeAnswer(
        { ...question, type: 'SRV' },
        {
          records: [
            ['SRV', '1 1 80 a.b.test'],
            ['CNAME', 'x'],
          ],
        },
      ),
      encodeAnswer({ ...question, type: 'AAAA' }, { records: [['AAAA', '::1']] }),
    ];
    let refused = 0;
    for (let i = 0; i < 20_000; i++) {
      const bytes = Buffer.from(seeds[i % 3]!).subarray(0, 1 + random(100));
      for (let j = random(5); j > 0; j--) bytes[random(bytes.length)] = random(256);
      try {
        read(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedAnswer);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(1000);
  });
});
