// Names to addresses while the proxy runs (`resolver`): the PORTICO_HOSTS file first, then the configured DNS servers,
// asked in turn and again every 5 s, with answers kept as long as their TTL or `valid=` says. Errors carry nginx's
// numbers and words, as in `backend could not be resolved (3: Host not found)`. Mirrors ngx_resolver.c.
import { isIP } from 'node:net';
import { Entry, HOST_NOT_FOUND, type ResolveError, resolveError, TIMED_OUT, type Waiter } from './resolver-entry.ts';
import { fromHostsFile, type HostAddress } from './resolver-hosts.ts';
import {
  type AnswerHead,
  MalformedAnswer,
  type Question,
  RECORD,
  readHead,
  readName,
  readQuestion,
  readRecords,
} from './resolver-message.ts';
import { NameServer } from './resolver-server.ts';
import { type FoundService, inServiceOrder, type ServiceAddress } from './resolver-services.ts';

export { HOST_NOT_FOUND, type ResolveError, TIMED_OUT } from './resolver-entry.ts';
export type { ServiceAddress } from './resolver-services.ts';

/** An answer: addresses, or an error; `validMs` says how long it holds. */
export interface Resolution<T = HostAddress> {
  readonly addresses: readonly T[];
  readonly error: ResolveError | undefined;
  readonly validMs: number;
}

export type ResolveCallback<T = HostAddress> = (answer: Resolution<T>) => void;

/** How long a server may take before the next one is asked. */
const RESEND_MS = 5000;
/** How long an answer that nobody asks for is kept. */
const UNUSED_S = 30;
/** How long a failure holds for those who ask again by themselves. */
const FAILED_S = 10;
const MOST_ALIASES = 50;
/** How long a name that comes from PORTICO_HOSTS holds: the file has no TTLs and is looked at once a second. */
const HOSTS_VALID_MS = 1000;

export interface ResolverSettings {
  readonly servers: { readonly address: string; readonly port: number }[];
  /** `valid=` in seconds; 0: the TTLs of the answers. */
  readonly validS: number;
  readonly hasIpv4: boolean;
  readonly hasIpv6: boolean;
  /** Takes what error.log shall say. */
  readonly log: (message: string) => void;
  /** Answers instead of hosts file and DNS. */
  readonly lookup?: ((host: string) => readonly HostAddress[]) | undefined;
}

const nowS = (): number => Math.floor(Date.now() / 1000);

export class Resolver {
  readonly #settings: ResolverSettings;
  #servers: readonly NameServer[] | undefined;
  readonly #names = new Map<string, Entry>();
  readonly #services = new Map<string, Entry>();
  /** Entries with queries under way, the one to be sent again first at the front. */
  readonly #asking = new Set<Entry>();
  /** Entries with answers, the one not asked for the longest at the front. */
  readonly #answered = new Set<Entry>();
  #resendTimer: NodeJS.Timeout | undefined;
  #nextServer = 0;

  constructor(settings: ResolverSettings) {
    this.#settings = settings;
  }

  /**
   * Resolves `name` and calls `done`, at once when the answer is known. Returns a function that withdraws the question,
   * or undefined when it was answered already. With a `timeoutMs` of 0 it is asked for ever.
   */
  resolve(name: string, timeoutMs: number, done: ResolveCallback): (() => void) | undefined {
    const host = name.replace(/\.$/, '').toLowerCase();
    const known = this.#withoutDns(host);
    if (known) {
      done(known);
      return undefined;
    }
    return this.#wait(host, false, timeoutMs, (entry, error, isFresh) => {
      if (entry) done({ addresses: entry.addresses(isFresh), error, validMs: (entry.validS - nowS()) * 1000 });
      else done({ addresses: [], error, validMs: this.#failedMs });
    });
  }

