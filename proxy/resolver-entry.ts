// One name that the resolver asks for or knows: the queries under way, what came back so far, how long it holds, and
// who waits. Mirrors ngx_resolver_node_t; times are whole seconds, as its are.
import { randomInt } from 'node:crypto';
import type { HostAddress } from './resolver-hosts.ts';
import { encodeQuery, type QueryType, RECORD, type ServiceRecord } from './resolver-message.ts';

/** Why a name could not be resolved. */
export interface ResolveError {
  readonly code: number;
  readonly text: string;
}

export const HOST_NOT_FOUND: ResolveError = { code: 3, text: 'Host not found' };
export const TIMED_OUT: ResolveError = { code: 110, text: 'Operation timed out' };

const ERRORS: readonly ResolveError[] = [
  { code: 1, text: 'Format error' },
  { code: 2, text: 'Server failure' },
  HOST_NOT_FOUND,
  { code: 4, text: 'Unimplemented' },
  { code: 5, text: 'Operation refused' },
];

/** The error of a DNS response code. */
export function resolveError(code: number): ResolveError {
  return ERRORS[code - 1] ?? { code, text: 'Unknown error' };
}

/** Who waits for a name; told once. */
export interface Waiter {
  /** `entry` holds the answer; `isFresh` when it has just come. */
  tell(entry: Entry | undefined, error: ResolveError | undefined, isFresh: boolean): void;
  timer: NodeJS.Timeout | undefined;
  readonly timeoutMs: number;
  /** Aliases followed so far. */
  aliases: number;
  entry: Entry | undefined;
}

/** One question under way. */
export interface Query {
  readonly id: number;
  readonly bytes: Buffer;
  /** Asked over TCP, because the answer over UDP was cut off. */
  isTcp: boolean;
  /** Undefined until answered. */
  found: readonly string[] | undefined;
}

export class Entry {
  readonly name: string;
  readonly isService: boolean;
  /** A, or SRV. */
  main: Query | undefined;
  /** AAAA. */
  six: Query | undefined;
  /** Which server is asked. */
  server = 0;
  resendAtMs = 0;
  /** Error of the query that was answered first. */
  code = 0;
  ttlS = 0xffffffff;
  waiting: Waiter[] = [];
  addresses4: readonly string[] = [];
  addresses6: readonly string[] = [];
  services: readonly ServiceRecord[] = [];
  /** What the name is an alias of, where that is all that is known. */
  canonical = '';
  validS = 0;
  /** When it is forgotten if nobody asks. */
  expireS = 0;

  constructor(name: string, isService: boolean) {
    this.name = name;
    this.isService = isService;
  }

  /** Forgets everything and makes the queries; false when the name cannot be asked for. */
  begin(hasIpv4: boolean, hasIpv6: boolean): boolean {
    this.addresses4 = [];
    this.addresses6 = [];
    this.services = [];
    this.canonical = '';
    this.code = 0;
    this.validS = 0;
    this.ttlS = 0xffffffff;
    this.main = hasIpv4 || this.isService ? query(this.name, this.isService ? RECORD.SRV : RECORD.A) : undefined;
    this.six = hasIpv6 && !this.isService ? query(this.name, RECORD.AAAA) : undefined;
    return this.main !== undefined || this.six !== undefined;
  }

  /** The query of a type, while it is under way. */
  queryOf(type: QueryType): Query | undefined {
    return type === RECORD.AAAA ? this.six : this.main;
  }

  /** All addresses; a cached answer starts at a random one of them, so that requests spread. */
  addresses(isFresh: boolean): HostAddress[] {
    const four = turned(this.addresses4, isFresh).map((address) => ({ address, family: 4 }));
    const six = turned(this.addresses6, isFresh).map((address) => ({ address, family: 6 }));
    return turned([...four, ...six], isFresh);
  }
}

function query(name: string, type: QueryType): Query | undefined {
  const id = randomInt(0x10000);
  const bytes = encodeQuery(id, name, type);
  return bytes && { id, bytes, isTcp: false, found: undefined };
}

/** `list` started at a random place; as it is when the answer is fresh. */
export function turned<T>(list: readonly T[], isFresh: boolean): T[] {
  if (isFresh || list.length < 2) return [...list];
  const at = randomInt(list.length);
  return [...list.slice(at), ...list.slice(0, at)];
}
