// Keeps the peers of servers marked `resolve` in step with their names while the worker runs: PORTICO_HOSTS is looked
// at with every request (at most one stat a second), DNS when an answer's time is over. Requests that come before the
// first answers wait for them. Mirrors what nginx 1.27.3 does with `server … resolve`.

import type { Resolver } from '../resolver.ts';
import { fromHostsFile } from '../resolver-hosts.ts';
import type { PeerAddress } from './peer.ts';
import { addressText } from './peer.ts';
import type { Upstream, UpstreamServer } from './upstream.ts';

/** A `server` line whose name is looked up again and again. */
export interface NamedServer {
  readonly server: UpstreamServer;
  readonly host: string;
  readonly port: number;
  /** `service=`: an SRV record says the ports. */
  readonly service: string | undefined;
}

interface Watch extends NamedServer {
  isAnswered: boolean;
  isAsking: boolean;
  addressesKey: string;
}

/** Never asked for more often than this, whatever the TTL. */
const SHORTEST_MS = 1000;
/** How soon a failed question is asked again. */
const RETRY_MS = 5000;

export class NameRefresher {
  readonly #upstream: Upstream;
  readonly #resolver: Resolver;
  readonly #timeoutMs: number;
  readonly #watches: Watch[];
  readonly #warn: (message: string) => void;
  #waiters: (() => void)[] = [];

  constructor(
    upstream: Upstream,
    resolver: Resolver,
    timeoutMs: number,
    servers: readonly NamedServer[],
    warn: (message: string) => void,
  ) {
    this.#upstream = upstream;
    this.#resolver = resolver;
    this.#timeoutMs = timeoutMs;
    this.#warn = warn;
    this.#watches = servers.map((s) => ({ ...s, isAnswered: false, isAsking: false, addressesKey: '' }));
  }

  /** The process serves: ask for every name. */
  start(): void {
    for (const watch of this.#watches) {
      if (!this.#fromHosts(watch) && !watch.isAnswered && !watch.isAsking) this.#ask(watch);
    }
  }

  /** True when the peers can be chosen from now; otherwise `then` is called once they can. */
  isReady(then: () => void): boolean {
    let isReady = true;
    for (const watch of this.#watches) {
      if (this.#fromHosts(watch)) continue;
      if (!watch.isAnswered) {
        if (!watch.isAsking) this.#ask(watch);
        isReady &&= watch.isAnswered;
      }
    }
    if (!isReady) this.#waiters.push(then);
    return isReady;
  }

  #fromHosts(watch: Watch): boolean {
    const local = fromHostsFile(watch.host);
    if (!local) return false;
    watch.isAnswered = true;
    this.#apply(
      watch,
      local.map((a) => ({ family: a.family as 4 | 6, host: a.address, port: watch.port })),
    );
    return true;
  }

  #ask(watch: Watch): void {
    watch.isAsking = true;
    if (watch.service !== undefined) {
      this.#askService(watch, watch.service);
      return;
    }
    this.#resolver.resolve(watch.host, this.#timeoutMs, ({ addresses, error, validMs }) => {
      if (error) {
        this.#warn(`${watch.host} could not be resolved (${error.code}: ${error.text})`);
        // A name that is gone has no servers; when DNS itself fails, the last answer holds.
        if (error.code === 3) this.#apply(watch, []);
      } else {
        this.#apply(
          watch,
          addresses.map((a) => ({ family: a.family as 4 | 6, host: a.address, port: watch.port })),
        );
      }
      this.#answered(watch, error ? RETRY_MS : validMs);
    });
  }

  #askService(watch: Watch, service: string): void {
    const name = service.includes('.') ? `${service}.${watch.host}` : `_${service}._tcp.${watch.host}`;
    this.#resolver.resolveServices(name, (records, error) => {
      if (error || records.length === 0) {
        this.#warn(`${name} could not be resolved (${error?.code ?? 3}: ${error?.text ?? 'Host not found'})`);
        this.#answered(watch, RETRY_MS);
        return;
      }
      const best = Math.min(...records.map((r) => r.priority));
      const chosen = records.filter((r) => r.priority === best);
      const all: PeerAddress[] = [];
      let pending = chosen.length;
      let shortest = Number.POSITIVE_INFINITY;
      for (const record of chosen) {
        this.#resolver.resolve(record.name, this.#timeoutMs, ({ addresses, validMs }) => {
          for (const a of addresses) all.push({ family: a.family as 4 | 6, host: a.address, port: record.port });
          shortest = Math.min(shortest, validMs);
          if (--pending > 0) return;
          this.#apply(watch, all);
          this.#answered(watch, all.length > 0 ? shortest : RETRY_MS);
        });
      }
    });
  }

  #answered(watch: Watch, againMs: number): void {
    watch.isAsking = false;
    watch.isAnswered = true;
    const wait = Math.min(Math.max(againMs, SHORTEST_MS), 2 ** 31 - 1);
    setTimeout(() => this.#ask(watch), wait).unref();
    if (this.#watches.some((w) => !w.isAnswered)) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const then of waiters) then();
  }

  #apply(watch: Watch, addresses: PeerAddress[]): void {
    const sorted = addresses.toSorted((a, b) => (addressText(a) < addressText(b) ? -1 : 1));
    const key = sorted.map(addressText).join(' ');
    if (key === watch.addressesKey) return;
    watch.addressesKey = key;
    watch.server.addresses = sorted;
    this.#upstream.build();
  }
}
