// What attacks over HTTP/2 came to, in a form that two servers can be compared in.
import { inParallel } from './attacker.ts';
import { attackH2 } from './h2-attacker.ts';
import { describeRequest } from './outcome.ts';
import type { WireServer } from './server.ts';

export interface H2Outcome {
  readonly outcome: string;
  readonly forwards: readonly string[];
}

/** Sends each of `attacks` on a connection of its own. */
export async function h2Outcomes(server: WireServer, attacks: readonly string[]): Promise<H2Outcome[]> {
  const from = server.upstream.requests.length;
  const transcripts = await inParallel(attacks, 100, (frames) => attackH2(server.h2Port, frames));
  const requests = server.upstream.requests.slice(from);
  return transcripts.map(({ client, outcome }) => ({
    outcome,
    forwards: requests.filter((request) => request.client === client).map(describeRequest),
  }));
}
