// A group of servers that requests are passed to: an `upstream` block, or the implicit one of a proxy_pass that names
// its server. It knows its servers, makes peers of their addresses, and says by which method one is chosen
// (balance.ts). Mirrors ngx_http_upstream_srv_conf_t and the init functions of the balancing modules.
import type { Template } from '../config/template.ts';
import { type ChashPoint, chashRing } from './hash.ts';
import { Peer, type PeerAddress, PeerGroup, type ServerParameters } from './peer.ts';
import { KeepalivePool, type KeepaliveSettings } from './pool.ts';
import type { NameRefresher } from './refresher.ts';
import { SharedPeers } from './shared-peers.ts';

export type BalanceMethod = 'round_robin' | 'least_conn' | 'ip_hash' | 'hash' | 'consistent_hash' | 'random';

/** An address of a server; what an SRV record says of it goes before the `server` line. */
export interface ServerAddress extends PeerAddress {
  readonly server?: string;
  readonly weight?: number;
  readonly isBackup?: boolean;
}

/** One `server` line. `addresses` is filled in when its name was looked up. */
export interface UpstreamServer {
  readonly text: string;
  readonly parameters: ServerParameters;
  addresses: readonly ServerAddress[];
}

const NO_PEERS = new PeerGroup([], false);

export class Upstream {
  /** As the configuration spells it; `$proxy_host` and the log show it. */
  readonly name: string;
  readonly file: string;
  readonly line: number;
  /** Made by an `upstream` block, not by a proxy_pass. */
  isBlock: boolean;
  /** Port of an implicit upstream, 0 when none was given. */
  port: number;
  hasPort: boolean;
  servers: UpstreamServer[] = [];
  method: BalanceMethod = 'round_robin';
  /** What `hash` hashes. */
  hashKey: Template | undefined;
  /** `random two`: of two random servers the one with fewer connections. */
  isRandomOfTwo = false;
  hasMethod = false;
  zone: string | undefined;
  keepalive: KeepaliveSettings | undefined;
  /** Idle connections; undefined without `keepalive`. */
  pool: KeepalivePool | undefined;
  main: PeerGroup = NO_PEERS;
  backup: PeerGroup | undefined;
  ring: readonly ChashPoint[] = [];
  /** What the peers share with other workers, once these serve. */
  shared: SharedPeers | undefined;
  #isShared = false;
  /** Looks up the names of servers marked `resolve` while the worker runs. */
  refresher: NameRefresher | undefined;

  constructor(name: string, place: { file: string; line: number }, isBlock: boolean, port: number, hasPort: boolean) {
    this.name = name;
    this.file = place.file;
    this.line = place.line;
    this.isBlock = isBlock;
    this.port = port;
    this.hasPort = hasPort;
  }

  /** Tries that a new request has. */
  get tries(): number {
    return this.main.tries + (this.backup ? this.backup.tries : 0);
  }

  /** Makes peers of the servers' addresses; peers whose address stays keep their state. */
  build(): void {
    const known = new Map<string, Peer>();
    for (const peer of this.main.peers) known.set(`${peer.server} ${peer.name}`, peer);
    for (const peer of this.backup?.peers ?? []) known.set(`${peer.server} ${peer.name}`, peer);
    const main: Peer[] = [];
    const backup: Peer[] = [];
    for (const server of this.servers) {
      for (const address of server.addresses) {
        const { weight = server.parameters.weight, isBackup = server.parameters.isBackup } = address;
        const fresh = new Peer(address, address.server ?? server.text, { ...server.parameters, weight });
        const key = `${fresh.server} ${fresh.name}`;
        const before = known.get(key);
        // Of two servers with one address each has a state of its own.
        known.delete(key);
        (isBackup ? backup : main).push(before?.weight === weight ? before : fresh);
      }
    }
    this.main = new PeerGroup(main, backup.length > 0);
    this.backup = backup.length > 0 ? new PeerGroup(backup, false) : undefined;
    if (this.method === 'consistent_hash') this.ring = chashRing(this.main.peers);
    if (this.keepalive && !this.pool) this.pool = new KeepalivePool(this.keepalive);
    if (this.#isShared) this.share();
  }

  /** The process serves: from now on the state of the peers is that of all workers, where there is a `zone`. */
  share(): void {
    this.#isShared = true;
    const before = this.shared;
    this.shared = SharedPeers.of(this);
    before?.leave();
  }
}
