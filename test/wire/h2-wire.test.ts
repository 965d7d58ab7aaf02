// The downgrade from HTTP/2: every row is sent frame by frame to ours, and to real nginx where there is one. Nothing that
// a client puts into fields may become framing, or a request, of the HTTP/1.1 that the upstream reads.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findNginx, OURS } from '../real/differential/twin.ts';
import { type H2Outcome, h2Outcomes } from './h2-outcome.ts';
import { H2_ROWS } from './h2-rows.ts';
import { startWireServer, type WireServer } from './server.ts';

const FRAMES = H2_ROWS.map(({ frames }) => frames);
const nginx = findNginx();
if ('reason' in nginx) console.log(`the comparison over HTTP/2 is skipped: ${nginx.reason}`);

let server: WireServer;
let outcomes: H2Outcome[];
beforeAll(async () => {
  server = await startWireServer(OURS);
  outcomes = await h2Outcomes(server, FRAMES);
});
afterAll(() => server.stop());

describe('attacks over HTTP/2', () => {
  it.each(H2_ROWS.map((row, i) => ({ title: `${row.kind}: ${row.name}`, row, i })))('$title', ({ row, i }) => {
    expect(outcomes[i]).toEqual({ outcome: row.outcome, forwards: row.forwards });
  });

  it('leave nothing at the upstream that strict llhttp refuses', () => {
    console.log(`${H2_ROWS.length} attacks over HTTP/2`);
    expect(server.upstream.refused).toEqual([]);
  });

  it.skipIf('reason' in nginx)('end as they do with nginx, but for the rows that say why not', async () => {
    const twin = await startWireServer('program' in nginx ? nginx.program : []);
    try {
      const theirs = await h2Outcomes(twin, FRAMES);
      const unlike = H2_ROWS.filter((_, i) => JSON.stringify(theirs[i]) !== JSON.stringify(outcomes[i]));
      expect(unlike.map(({ name }) => name)).toEqual(
        H2_ROWS.filter(({ unlike: reason }) => reason !== undefined).map(({ name }) => name),
      );
    } finally {
      await twin.stop();
    }
  });
});
