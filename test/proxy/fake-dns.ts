// A DNS server for tests, over UDP and TCP on one port of the kernel's choice. `answer` says what each question gets;
// all questions are kept.
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';

export const TYPES = { A: 1, CNAME: 5, AAAA: 28, SRV: 33 } as const;
export type TypeName = keyof typeof TYPES;

/** A record: its type, its data in the usual notation, its TTL; `name` where it differs from what was asked. */
export type FakeRecord = readonly [type: TypeName, data: string, ttlS?: number];

export interface FakeAnswer {
  readonly code?: number;
  readonly records?: readonly FakeRecord[];
  readonly isTruncated?: boolean;
  /** Sent in place of all else. */
  readonly raw?: Buffer | undefined;
  /** Sent before the answer. */
  readonly before?: readonly Buffer[];
}

export interface FakeQuestion {
  readonly name: string;
  readonly type: TypeName;
  readonly id: number;
  readonly isTcp: boolean;
}

export interface FakeDns {
  readonly port: number;
  readonly asked: FakeQuestion[];
  /** Undefined: no answer. */
  answer: (question: FakeQuestion) => FakeAnswer | undefined;
  /** Resolves when `count` questions have come. */
  whenAsked(count: number): Promise<void>;
  stop(): Promise<void>;
}

export function encodeName(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '');
  return Buffer.concat([
    ...labels.map((l) => Buffer.concat([Buffer.from([l.length]), Buffer.from(l, 'latin1')])),
    Buffer.from([0]),
  ]);
}

function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  for (const [i, value] of values.entries()) bytes.writeUInt16BE(value, i * 2);
  return bytes;
}

function dataOf(type: TypeName, data: string): Buffer {
  if (type === 'A') return Buffer.from(data.split('.').map(Number));
  if (type === 'CNAME') return encodeName(data);
  if (type === 'SRV') {
    const [priority, weight, port, host] = data.split(' ') as [string, string, string, string];
    return Buffer.concat([words(Number(priority), Number(weight), Number(port)), encodeName(host)]);
  }
  const [head = '', tail = ''] = data.split('::');
  const left = head.split(':').filter(Boolean);
  const right = tail.split(':').filter(Boolean);
  const zeros = new Array<string>(8 - left.length - right.length).fill('0');
  return words(...[...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16)));
}

/** The bytes of an answer to `question`. */
export function encodeAnswer(question: Omit<FakeQuestion, 'isTcp'>, answer: FakeAnswer): Buffer {
  const records = answer.records ?? [];
  const flags = 0x8180 | (answer.isTruncated ? 0x200 : 0) | (answer.code ?? 0);
  return Buffer.concat([
    words(question.id, flags, 1, records.length, 0, 0),
    encodeName(question.name),
    words(TYPES[question.type], 1),
    ...records.map(([type, data, ttlS = 300]) => {
      const bytes = dataOf(type, data);
      return Buffer.concat([words(0xc00c, TYPES[type], 1, ttlS >>> 16, ttlS & 0xffff, bytes.length), bytes]);
    }),
  ]);
}

function decode(bytes: Buffer, isTcp: boolean): FakeQuestion {
  const labels: string[] = [];
  let at = 12;
  while (bytes[at]) {
    labels.push(bytes.toString('latin1', at + 1, at + 1 + bytes[at]!));
    at += 1 + bytes[at]!;
  }
  const number = bytes.readUInt16BE(at + 1);
  const type = (Object.keys(TYPES) as TypeName[]).find((t) => TYPES[t] === number)!;
  return { name: labels.join('.'), type, id: bytes.readUInt16BE(0), isTcp };
}

/** Listens on one free port over TCP and UDP: a port that is free for one may be taken for the other. */
async function bindBoth(tcp: Server): Promise<UdpSocket> {
  for (;;) {
    tcp.listen(0, '127.0.0.1');
    await once(tcp, 'listening');
    const udp = createSocket('udp4');
    try {
      udp.bind((tcp.address() as { port: number }).port, '127.0.0.1');
      await once(udp, 'listening');
      return udp;
    } catch {
      udp.close();
      tcp.close();
      await once(tcp, 'close');
    }
  }
}

export async function fakeDns(answer: FakeDns['answer'] = () => undefined): Promise<FakeDns> {
  const asked: FakeQuestion[] = [];
  const waiters: { count: number; done: () => void }[] = [];
  const sockets = new Set<Socket>();
  const receive = (bytes: Buffer, isTcp: boolean, reply: (bytes: Buffer) => void): void => {
    const question = decode(bytes, isTcp);
    const given = dns.answer(question);
    if (given) {
      for (const early of given.before ?? []) reply(early);
      reply(given.raw ?? encodeAnswer(question, given));
    }
    asked.push(question);
    for (const waiter of waiters) if (asked.length >= waiter.count) waiter.done();
  };
  const tcp = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    let received: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0);
        receive(received.subarray(2, end), true, (out) => socket.write(Buffer.concat([words(out.length), out])));
        received = received.subarray(end);
      }
    });
  });
  const udp = await bindBoth(tcp);
  const { port } = udp.address();
  udp.on('message', (bytes, from) => receive(bytes, false, (out) => udp.send(out, from.port, from.address)));
  const dns: FakeDns = {
    port,
    asked,
    answer,
    whenAsked: (count) =>
      asked.length >= count ? Promise.resolve() : new Promise((done) => waiters.push({ count, done })),
    async stop() {
      udp.close();
      for (const socket of sockets) socket.destroy();
      tcp.close();
      await once(tcp, 'close');
    },
  };
  return dns;
}
