// The sockets behind the listen directives: which ones there must be, bound once by the process that outlives the
// workers and shared with them. A reload keeps the sockets that both configurations want. Mirrors
// ngx_open_listening_sockets; raw handles are used because only they can be bound without listening and shared.
import { chmodSync, existsSync, unlinkSync } from 'node:fs';
import * as net from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { getSystemErrorName } from 'node:util';
import { errnoText } from '../config/error.ts';
import type { LogLevel } from '../log.ts';
import type { ListenAddress } from './address.ts';
import { portOwner } from './port-owner.ts';

/** A bound socket as libuv has it; what net.Server listens on. */
export interface Handle {
  readonly fd: number;
  close(done?: () => void): void;
  getsockname?(out: object): number;
}

/** The descriptor of a socket; -1 when it is closed. */
export function descriptorOf(socket: net.Socket): number {
  return (socket as unknown as { readonly _handle: Handle | null })._handle?.fd ?? -1;
}

/** A socket to have: the address that it is bound to, and the listen addresses that it serves. */
export interface SocketPlan {
  /** As nginx names the socket in messages; the key under which it is kept across a reload. */
  readonly key: string;
  readonly family: 4 | 6 | 'unix';
  readonly host: string;
  readonly port: number;
  readonly isIpv6Only: boolean;
  readonly backlog: number;
  /** One socket a worker instead of one for all. */
  readonly isReuseport: boolean;
  /** First the address that the socket is bound to, then narrower ones that a wildcard covers. */
  readonly addresses: readonly ListenAddress[];
}

/** Decides the sockets: an address of a port whose wildcard is bound as well needs none of its own. */
export function planSockets(listens: readonly ListenAddress[]): SocketPlan[] {
  const ours = process.env['PORTICO_ADDRESS'];
  const plans: (SocketPlan & { addresses: ListenAddress[] })[] = [];
  const wildcards = listens.filter((l) => l.isWildcard);
  for (const listen of [...wildcards, ...listens.filter((l) => !l.isWildcard)]) {
    const moved = listen.isWildcard && ours !== undefined && ours !== '';
    const host = moved ? ours : listen.host;
    const family = moved ? (net.isIPv6(ours) ? 6 : 4) : listen.family;
    const covered = plans.find((p) => {
      if (p.family !== family || p.port !== listen.port || family === 'unix') return false;
      if (p.host === host) return true;
      return !moved && !listen.hasOptions && p.addresses[0]!.isWildcard && (p.host === '0.0.0.0' || p.host === '::');
    });
    if (covered) {
      covered.addresses.push(listen);
      continue;
    }
    plans.push({
      key: listen.text,
      family,
      host,
      port: listen.port,
      isIpv6Only: listen.isIpv6Only,
      backlog: listen.backlog,
      isReuseport: listen.isReuseport,
      addresses: [listen],
    });
  }
  return plans;
}

type CreateHandle = (
  host: string | null,
  port: number | null,
  type: number | null,
  fd: number,
  flags: number,
) => Handle | number;
/** The listen address of a connection that came to `localAddress`: its own if there is one, else the one for all. */
export function addressOf(addresses: readonly ListenAddress[], localAddress: string): ListenAddress {
  return addresses.find((a) => a.host === localAddress) ?? addresses[0]!;
}

const { _createServerHandle: createHandle } = net as unknown as { _createServerHandle: CreateHandle };

/** Binds one socket; a system error number when it cannot be. */
function bindOne(plan: SocketPlan): Handle | number {
  if (plan.family === 'unix') {
    const bound = createHandle(plan.host, -1, -1, -1, 0);
    // The runtime says EACCES for a directory that is not there.
    if (bound === -13 && !existsSync(dirname(plan.host))) return -2;
    if (typeof bound === 'object') chmodSync(plan.host, 0o666);
    return bound;
  }
  const flags = (plan.family === 6 && plan.isIpv6Only ? 1 : 0) | (plan.isReuseport ? 2 : 0);
  const bound = createHandle(plan.host, plan.port, plan.family, -1, flags);
  if (typeof bound === 'number') return bound;
  // bind(2)'s "in use" is told late; asking for the name brings it out.
  const late = bound.getsockname!({});
  if (late) {
    bound.close();
    return late;
  }
  return bound;
}

