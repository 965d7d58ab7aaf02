// Request smuggling and desync, against the proxy: every row of the corpus is sent to it over a socket; it must answer
// as the row says, forward what the row says, and forward nothing that strict llhttp can read in another way.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OURS } from '../real/differential/twin.ts';
import { CHUNK_ROWS } from './chunk-rows.ts';
import { FRAMING_ROWS } from './framing-rows.ts';
import { HEAD_ROWS } from './head-rows.ts';
import { attackAll, type Outcome, violation } from './outcome.ts';
import type { Row } from './rows.ts';
import { startWireServer, type WireServer } from './server.ts';

const PLAIN = [...FRAMING_ROWS, ...CHUNK_ROWS, ...HEAD_ROWS].filter((row) => row.odd === undefined);
const ODD = HEAD_ROWS.filter((row) => row.odd !== undefined);

let server: WireServer;
let plain: Outcome[];
beforeAll(async () => {
  server = await startWireServer(OURS);
  plain = await attackAll(
    server,
    PLAIN.map(({ send }) => send),
  );
});
afterAll(() => server.stop());

function judge(row: Row, outcome: Outcome): void {
  const { answers, forwards, isKept } = outcome;
  expect({ answers, forwards, isKept }, JSON.stringify(row.send)).toEqual({
    answers: row.answers,
    forwards: row.forwards,
    isKept: row.isKept,
  });
  expect(violation(outcome)).toBeUndefined();
}

describe('the corpus of request smuggling', () => {
  it('is answered and forwarded as its rows say', () => {
    const counts = new Map<string, number>();
    for (const { kind } of PLAIN) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    console.log(`${PLAIN.length} attacks: ${[...counts].map(([kind, count]) => `${kind} ${count}`).join(', ')}`);
  });

  it.each(PLAIN.map((row, i) => ({ title: `${row.kind}: ${row.name}`, row, i })))('$title', ({ row, i }) => {
    judge(row, plain[i]!);
  });

  it('leaves nothing at the upstream that strict llhttp refuses', () => {
    expect(server.upstream.refused).toEqual([]);
  });

  it.each(ODD.map((row) => ({ title: `${row.kind}: ${row.name} (${row.odd})`, row })))('$title', async ({ row }) => {
    const before = server.upstream.refused.length;
    const [outcome] = await attackAll(server, [row.send]);
    judge(row, outcome!);
    expect(server.upstream.refused.length).toBe(before + 1);
  });
});
