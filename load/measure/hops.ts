// Where one request's time went, hop by hop, from what the client saw and what the server says in Server-Timing (queue, app,
// and of the app gil, cpu, io: as Portico's app servers send them; any server may). The hops of a request add up to its latency.
// Without Server-Timing the server is one hop.
import type { Exchange } from '../client/exchange.ts';

/** The hops in the order in which a request passes them, with what they mean. */
export const HOPS = {
  late: 'the generator itself, sending late',
  wait: 'waiting for a free connection of the generator',
  connect: 'opening the connection (TCP, TLS)',
  proxy: 'proxy and network',
  queue: 'queue in front of the app server, until a worker took it',
  gil: 'waiting for the GIL',
  cpu: 'CPU of the app',
  io: 'I/O of the app',
  app: 'the app, otherwise',
  server: 'the server, until its first byte',
  body: 'receiving the body',
} as const;

export type Hop = keyof typeof HOPS;
export const HOP_NAMES = Object.keys(HOPS) as Hop[];

/** One Server-Timing header, read: durations in ms by name, and the worker that answered, if it says so. */
export interface ServerTiming {
  readonly durations: ReadonlyMap<string, number>;
  readonly worker: string;
}

/** Reads a Server-Timing field value. What is malformed is left out. */
export function readServerTiming(text: string): ServerTiming {
  const durations = new Map<string, number>();
  let worker = '';
  for (const entry of text.split(',')) {
    const [name, ...parameters] = entry.split(';').map((part) => part.trim());
    if (name === undefined || name === '') continue;
    for (const parameter of parameters) {
      const [key, value = ''] = parameter.split('=');
      if (key === 'dur' && Number.isFinite(Number(value)))
        durations.set(name, (durations.get(name) ?? 0) + Number(value));
      else if (key === 'desc' && name === 'worker') worker = value.replaceAll('"', '');
    }
  }
  return { durations, worker };
}

const OURS = ['queue', 'app', 'gil', 'cpu', 'io'];

/**
 * Fills `into` (in the order of HOP_NAMES, ms) with the hops of an exchange that got an answer; gives the worker's name, ''
 * when that is unknown.
 */
export function hopsOf(exchange: Exchange, into: Float32Array): string {
  into.fill(0);
  const connect = Number.isNaN(exchange.connectMs) ? 0 : exchange.connectMs;
  const sent = Number.isNaN(exchange.sentMs) ? exchange.freeMs + connect : exchange.sentMs;
  const first = Number.isNaN(exchange.headMs) ? exchange.endMs : exchange.headMs;
  into[exchange.hasWaited ? 1 : 0] = Math.max(0, exchange.freeMs - exchange.intendedMs);
  into[2] = connect;
  into[10] = exchange.endMs - first;
  const inside = first - sent;
  if (exchange.serverTiming === '') {
    into[9] = inside;
    return '';
  }
  const { durations, worker } = readServerTiming(exchange.serverTiming);
  if (!OURS.some((name) => durations.has(name))) {
    const total = Math.min(inside, durations.get('total') ?? 0);
    into[9] = total > 0 ? total : inside;
    into[3] = total > 0 ? inside - total : 0;
    return worker;
  }
  const gil = durations.get('gil') ?? 0;
  const cpu = durations.get('cpu') ?? 0;
  const io = durations.get('io') ?? 0;
  const app = Math.max(durations.get('app') ?? 0, gil + cpu + io);
  // Two clocks are in it, the proxy's and the app server's: no more than what the client has seen.
  const queue = Math.max(0, Math.min(inside - app, durations.get('queue') ?? 0));
  into[3] = Math.max(0, inside - queue - app);
  into[4] = queue;
  into[5] = gil;
  into[6] = cpu;
  into[7] = io;
  into[8] = app - gil - cpu - io;
  return worker;
}
