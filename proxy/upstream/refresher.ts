// Keeps the peers of servers marked `resolve` in step with their names while the worker runs: PORTICO_HOSTS is looked
// at with every request (at most one stat a second), DNS when an answer's time is over. Requests that come before the
// first answers wait for them; a reload begins with the addresses of the old configuration. Of several
// workers the first asks DNS, and the others take what it was told. Mirrors what nginx 1.27.3 does with `server … resolve` and `service=` (ngx_http_upstream_zone_module.c).

import type { Resolution, Resolver, ServiceAddress } from '../resolver.ts';
import { fromHostsFile, type HostAddress } from '../resolver-hosts.ts';
import { workerPlace } from '../worker-place.ts';
import { addressText } from './peer.ts';
import { nameMark, recallName, rememberName } from './resolved-names.ts';
import type { ServerAddress, Upstream, UpstreamServer } from './upstream.ts';

/** A `server` line whose name is looked up again and again. */
export interface NamedServer {
  readonly server: UpstreamServer;
  readonly host: string;
  readonly port: number;
  /** `service=`: SRV records say hosts, ports and weights. */
  readonly service: string | undefined;
}

interface Watch extends NamedServer {
  isAnswered: boolean;
  isAsking: boolean;
  addressesKey: string;
  /** It has been resolved before, to addresses or to none. */
  hasAnswer: boolean;
  /** Of the last answer that this worker knows, and when it looked for a later one. */
  mark: string | undefined;
  lookedMs: number;
}

/** How long a worker goes on before it looks for what another was told. */
const LOOK_MS = 10;

/** Never asked for more often than this, whatever the TTL. */
const SHORTEST_MS = 1000;
const HOST_NOT_FOUND = 3;

const running = new Set<NameRefresher>();

/** Ends those of the configuration before. */
export function stopRefreshers(): void {
  for (const refresher of running) refresher.stop();
  running.clear();
}

export class NameRefresher {
  readonly #upstream: Upstream;
  readonly #resolver: Resolver;
  readonly #timeoutMs: number;
  readonly #watches: Watch[];
  readonly #log: (message: string) => void;
  readonly #timers = new Set<NodeJS.Timeout>();
  #isStopped = false;
  #waiters: (() => void)[] = [];

