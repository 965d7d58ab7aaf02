// Names to addresses while the proxy runs (`resolver`): the PORTICO_HOSTS file first, then the configured DNS servers,
// with answers kept as long as their TTL or `valid=` says. Errors carry nginx's numbers and words, as in
// `backend could not be resolved (3: Host not found)`. Mirrors ngx_resolver.c.
import { Resolver as DnsResolver } from 'node:dns';
import { isIP } from 'node:net';
import { fromHostsFile, type HostAddress } from './resolver-hosts.ts';

/** Why a name could not be resolved. */
export interface ResolveError {
  readonly code: number;
  readonly text: string;
}

export const HOST_NOT_FOUND: ResolveError = { code: 3, text: 'Host not found' };
export const TIMED_OUT: ResolveError = { code: 110, text: 'Operation timed out' };

const ERRORS: Readonly<Record<string, ResolveError>> = {
  EFORMERR: { code: 1, text: 'Format error' },
  ESERVFAIL: { code: 2, text: 'Server failure' },
  ENOTFOUND: HOST_NOT_FOUND,
  ENODATA: HOST_NOT_FOUND,
  ENOTIMP: { code: 4, text: 'Unimplemented' },
  EREFUSED: { code: 5, text: 'Operation refused' },
  ETIMEOUT: TIMED_OUT,
  ECANCELLED: TIMED_OUT,
};

/** An answer: addresses, or an error; `validMs` says how long it holds. */
export interface Resolution {
  readonly addresses: readonly HostAddress[];
  readonly error: ResolveError | undefined;
  readonly validMs: number;
}

export type ResolveCallback = (answer: Resolution) => void;

/** How often and how long c-ares asks before it gives up; `resolver_timeout` usually ends it first. */
const RESEND_MS = 5000;
const TRIES = 6;

/** How long a name that comes from PORTICO_HOSTS holds: the file has no TTLs and is looked at once a second. */
const HOSTS_VALID_MS = 1000;

export interface ResolverSettings {
  /** `address:port` of the DNS servers. */
  servers: string[];
  /** `valid=`, -1: the TTLs of the answers. */
  readonly validMs: number;
  readonly hasIpv4: boolean;
  readonly hasIpv6: boolean;
  /** Answers instead of hosts file and DNS. */
  readonly lookup?: ((host: string) => readonly HostAddress[]) | undefined;
}

export class Resolver {
  readonly #settings: ResolverSettings;
  #dns: DnsResolver | undefined;
  readonly #known = new Map<string, { addresses: readonly HostAddress[]; untilMs: number }>();
  readonly #asked = new Map<string, Set<ResolveCallback>>();

  constructor(settings: ResolverSettings) {
    this.#settings = settings;
  }

  /**
   * Resolves `name` and calls `done`, at once when the answer is known. Returns a function that withdraws the question,
   * or undefined when it was answered already.
   */
  resolve(name: string, timeoutMs: number, done: ResolveCallback): (() => void) | undefined {
    const host = name.replace(/\.$/, '').toLowerCase();
    const family = isIP(host.replace(/^\[|\]$/g, ''));
    if (family) {
      done({
        addresses: [{ address: host.replace(/^\[|\]$/g, ''), family }],
        error: undefined,
        validMs: HOSTS_VALID_MS,
      });
      return undefined;
    }
    const { lookup } = this.#settings;
    if (lookup) {
      done({ addresses: lookup(host), error: undefined, validMs: Number.POSITIVE_INFINITY });
      return undefined;
    }
    const local = fromHostsFile(host);
    if (local) {
      done({ addresses: rotate(local), error: undefined, validMs: HOSTS_VALID_MS });
      return undefined;
    }
    const known = this.#known.get(host);
    const now = Date.now();
    if (known && known.untilMs > now) {
      done({ addresses: rotate(known.addresses), error: undefined, validMs: known.untilMs - now });
      return undefined;
    }
    let waiting = this.#asked.get(host);
    if (!waiting) {
      waiting = new Set();
      this.#asked.set(host, waiting);
      this.#ask(host);
    }
    const timer = setTimeout(() => {
      waiting.delete(answer);
      done({ addresses: [], error: TIMED_OUT, validMs: 0 });
    }, timeoutMs);
    const answer: ResolveCallback = (resolution) => {
      clearTimeout(timer);
      done(resolution);
    };
    waiting.add(answer);
    return () => {
      clearTimeout(timer);
      waiting.delete(answer);
    };
  }

  #ask(host: string): void {
    const { hasIpv4, hasIpv6, servers, validMs } = this.#settings;
    if (!this.#dns) {
      this.#dns = new DnsResolver({ timeout: RESEND_MS, tries: TRIES });
      this.#dns.setServers(servers);
    }
    const found: HostAddress[] = [];
    let ttl = Number.POSITIVE_INFINITY;
    let failure: ResolveError | undefined;
    let pending = (hasIpv4 ? 1 : 0) + (hasIpv6 ? 1 : 0);
    const answered = (
      family: number,
      error: NodeJS.ErrnoException | null,
      records: { address: string; ttl: number }[],
    ) => {
      if (error) {
        const known = ERRORS[error.code ?? ''] ?? { code: 2, text: 'Server failure' };
        if (failure === undefined || known !== HOST_NOT_FOUND) failure = known;
      } else {
        for (const record of records) {
          found.push({ address: record.address, family });
          ttl = Math.min(ttl, record.ttl);
        }
      }
      if (--pending > 0) return;
      this.#answer(host, found, failure, validMs >= 0 ? validMs : ttl * 1000);
    };
    if (hasIpv4) this.#dns.resolve4(host, { ttl: true }, (error, records) => answered(4, error, records));
    if (hasIpv6) this.#dns.resolve6(host, { ttl: true }, (error, records) => answered(6, error, records));
  }

  #answer(host: string, found: HostAddress[], failure: ResolveError | undefined, validMs: number): void {
    const waiting = this.#asked.get(host);
    this.#asked.delete(host);
    const addresses = [...found.filter((a) => a.family === 4), ...found.filter((a) => a.family === 6)];
    if (addresses.length > 0) this.#known.set(host, { addresses, untilMs: Date.now() + validMs });
    const error = addresses.length > 0 ? undefined : (failure ?? HOST_NOT_FOUND);
    for (const done of waiting ?? []) done({ addresses: rotate(addresses), error, validMs: error ? 0 : validMs });
  }

  /** Services of an SRV record (`service=`): host, port, priority and weight. */
  resolveServices(
    name: string,
    done: (
      records: readonly { name: string; port: number; priority: number; weight: number }[],
      error?: ResolveError,
    ) => void,
  ): void {
    if (this.#settings.lookup) {
      done([{ name, port: 80, priority: 1, weight: 1 }]);
      return;
    }
    if (!this.#dns) {
      this.#dns = new DnsResolver({ timeout: RESEND_MS, tries: TRIES });
      this.#dns.setServers(this.#settings.servers);
    }
    this.#dns.resolveSrv(name, (error, records) => {
      if (error) done([], ERRORS[error.code ?? ''] ?? { code: 2, text: 'Server failure' });
      else done(records);
    });
  }
}

/** Starts the list at a random place, so that requests spread over the addresses. */
function rotate(addresses: readonly HostAddress[]): readonly HostAddress[] {
  if (addresses.length < 2) return addresses;
  const at = Math.floor(Math.random() * addresses.length);
  return [...addresses.slice(at), ...addresses.slice(0, at)];
}
