// The same bytes to ours, to real nginx and to llhttp: the corpus of attacks, and heads and bodies that a seeded generator
// made of it. What ours takes and both others refuse is a bug; what nginx does otherwise must be listed in the row.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mutate } from '../fuzz/mutate.ts';
import { isFull, seed, startRandom } from '../fuzz/random.ts';
import { findNginx, OURS } from '../real/differential/twin.ts';
import { CHUNK_ROWS } from './chunk-rows.ts';
import { FRAMING_ROWS } from './framing-rows.ts';
import { HEAD_ROWS } from './head-rows.ts';
import { parseStrictly } from './llhttp.ts';
import { attackAll, type Outcome, violation } from './outcome.ts';
import type { Row } from './rows.ts';
import { startWireServer, type WireServer } from './server.ts';

const ROWS: readonly Row[] = [...FRAMING_ROWS, ...CHUNK_ROWS, ...HEAD_ROWS];
const nginx = findNginx();
if ('reason' in nginx) console.log(`the differential of the wire is skipped: ${nginx.reason}`);

let ours: WireServer;
let theirs: WireServer;
beforeAll(async () => {
  if ('reason' in nginx) return;
  [ours, theirs] = await Promise.all([startWireServer(OURS), startWireServer(nginx.program)]);
});
afterAll(async () => {
  await ours?.stop();
  await theirs?.stop();
});

const seen = ({ answers, isKept, forwards }: Outcome): string => JSON.stringify({ answers, isKept, forwards });
const bytesOf = (send: Row['send']): string => (typeof send === 'string' ? send : send.join(''));

interface Pair {
  readonly a: Outcome;
  readonly b: Outcome;
  /** The rule that ours broke, and how, whenever it did. */
  readonly fault: string | undefined;
}

/**
 * Sends to both; gives what each did. On a busy machine the one second of their timeouts passes before the bytes are
 * there, at one of them: what differs is sent again, by itself. What ours really does otherwise, it does each time.
 */
async function compare(sends: readonly Row['send'][], tries = 3): Promise<Pair[]> {
  const [a, b] = await Promise.all([attackAll(ours, sends), attackAll(theirs, sends)]);
  const pairs = a.map((outcome, i): Pair => ({ a: outcome, b: b[i]!, fault: faultOf(outcome) }));
  const unlike = [...pairs.keys()].filter((i) => seen(pairs[i]!.a) !== seen(pairs[i]!.b));
  if (tries === 1 || unlike.length === 0) return pairs;
  const again = await compare(
    unlike.map((i) => sends[i]!),
    tries - 1,
  );
  for (const [at, i] of unlike.entries()) {
    pairs[i] = { ...again[at]!, fault: pairs[i]!.fault ?? again[at]!.fault };
  }
  return pairs;
}

function faultOf(outcome: Outcome): string | undefined {
  const { requests, transcript } = outcome;
  const fault = violation(outcome);
  return fault && `${fault}: ${JSON.stringify({ requests, transcript })}`;
}

/** nginx refuses a field as soon as its line is there, ours when the head is whole: one that never is has no answer. */
function isOnlyEarlier(theirs: Outcome, ours: Outcome): boolean {
  if (theirs.answers === '0.9' || ours.answers === '0.9') return false;
  const same = JSON.stringify([ours.answers, ours.forwards]);
  return theirs.answers.at(-1)! >= 400 && same === JSON.stringify([theirs.answers.slice(0, -1), theirs.forwards]);
}

/** Ours took the first request, and neither nginx nor llhttp did. */
async function isTakenByUsAlone(send: Row['send'], a: Outcome, b: Outcome): Promise<boolean> {
  const took = (outcome: Outcome): boolean => outcome.forwards.length > 0;
  if (!took(a) || took(b)) return false;
  const { requests, fault } = await parseStrictly(bytesOf(send));
  return requests.length === 0 && fault !== undefined;
}

describe.skipIf('reason' in nginx)('ours beside nginx and llhttp', () => {
  it('does as nginx does with the corpus, but for the rows that say why not', async () => {
    const pairs = await compare(ROWS.map(({ send }) => send));
    const wrong: string[] = [];
    for (const [i, { a, b }] of pairs.entries()) {
      const row = ROWS[i]!;
      const isSame = seen(a) === seen(b);
      if (isSame === (row.unlike !== undefined)) {
        wrong.push(`${row.kind}: ${row.name}\n  ours  ${seen(a)}\n  nginx ${seen(b)}`);
      }
      if (await isTakenByUsAlone(row.send, a, b)) wrong.push(`${row.kind}: ${row.name} is taken by us alone`);
    }
    console.log(`${ROWS.length} attacks beside nginx; unlike it: ${ROWS.filter(({ unlike }) => unlike).length}`);
    expect(wrong).toEqual([]);
  });

  it('does as nginx does with what a generator makes of the corpus', { timeout: 4_000_000 }, async () => {
    const random = startRandom(seed);
    const seeds = ROWS.map(({ send }) => bytesOf(send)).filter((bytes) => bytes.length < 400);
    const rounds = isFull ? 200 : 3;
    const wrong: string[] = [];
    let tried = 0;
    for (let round = 0; round < rounds && wrong.length === 0; round++) {
      const sends = Array.from({ length: 500 }, () => mutate(random, seeds));
      tried += sends.length;
      for (const [i, { a, b, fault }] of (await compare(sends)).entries()) {
        if (fault !== undefined) wrong.push(`${JSON.stringify(sends[i])}: ${fault}`);
        if (await isTakenByUsAlone(sends[i]!, a, b)) wrong.push(`taken by us alone: ${JSON.stringify(sends[i])}`);
        else if (seen(a) !== seen(b) && !isOnlyEarlier(b, a)) {
          wrong.push(`${JSON.stringify(sends[i])}\n  ours  ${seen(a)}\n  nginx ${seen(b)}`);
        }
      }
    }
    console.log(`${tried} mutated attacks beside nginx, seed ${seed}`);
    expect(wrong).toEqual([]);
  });
});