  constructor(
    upstream: Upstream,
    resolver: Resolver,
    timeoutMs: number,
    servers: readonly NamedServer[],
    log: (message: string) => void,
  ) {
    this.#upstream = upstream;
    this.#resolver = resolver;
    this.#timeoutMs = timeoutMs;
    this.#log = log;
    this.#watches = servers.map((s) => ({
      ...s,
      isAnswered: false,
      isAsking: false,
      addressesKey: '',
      hasAnswer: false,
      mark: undefined,
      lookedMs: 0,
    }));
  }

  /** The process serves: begin with what is known, ask for the rest. */
  start(): void {
    running.add(this);
    for (const watch of this.#watches) {
      if (this.#fromHosts(watch) || watch.isAnswered || watch.isAsking) continue;
      const validUntilMs = this.#adopt(watch);
      if (validUntilMs === undefined) this.#ask(watch);
      else this.#askAfter(watch, validUntilMs + 1000 - Date.now());
    }
  }

  /** Takes the last answer that any worker got; says until when it holds. */
  #adopt(watch: Watch): number | undefined {
    const key = this.#key(watch);
    watch.mark = nameMark(key);
    const known = recallName(key);
    if (!known) return undefined;
    const { service, port } = watch;
    this.#apply(watch, service === undefined ? known.addresses.map((a) => ({ ...a, port })) : known.addresses);
    watch.isAnswered = true;
    watch.hasAnswer = true;
    return known.validUntilMs;
  }

  /** What another worker was told since we looked last is what holds. */
  #follow(watch: Watch): void {
    const now = Date.now();
    if (this.#isAsker || now - watch.lookedMs < LOOK_MS) return;
    watch.lookedMs = now;
    if (nameMark(this.#key(watch)) !== watch.mark) this.#adopt(watch);
  }

  /** The first worker keeps the answers fresh; the others ask only as long as they have none. */
  get #isAsker(): boolean {
    return workerPlace().slot === 0;
  }

  /** Asks no more; what is known stays. */
  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#release();
  }

  /** True when the peers can be chosen from now; otherwise `then` is called once they can. */
  isReady(then: () => void): boolean {
    if (this.#isStopped) return true;
    let isReady = true;
    for (const watch of this.#watches) {
      if (this.#fromHosts(watch)) continue;
      if (!watch.isAnswered) {
        if (!watch.isAsking) this.#ask(watch);
        isReady &&= watch.isAnswered;
      } else this.#follow(watch);
    }
    if (!isReady) this.#waiters.push(then);
    return isReady;
  }

  #key({ host, service }: Watch): string {
    return `${this.#upstream.zone} ${this.#upstream.name} ${service ?? ''} ${host}`;
  }

  #fromHosts(watch: Watch): boolean {
    const local = fromHostsFile(watch.host);
    if (!local) return false;
    watch.isAnswered = true;
    this.#apply(watch, withPort(local, watch.port));
    return true;
  }

  #ask(watch: Watch): void {
    const { host, service, port } = watch;
    watch.isAsking = true;
    if (service === undefined) {
      this.#resolver.resolve(host, this.#timeoutMs, (answer) =>
        this.#answered(watch, answer, host, withPort(answer.addresses, port)),
      );
    } else {
      this.#resolver.resolveService(service, host, this.#timeoutMs, (answer) =>
        this.#answered(watch, answer, `service ${service} of ${host}`, ofServices(answer.addresses, watch.server)),
      );
    }
  }

  #answered(watch: Watch, answer: Resolution<unknown>, what: string, addresses: ServerAddress[]): void {
    if (this.#isStopped) return;
    const { error, validMs } = answer;
    watch.isAsking = false;
    watch.isAnswered = true;
    if (error) this.#log(`${what} could not be resolved (${error.code}: ${error.text})`);
    if (error && error.code !== HOST_NOT_FOUND) {
      // While DNS fails the last answer holds.
      this.#askAfter(watch, this.#timeoutMs);
    } else {
      // A name that is gone has no servers.
      this.#apply(watch, addresses);
      watch.hasAnswer = true;
      if (Number.isFinite(validMs)) {
        rememberName(this.#key(watch), { addresses, validUntilMs: Date.now() + validMs });
        watch.mark = nameMark(this.#key(watch));
        this.#askAfter(watch, validMs + 1000);
      }
    }
    if (this.#watches.every((w) => w.isAnswered)) this.#release();
  }

  #askAfter(watch: Watch, ms: number): void {
    if (watch.hasAnswer && !this.#isAsker) return;
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        this.#ask(watch);
      },
      Math.min(Math.max(ms, SHORTEST_MS), 2 ** 31 - 1),
    ).unref();
    this.#timers.add(timer);
  }

  #release(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const then of waiters) then();
  }

  #apply(watch: Watch, addresses: readonly ServerAddress[]): void {
    // In an order that is the same in every worker.
    const sorted = addresses.toSorted((a, b) => (textOf(a) < textOf(b) ? -1 : 1));
    const key = sorted.map(textOf).join(', ');
    if (key === watch.addressesKey) return;
    watch.addressesKey = key;
    watch.server.addresses = sorted;
    this.#upstream.build();
  }
}

function textOf(address: ServerAddress): string {
  const { server = '', weight = 1, isBackup = false } = address;
  return `${addressText(address)} ${server} ${weight} ${isBackup}`;
}

function withPort(addresses: readonly HostAddress[], port: number): ServerAddress[] {
  return addresses.map((a) => ({ family: a.family as 4 | 6, host: a.address, port }));
}

/** SRV records of the best priority are servers, the others backups (or none, where the line itself is a backup). */
function ofServices(addresses: readonly ServiceAddress[], { parameters }: UpstreamServer): ServerAddress[] {
  const best = Math.min(...addresses.map((a) => a.priority));
  return addresses
    .filter((a) => a.priority === best || !parameters.isBackup)
    .map((a) => ({
      family: a.family as 4 | 6,
      host: a.address,
      port: a.port,
      server: a.name,
      // A weight in the configuration goes before those of DNS.
      weight: parameters.weight === 1 ? a.weight : parameters.weight,
      isBackup: parameters.isBackup || a.priority !== best,
    }));
}
