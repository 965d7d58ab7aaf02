// A case is measured here: first the answers of all peers are compared, then each has its turns, interleaved.
import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import type { Case } from './cases.ts';
import { generate, whyNot } from './generators.ts';
import type { RunningPeer } from './peers.ts';
import { cpuTimeMs, family, residentBytes } from './processes.ts';
import { type Measured, medianOf, type Row, withRatios } from './results.ts';

/** A server that has taken no tick of CPU time for so long has come to rest. */
const REST_MS = 500;
const PATIENCE_MS = 10_000;
const SILENT = 'no answer in 10 s';

export interface Plan {
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
}

function urlOf(test: Case, running: RunningPeer): string {
  return `${test.isTls ? 'https' : 'http'}://127.0.0.1:${test.isTls ? running.httpsPort : running.httpPort}${test.path}`;
}

interface Answer {
  readonly status: string;
  /** Names and values, as they came, without the date. */
  readonly fields: string;
  readonly encoding: string;
  readonly body: Buffer;
  readonly protocol: string;
}

function ask(url: string, headers: readonly string[]): Promise<Answer> {
  return new Promise((done, fail) => {
    const agent = { rejectUnauthorized: false, agent: false } as const;
    const request = (url.startsWith('https') ? httpsRequest : httpRequest)(url, agent, (response) => {
      const protocol = response.socket && 'getProtocol' in response.socket ? tlsVersion(response.socket) : 'plain';
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('error', fail);
      response.on('end', () => {
        const { rawHeaders, statusCode, statusMessage } = response;
        const fields = rawHeaders.flatMap((name, i) =>
          i % 2 === 1 || /^date$/i.test(name) ? [] : [`${name}: ${rawHeaders[i + 1]}`],
        );
        done({
          status: `${statusCode} ${statusMessage}`,
          fields: fields.join('; '),
          encoding: response.headers['content-encoding'] ?? 'identity',
          body: Buffer.concat(pieces),
          protocol,
        });
      });
    });
    for (const header of headers) request.setHeader(...(header.split(': ') as [string, string]));
    request.on('error', fail);
    request.setTimeout(PATIENCE_MS, () => request.destroy(new Error(SILENT)));
    request.end();
  });
}

function tlsVersion(socket: object): string {
  return (socket as TLSSocket).getProtocol() ?? 'no TLS';
}

/**
 * What must be the same for all: of proxies the status, the TLS version, the encoding and the body, as their names and what else
 * they tell about themselves differ; of app servers all but the date.
 */
async function answer(test: Case, running: RunningPeer): Promise<string> {
  try {
    const { status, fields, encoding, body, protocol } = await ask(urlOf(test, running), test.headers ?? []);
    if (test.appServer) return `${status}, ${fields}, ${JSON.stringify(body.toString())}`;
    const plain = encoding === 'gzip' ? gunzipSync(body) : body;
    const digest = createHash('sha256').update(plain).digest('hex').slice(0, 8);
    return `${status}, ${protocol}, ${encoding}, ${plain.length} bytes (${digest})`;
  } catch (error) {
    return (error as Error).message;
  }
}

/** The peers that give an answer to this case, and what is wrong with their answers; undefined when they are all alike. */
export async function agreement(
  test: Case,
  all: readonly RunningPeer[],
): Promise<{ readonly answering: readonly RunningPeer[]; readonly wrong: string | undefined }> {
  // There are no plain answers to compare.
  if (test.generator === 'messages' || test.generator === 'upload') return { answering: all, wrong: undefined };
  const answers = await Promise.all(all.map(async (running) => ({ running, text: await answer(test, running) })));
  // One that hangs, of what an earlier case did to it, is no reason not to measure the others.
  const given = answers.filter(({ text }) => text !== SILENT);
  for (const { running } of answers.filter(({ text }) => text === SILENT))
    process.stdout.write(`${test.name.padEnd(30)} without ${running.name}: ${SILENT}\n`);
  const isAlike = new Set(given.map(({ text }) => text)).size === 1 && given[0]!.text.startsWith('200');
  return {
    answering: given.map(({ running }) => running),
    wrong: isAlike ? undefined : answers.map(({ running, text }) => `${running.name}: ${text}`).join(' | '),
  };
}

/**
 * Has as many requests answered at once as there will be connections, and waits until the server rests again: a thread pool
 * that is still being filled is a start, not a cost of requests.
 */
async function warmUp(test: Case, running: RunningPeer, connections: number): Promise<void> {
  await Promise.all(Array.from({ length: connections }, () => ask(urlOf(test, running), [])));
  const pids = family(running.process.pid!);
  const untilMs = performance.now() + 60_000;
  for (let last = Number.NaN, now = cpuTimeMs(pids); now !== last && performance.now() < untilMs; ) {
    await sleep(REST_MS);
    [last, now] = [now, cpuTimeMs(pids)];
  }
}

function measure(test: Case, running: RunningPeer, plan: Plan, dir: string): Measured {
  const pids = family(running.process.pid!);
  const before = cpuTimeMs(pids);
  const connections = plan.connections * (test.scaledTo ? running.workers : 1);
  const { requests, ...told } = generate({ test, url: urlOf(test, running), seconds: plan.seconds, connections, dir });
  const spentMs = cpuTimeMs(pids) - before;
  return {
    ...told,
    cpuMicrosPerRequest: requests ? (spentMs * 1000) / requests : Number.NaN,
    residentMb: residentBytes(family(running.process.pid!)) / 1024 ** 2,
  };
}

/** The rows of a case, or why it is not measured. `dir` is for scratch files. */
export async function runCase(
  test: Case,
  running: readonly RunningPeer[],
  plan: Plan,
  dir: string,
): Promise<Row[] | string> {
  const reason = whyNot(test);
  if (reason !== undefined) return reason;
  const able = running.filter(({ can }) => test.needs.every((ability) => can.includes(ability)));
  const { answering, wrong } = await agreement(test, able);
  if (wrong !== undefined) return wrong;
  if (test.appServer) for (const one of answering) await warmUp(test, one, plan.connections);
  const all = new Map<RunningPeer, Measured[]>(answering.map((one) => [one, []]));
  for (let round = 0; round < plan.rounds; round++) {
    for (const [one, list] of all) list.push(measure(test, one, plan, dir));
  }
  return withRatios([...all].map(([{ name, against }, list]) => ({ peer: name, against, ...medianOf(list) })));
}
