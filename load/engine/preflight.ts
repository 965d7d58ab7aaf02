// Before a run: is there something to load, do we trust it, does it speak the protocol, and have we the means. One connection
// to each origin, without a request, so that the server's log counts what the result counts.
import { readFileSync } from 'node:fs';
import type { TLSSocket } from 'node:tls';
import { Connector } from '../client/connect.ts';
import { originOf } from '../client/exchange.ts';
import { FAILURES, failureOf } from '../client/failure.ts';
import type { LoadPlan } from '../plan.ts';

const CONNECT_TIMEOUT_MS = 10_000;
/** Descriptors that the process has open beside its connections, per thread. */
const OWN_DESCRIPTORS = 64;

/** A run that cannot start; the message is one line for the user. */
export class PreflightError extends Error {
  override name = 'PreflightError';
}

/** Checks what can be checked. Throws PreflightError. */
export async function preflight(plan: LoadPlan): Promise<void> {
  const origins = [...new Set(plan.requests.map(({ url }) => originOf(url).href))];
  checkDescriptors(plan, origins.length);
  const connector = new Connector(plan);
  await Promise.all(origins.map((href) => probe(href, plan, connector)));
}

function checkDescriptors(plan: LoadPlan, origins: number): void {
  let limit: number;
  try {
    limit = Number(
      /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1] ?? Number.POSITIVE_INFINITY,
    );
  } catch {
    return;
  }
  const needed = plan.connections * (plan.model === 'closed' ? origins : 1) + OWN_DESCRIPTORS * plan.threads;
  if (needed > limit) {
    throw new PreflightError(
      `${plan.connections} connections need ${needed} file descriptors, and the limit is ${limit}; raise it (ulimit -n ${needed}) or open fewer (-c)`,
    );
  }
}

async function probe(href: string, plan: LoadPlan, connector: Connector): Promise<void> {
  const origin = originOf(href);
  const wanted = plan.protocol === 'h2' ? 'h2' : 'http/1.1';
  const socket = origin.isTls
    ? connector.openTls(origin, [wanted])
    : connector.openPlain(origin, Buffer.alloc(1024), () => {});
  const timer = setTimeout(
    () => socket.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })),
    CONNECT_TIMEOUT_MS,
  );
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once(origin.isTls ? 'secureConnect' : 'connect', () => resolve());
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('the connection was closed at once')));
    });
    if (origin.isTls && wanted === 'h2' && (socket as TLSSocket).alpnProtocol !== 'h2') {
      throw new PreflightError(
        `${href} does not offer HTTP/2 (ALPN chose ${(socket as TLSSocket).alpnProtocol || 'nothing'}); leave out --http2`,
      );
    }
  } catch (error) {
    if (error instanceof PreflightError) throw error;
    throw new PreflightError(`cannot connect to ${href}: ${explain(error as Error & { code?: string }, wanted)}`);
  } finally {
    clearTimeout(timer);
    socket.on('error', () => {});
    socket.destroy();
  }
}

function explain(error: Error & { code?: string }, wanted: string): string {
  if (error.code === 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL') return `it does not speak ${wanted} (ALPN)`;
  const inner = (error as AggregateError).errors?.[0] as (Error & { code?: string }) | undefined;
  const kind = failureOf(inner ?? error);
  if (kind === 'tls')
    return `${(inner ?? error).message}; give the authority that signed its certificate with --cacert FILE, or -k to trust anything`;
  return kind === 'other' ? error.message : FAILURES[kind];
}
