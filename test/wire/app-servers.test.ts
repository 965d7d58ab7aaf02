// The corpus of attacks against the app servers' own parsers, without a proxy before them: Gunicorn's role and Uvicorn's.
// Neither may answer more requests than strict llhttp sees heads in the same bytes, go on after a refusal, or raise an
// exception. What Gunicorn takes beyond llhttp stands in OWN, with its reason.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gunicorn, type Running, uvicorn } from '../services/server-process.ts';
import { attack, inParallel, type Transcript } from './attacker.ts';
import { CHUNK_ROWS } from './chunk-rows.ts';
import { FRAMING_ROWS } from './framing-rows.ts';
import { HEAD_ROWS } from './head-rows.ts';
import { type Parsed, parseStrictly } from './llhttp.ts';
import type { Row } from './rows.ts';

const ROWS: readonly Row[] = [...FRAMING_ROWS, ...CHUNK_ROWS, ...HEAD_ROWS].filter(
  ({ name, send }) => !name.endsWith('/stream') && !bytesOf(send).includes('websocket'),
);
const DUMP = 'test/real/app-servers/dump.ts';
/** Longer than the servers' keep-alive of one second; what waits for bytes that never come waits on. */
const PATIENCE_MS = 3000;

function bytesOf(send: Row['send']): string {
  return typeof send === 'string' ? send : send.join('');
}

/** What Gunicorn takes and llhttp does not, as the original does: each is read in one way only. */
const OWN = new Set([
  // It takes spaces and tabs off a coding.
  'TE.TE: "chunked\\t"',
  // Every token of three characters is a method, and every HTTP/1.x a version.
  'method: "1GET"',
  'method: PRI of HTTP/1.1',
  'version: 1.2',
  'pipeline: a length too short: the rest joins the next method',
]);

let seen: Parsed[];
beforeAll(async () => {
  seen = await inParallel(ROWS, 50, ({ send }) => parseStrictly(bytesOf(send)));
});

/** What is wrong with the answers to a row, by what llhttp read in it. */
function fault({ answers, rest }: Transcript, parsed: Parsed, mayTakeMore: boolean): string | undefined {
  const good = answers.filter(({ status }) => status === 200).length;
  if (rest !== '') return 'bytes behind the last answer';
  const refusedAt = answers.findIndex(({ status }) => status >= 400);
  if (refusedAt >= 0 && refusedAt < answers.length - 1) return 'an answer behind a refusal';
  if (good > parsed.heads && !mayTakeMore) return `${good} answers to ${parsed.heads} requests`;
  return undefined;
}

async function assault(port: number, width: number): Promise<Transcript[]> {
  // The application is loaded by the first request that it answers.
  await attack(port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  return inParallel(ROWS, width, ({ send }) => attack(port, send, PATIENCE_MS));
}

describe.each([
  [
    'gunicorn',
    (): Promise<Running> => gunicorn(['-k', 'gthread', '--threads', '8', '--keep-alive', '1', `${DUMP}:wsgi`]),
    60,
  ],
  ['uvicorn', (): Promise<Running> => uvicorn(['--timeout-keep-alive', '1', `${DUMP}:asgi`]), 100],
] as const)('%s under attack', (name, start, width) => {
  let running: Running;
  beforeAll(async () => {
    running = await start();
  });
  afterAll(() => running.server.stop());

  it('answers what llhttp reads, and no more', { timeout: 60_000 }, async () => {
    const transcripts = await assault(running.port, width);
    const wrong = ROWS.flatMap((row, i) => {
      const what = fault(transcripts[i]!, seen[i]!, name === 'gunicorn' && OWN.has(`${row.kind}: ${row.name}`));
      return what === undefined ? [] : [`${row.kind}: ${row.name}: ${what}, ${seen[i]!.fault}`];
    });
    console.log(`${name}: ${ROWS.length} attacks, llhttp refuses ${seen.filter(({ fault: no }) => no).length} of them`);
    expect(wrong).toEqual([]);
    expect(running.server.child.exitCode).toBeNull();
    expect(running.server.log).not.toMatch(/Exception in|Traceback|exited with code/);
  });
});