function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody else did.
  }
}

const TRIES = 5;
const RETRY_MS = 500;

/** The sockets of a process, by key. */
export class ListenSockets {
  readonly #bound = new Map<string, readonly Handle[]>();
  /** Those that another process had bound before. */
  readonly #inherited = new Set<string>();

  /** Handles of a plan: one, or one a worker. */
  handlesOf(plan: SocketPlan): readonly Handle[] {
    return this.#bound.get(plan.key)!;
  }

  /** Every socket with its key; those of `reuseport` have the same one. */
  entries(): { readonly key: string; readonly handle: Handle }[] {
    return [...this.#bound].flatMap(([key, handles]) => handles.map((handle) => ({ key, handle })));
  }

  /** Takes a bound socket over that this process was started with. */
  adopt(key: string, fd: number): void {
    const handle = createHandle(null, null, null, fd, 0);
    if (typeof handle === 'number') return;
    this.#inherited.add(key);
    this.#bound.set(key, [...(this.#bound.get(key) ?? []), handle]);
  }

  /**
   * Binds what `plans` want and is not there yet, trying again for a while when an address is in use. False when it
   * could not be done: the log says why, and nothing new is kept. In a test "in use" is not an error.
   */
  async open(
    plans: readonly SocketPlan[],
    workers: number,
    write: (level: LogLevel, message: string) => void,
    isTest = false,
  ): Promise<boolean> {
    const fresh = new Map<SocketPlan, Handle[]>();
    const giveBack = (): void => {
      for (const handles of fresh.values()) for (const handle of handles) handle.close();
    };
    for (let attempt = 0; attempt < TRIES; attempt++) {
      let failed: SocketPlan | undefined;
      for (const plan of plans) {
        if (this.#bound.has(plan.key) || fresh.has(plan)) continue;
        const handles: Handle[] = [];
        for (let i = 0; i < (plan.isReuseport ? workers : 1); i++) {
          const bound = bindOne(plan);
          if (typeof bound === 'object') {
            handles.push(bound);
            continue;
          }
          for (const handle of handles.splice(0)) handle.close();
          const code = getSystemErrorName(bound);
          if (code === 'EADDRINUSE' && isTest) break;
          write('emerg', `bind() to ${plan.key} failed ${errnoText({ code, errno: bound })}`);
          if (code !== 'EADDRINUSE') {
            giveBack();
            return false;
          }
          failed = plan;
          break;
        }
        if (handles.length) fresh.set(plan, handles);
      }
      if (!failed) {
        for (const [plan, handles] of fresh) this.#bound.set(plan.key, handles);
        return true;
      }
      if (attempt === TRIES - 1) {
        giveBack();
        const owner = failed.family === 'unix' ? undefined : portOwner(failed.port);
        if (owner) write('notice', `port ${failed.port} is held by ${owner}`);
        write('emerg', 'still could not bind()');
        return false;
      }
      write('notice', `try again to bind() after ${RETRY_MS}ms`);
      await sleep(RETRY_MS);
    }
    return false;
  }

  /**
   * Closes the sockets that `plans` do not want any more; all without an argument. `isShared`: another process serves
   * them, too, and the files of unix sockets stay.
   */
  close(plans: readonly SocketPlan[] = [], isShared = false): void {
    for (const [key, handles] of this.#bound) {
      if (plans.some((p) => p.key === key)) continue;
      const isUnix = key.startsWith('unix:');
      // Closing would remove the file; the descriptor goes when the process does.
      if (isUnix && isShared && !this.#inherited.has(key)) continue;
      for (const handle of handles) handle.close();
      this.#bound.delete(key);
      // The system's handle removes the file only of a socket that it bound itself.
      if (isUnix && this.#inherited.has(key) && !isShared) removeFile(key.slice('unix:'.length));
    }
  }

  /** Whether an older binary had some of them before. */
  get isInherited(): boolean {
    return this.#inherited.size > 0;
  }

  /** The sockets that are there. */
  get keys(): readonly string[] {
    return [...this.#bound.keys()];
  }
}
