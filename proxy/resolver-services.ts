// The addresses behind SRV records (RFC 2782) in the order of use: by priority, and among equals starting at a random
// record, chosen by weight. Mirrors ngx_resolver_report_srv.
import type { ResolveError } from './resolver-entry.ts';
import type { HostAddress } from './resolver-hosts.ts';
import type { ServiceRecord } from './resolver-message.ts';

/** An address of a service. */
export interface ServiceAddress extends HostAddress {
  readonly port: number;
  /** Name of the host in the SRV record. */
  readonly name: string;
  readonly priority: number;
  readonly weight: number;
}

/** A record and what its host's name was resolved to. */
export interface FoundService {
  readonly record: ServiceRecord;
  readonly addresses: readonly HostAddress[];
  readonly error: ResolveError | undefined;
}

/** All addresses of `services`, which are sorted by priority. */
export function inServiceOrder(services: readonly FoundService[]): ServiceAddress[] {
  const ordered: ServiceAddress[] = [];
  for (let from = 0; from < services.length; ) {
    const { priority } = services[from]!.record;
    let to = from;
    while (services[to]?.record.priority === priority) to++;
    const equals = services.slice(from, to);
    const first = byWeight(equals);
    for (const { record, addresses } of [...equals.slice(first), ...equals.slice(0, first)]) {
      const { port, name, weight } = record;
      for (const { address, family } of addresses) ordered.push({ address, family, port, name, priority, weight });
    }
    from = to;
  }
  return ordered;
}

function byWeight(services: readonly FoundService[]): number {
  const weights = services.map(({ record, addresses }) => record.weight * addresses.length);
  let left = Math.random() * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [i, weight] of weights.entries()) {
    if (left < weight) return i;
    left -= weight;
  }
  return 0;
}
