// What an attack came to, in a form that two servers can be compared in: the statuses, whether the connection goes on,
// and the requests that reached the upstream; and the rules that must hold whatever was sent.
import { attack, inParallel, type Transcript } from './attacker.ts';
import type { Forwarded, RecordingUpstream } from './recording-upstream.ts';
import type { Row } from './rows.ts';

export interface Outcome {
  readonly answers: readonly number[] | '0.9';
  readonly isKept: boolean;
  /** As in Row; a request whose body was cut off ends in ` (cut)`. */
  readonly forwards: readonly string[];
  readonly requests: readonly Forwarded[];
  readonly transcript: Transcript;
}

export function describeRequest({ method, target, body, isComplete }: Forwarded): string {
  return `${method} ${target}${body === '' ? '' : ` ${body}`}${isComplete ? '' : ' (cut)'}`;
}

/** Sends all of `sends`, many at a time, and gathers what came of each. */
export async function attackAll(
  server: { readonly port: number; readonly upstream: RecordingUpstream },
  sends: readonly Row['send'][],
  width = 250,
): Promise<Outcome[]> {
  const from = server.upstream.requests.length;
  const transcripts = await inParallel(sends, width, (send) => attack(server.port, send));
  const byClient = new Map<string, Forwarded[]>();
  for (const request of server.upstream.requests.slice(from)) {
    byClient.set(request.client, [...(byClient.get(request.client) ?? []), request]);
  }
  return transcripts.map((transcript) => {
    const requests = byClient.get(transcript.client) ?? [];
    const { answers, rest } = transcript;
    return {
      answers: answers.length === 0 && rest !== '' ? '0.9' : answers.map(({ status }) => status),
      isKept: answers.at(-1)?.isKept ?? false,
      forwards: requests.map(describeRequest),
      requests,
      transcript,
    };
  });
}

/**
 * What is wrong with an outcome whatever was sent: requests at the upstream that the client was not answered for, answers
 * in another order, bytes that are no answer, an upstream's answer given twice. Undefined: nothing.
 */
export function violation({ answers, requests, transcript }: Outcome): string | undefined {
  if (transcript.end === 'hangs') return 'the connection hangs';
  if (answers === '0.9') return requests.length > 1 ? 'more than one request of an HTTP/0.9 client' : undefined;
  // The last answer may be to a request of HTTP/0.9: a bare body.
  const isOld = transcript.rest !== '' && !transcript.rest.includes('HTTP/') && transcript.answers.at(-1)!.isKept;
  if (transcript.rest !== '' && !isOld)
    return `bytes behind the last answer: ${JSON.stringify(transcript.rest.slice(0, 80))}`;
  const answered = transcript.answers.map(({ up }) => up).filter((up) => up !== 0);
  const whole = requests.filter(({ isComplete }) => isComplete).map(({ number }) => number);
  if (isOld) whole.pop();
  const missing = whole.filter((number) => !answered.includes(number));
  if (missing.length > 0)
    return `${missing.length} requests reached the upstream, and the client has no answer to them`;
  const known = requests.map(({ number }) => number);
  if (answered.some((up) => !known.includes(up))) return "an answer to another client's request";
  if (answered.some((up, i) => i > 0 && up <= answered[i - 1]!)) return 'answers out of order';
  const last = transcript.answers.findIndex(({ isKept }) => !isKept);
  if (last >= 0 && last < transcript.answers.length - 1) return 'an answer behind the one that closes';
  return undefined;
}