  /** What needs no question: literal addresses, names of PORTICO_HOSTS. */
  #withoutDns(host: string): Resolution | undefined {
    const literal = host.replace(/^\[|\]$/g, '');
    const family = isIP(literal);
    if (family) return { addresses: [{ address: literal, family }], error: undefined, validMs: HOSTS_VALID_MS };
    const { lookup } = this.#settings;
    if (lookup) return { addresses: lookup(host), error: undefined, validMs: Number.POSITIVE_INFINITY };
    const local = fromHostsFile(host);
    if (!local) return undefined;
    const at = Math.floor(Math.random() * local.length);
    return {
      addresses: [...local.slice(at), ...local.slice(0, at)],
      error: undefined,
      validMs: HOSTS_VALID_MS,
    };
  }

  /** Resolves the SRV records of `service` (a bare name, or in full as `_http._tcp`) at `host`, then their hosts. */
  resolveService(service: string, host: string, timeoutMs: number, done: ResolveCallback<ServiceAddress>): void {
    if (this.#settings.lookup) {
      const addresses = this.#settings.lookup(host);
      done({
        addresses: addresses.map((a) => ({ ...a, name: host, port: 80, priority: 1, weight: 1 })),
        error: undefined,
        validMs: Number.POSITIVE_INFINITY,
      });
      return;
    }
    const name = `${service.includes('.') ? service : `_${service}._tcp`}.${host.replace(/\.$/, '')}`.toLowerCase();
    this.#wait(name, true, timeoutMs, (entry, error) => {
      if (!entry) {
        done({ addresses: [], error, validMs: this.#failedMs });
        return;
      }
      const found: FoundService[] = [];
      let pending = entry.services.length;
      let validMs = (entry.validS - nowS()) * 1000;
      entry.services.forEach((record, i) => {
        this.resolve(record.name, timeoutMs, (answer) => {
          found[i] = { record, addresses: answer.addresses, error: answer.error };
          if (answer.error) {
            const { code, text } = answer.error;
            const what = `${record.name} could not be resolved (${code}: ${text})`;
            this.#settings.log(`${what} while resolving service ${service} of ${host}`);
          } else validMs = Math.min(validMs, answer.validMs);
          if (--pending > 0) return;
          const addresses = inServiceOrder(found);
          if (addresses.length > 0) done({ addresses, error: undefined, validMs });
          else {
            const isUnknown = found.some((f) => f.error === HOST_NOT_FOUND);
            done({ addresses, error: isUnknown ? HOST_NOT_FOUND : found[0]!.error, validMs: this.#failedMs });
          }
        });
      });
    });
  }

  get #failedMs(): number {
    return (this.#settings.validS || FAILED_S) * 1000;
  }

  #wait(name: string, isService: boolean, timeoutMs: number, tell: Waiter['tell']): (() => void) | undefined {
    let isTold = false;
    const waiter: Waiter = {
      tell: (entry, error, isFresh) => {
        isTold = true;
        clearTimeout(waiter.timer);
        tell(entry, error, isFresh);
        this.#forgetUnused();
      },
      timer: undefined,
      timeoutMs,
      aliases: 0,
      entry: undefined,
    };
    this.#ask(waiter, name, isService);
    return isTold ? undefined : () => this.#withdraw(waiter);
  }

  #withdraw(waiter: Waiter): void {
    clearTimeout(waiter.timer);
    const { entry } = waiter;
    if (entry) entry.waiting = entry.waiting.filter((w) => w !== waiter);
  }

  #ask(waiter: Waiter, name: string, isService: boolean): void {
    const tree = isService ? this.#services : this.#names;
    let entry = tree.get(name);
    if (entry && entry.validS >= nowS()) {
      this.#keep(entry);
      if (entry.canonical === '') waiter.tell(entry, undefined, false);
      else this.#follow(waiter, entry);
      return;
    }
    if (entry && entry.waiting.length > 0) {
      this.#enqueue(waiter, entry);
      return;
    }
    entry ??= new Entry(name, isService);
    if (!entry.begin(this.#settings.hasIpv4, this.#settings.hasIpv6)) {
      this.#drop(entry);
      waiter.tell(undefined, HOST_NOT_FOUND, true);
      return;
    }
    tree.set(name, entry);
    this.#answered.delete(entry);
    this.#servers ??= this.#settings.servers.map(
      ({ address, port }) =>
        new NameServer(address, port, {
          onMessage: (bytes, isTcp) => this.#receive(bytes, isTcp),
          onError: (text) => this.#settings.log(text),
        }),
    );
    entry.server = this.#nextServer;
    this.#nextServer = (this.#nextServer + 1) % this.#servers.length;
    this.#enqueue(waiter, entry);
    this.#schedule(entry);
    const asked = entry;
    let isRetried = false;
    this.#send(entry, () => {
      if (isRetried || !this.#asking.has(asked)) return;
      isRetried = true;
      this.#turn(asked);
      this.#send(asked, () => {});
    });
  }

  #enqueue(waiter: Waiter, entry: Entry): void {
    waiter.entry = entry;
    entry.waiting.push(waiter);
    // A waiter that follows an alias has its timer already.
    if (waiter.timer || waiter.timeoutMs === 0) return;
    // Whoever waits keeps the process alive, not the timer: names of upstreams are looked up for nobody.
    waiter.timer = setTimeout(
      () => {
        this.#withdraw(waiter);
        waiter.tell(undefined, TIMED_OUT, true);
      },
      Math.min(waiter.timeoutMs, 2 ** 31 - 1),
    ).unref();
  }

  #follow(waiter: Waiter, entry: Entry): void {
    if (waiter.aliases++ < MOST_ALIASES) this.#ask(waiter, entry.canonical, entry.isService);
    else waiter.tell(undefined, HOST_NOT_FOUND, true);
  }

  #turn(entry: Entry): void {
    entry.server = (entry.server + 1) % this.#servers!.length;
  }

  #send(entry: Entry, failed: () => void): void {
    const server = this.#servers![entry.server]!;
    for (const query of [entry.main, entry.six]) {
      if (!query || query.found) continue;
      if (query.isTcp) server.sendTcp(query.bytes);
      else server.sendUdp(query.bytes, failed);
    }
  }

  #schedule(entry: Entry): void {
    this.#asking.delete(entry);
    this.#asking.add(entry);
    entry.resendAtMs = performance.now() + RESEND_MS;
    this.#resendTimer ??= setTimeout(() => this.#resend(), RESEND_MS).unref();
  }

  #resend(): void {
    this.#resendTimer = undefined;
    const now = performance.now();
    for (const entry of this.#asking) {
      // Timers may fire a fraction of a ms early.
      if (entry.resendAtMs > now + 1) {
        this.#resendTimer ??= setTimeout(() => this.#resend(), entry.resendAtMs - now).unref();
        return;
      }
      if (entry.waiting.length === 0) {
        this.#drop(entry);
        continue;
      }
      this.#turn(entry);
      this.#schedule(entry);
      this.#send(entry, () => {});
    }
  }

  #receive(bytes: Buffer, isTcp: boolean): void {
    try {
      const head = readHead(bytes, isTcp);
      if (head.code === 1 || head.code > 5) this.#logFailure(head);
      else this.#answer(bytes, head, readQuestion(bytes, head));
    } catch (error) {
      if (!(error instanceof MalformedAnswer)) throw error;
      this.#settings.log(error.message);
    }
  }

  #logFailure({ code, id }: AnswerHead): void {
    const text = `DNS error (${code}: ${resolveError(code).text}), query id:${id}`;
    const asked = [...this.#asking].find((e) => e.main?.id === id || e.six?.id === id);
    this.#settings.log(code === 1 && asked ? `${text}, name:"${asked.name}"` : text);
  }

  #answer(bytes: Buffer, head: AnswerHead, question: Question): void {
    const { name, type } = question;
    const entry = (type === RECORD.SRV ? this.#services : this.#names).get(name);
    const query = entry?.queryOf(type);
    if (!entry || !query || query.found) {
      this.#settings.log(`unexpected DNS response for ${name}`);
      return;
    }
    if (head.isTruncated && query.isTcp) return;
    if (head.id !== query.id) {
      this.#settings.log(`wrong ident ${head.id} in DNS response for ${name}, expect ${query.id}`);
      return;
    }
    if (head.isTruncated) {
      if (entry.waiting.length === 0) {
        this.#drop(entry);
        return;
      }
      query.isTcp = true;
      this.#servers![entry.server]!.sendTcp(query.bytes);
      this.#schedule(entry);
      return;
    }
    const other = query === entry.main ? entry.six : entry.main;
    const isLast = !other || other.found !== undefined;
    let code = head.code || entry.code;
    if (code === 0 && head.answers === 0) {
      query.found = [];
      if (!isLast) return;
      if (other?.found?.length) {
        this.#complete(entry);
        return;
      }
      code = HOST_NOT_FOUND.code;
    }
    if (code !== 0) {
      query.found = [];
      if (isLast) this.#fail(entry, resolveError(code));
      else entry.code = code;
      return;
    }
    const records = readRecords(bytes, head, question, this.#settings.log);
    entry.ttlS = Math.min(entry.ttlS, records.ttlS);
    entry.services = records.services.toSorted((a, b) => a.priority - b.priority);
    query.found = records.addresses;
    if (!isLast) return;
    if (query.found.length > 0 || other?.found?.length || entry.services.length > 0) this.#complete(entry);
    else if (records.canonicalAt >= 0) {
      entry.canonical = readName(bytes, records.canonicalAt);
      this.#complete(entry);
    } else {
      this.#settings.log(`no ${entry.isService ? 'SRV type' : 'A or CNAME types'} in DNS response`);
    }
  }

  #complete(entry: Entry): void {
    entry.addresses4 = entry.main?.found ?? [];
    entry.addresses6 = entry.six?.found ?? [];
    entry.main = undefined;
    entry.six = undefined;
    entry.validS = nowS() + (this.#settings.validS || entry.ttlS);
    this.#stopAsking(entry);
    this.#keep(entry);
    const { waiting } = entry;
    entry.waiting = [];
    for (const waiter of waiting) {
      if (entry.canonical === '') waiter.tell(entry, undefined, true);
      else this.#follow(waiter, entry);
    }
  }

  /** Failures are not kept: whoever asks next asks the servers. */
  #fail(entry: Entry, error: ResolveError): void {
    this.#drop(entry);
    const { waiting } = entry;
    entry.waiting = [];
    for (const waiter of waiting) waiter.tell(undefined, error, true);
  }

  #keep(entry: Entry): void {
    entry.expireS = nowS() + UNUSED_S;
    this.#answered.delete(entry);
    this.#answered.add(entry);
  }

  #stopAsking(entry: Entry): void {
    this.#asking.delete(entry);
    if (this.#asking.size > 0) return;
    clearTimeout(this.#resendTimer);
    this.#resendTimer = undefined;
  }

  #drop(entry: Entry): void {
    this.#stopAsking(entry);
    this.#answered.delete(entry);
    (entry.isService ? this.#services : this.#names).delete(entry.name);
  }

  #forgetUnused(): void {
    let left = 2;
    for (const entry of this.#answered) {
      if (left-- === 0 || nowS() <= entry.expireS) return;
      this.#drop(entry);
    }
  }
}
