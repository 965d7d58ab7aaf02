// One server address of an upstream and what is known of its health. Weights, failures and connection counts are those
// of nginx's ngx_http_upstream_rr_peer_t; times are in whole seconds, because fail_timeout counts in them.

import type { X509Certificate } from 'node:crypto';

/** Where a peer listens. */
export interface PeerAddress {
  readonly family: 4 | 6 | 'unix';
  /** IP address or socket path. */
  readonly host: string;
  readonly port: number;
}

/** How logs and `$upstream_addr` write an address. */
export function addressText(address: PeerAddress): string {
  if (address.family === 'unix') return `unix:${address.host}`;
  return address.family === 6 ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** Parameters of a `server` line. */
export interface ServerParameters {
  readonly weight: number;
  readonly maxConns: number;
  readonly maxFails: number;
  readonly failTimeoutS: number;
  readonly isBackup: boolean;
  readonly isDown: boolean;
}

export const DEFAULT_PARAMETERS: ServerParameters = {
  weight: 1,
  maxConns: 0,
  maxFails: 1,
  failTimeoutS: 10,
  isBackup: false,
  isDown: false,
};

export class Peer {
  /** `127.0.0.1:8080`, `unix:/path`; also the key of its idle connections. */
  readonly name: string;
  /** The server as the configuration writes it; what consistent hashing hashes. */
  readonly server: string;
  readonly address: PeerAddress;
  readonly weight: number;
  readonly maxConns: number;
  readonly maxFails: number;
  readonly failTimeoutS: number;
  readonly isDown: boolean;
  effectiveWeight: number;
  currentWeight = 0;
  /** Requests at work on it, and how many of them are this worker's. */
  conns = 0;
  ownConns = 0;
  fails = 0;
  accessedS = 0;
  checkedS = 0;
  /** TLS session of the last connection, to be resumed by the next. */
  tlsSession: Buffer | undefined;
  /** The certificate that the session began with. */
  tlsCertificate: X509Certificate | undefined;

  constructor(address: PeerAddress, server: string, parameters: ServerParameters) {
    this.name = addressText(address);
    this.server = server;
    this.address = address;
    this.weight = parameters.weight;
    this.maxConns = parameters.maxConns;
    this.maxFails = parameters.maxFails;
    this.failTimeoutS = parameters.failTimeoutS;
    this.isDown = parameters.isDown;
    this.effectiveWeight = this.weight;
  }

  /** Whether a request may be sent to it now (ngx_http_upstream_get_peer's tests). */
  isUsable(nowS: number): boolean {
    if (this.isDown) return false;
    if (this.maxFails > 0 && this.fails >= this.maxFails && nowS - this.checkedS <= this.failTimeoutS) return false;
    return this.maxConns === 0 || this.conns < this.maxConns;
  }

  /** Marks it as chosen: after fail_timeout this request is the one that finds out whether it lives again. */
  take(nowS: number): void {
    this.join();
    if (nowS - this.checkedS > this.failTimeoutS) this.checkedS = nowS;
  }

  /** One more request is at work on it. */
  join(): void {
    this.conns++;
    this.ownConns++;
  }

  /** One less. */
  quit(): void {
    this.conns--;
    this.ownConns--;
  }
}

/** The peers that are chosen from together: the servers of an upstream, or its backup servers. */
export class PeerGroup {
  readonly peers: readonly Peer[];
  readonly totalWeight: number;
  /** How many tries a request has here: one for each server that is not down. */
  readonly tries: number;
  /** One server and no backup: it is never taken out of service. */
  readonly isSingle: boolean;

  constructor(peers: readonly Peer[], hasBackup: boolean) {
    this.peers = peers;
    this.isSingle = peers.length === 1 && !hasBackup;
    this.totalWeight = peers.reduce((sum, p) => sum + p.weight, 0);
    this.tries = peers.reduce((sum, p) => sum + (p.isDown ? 0 : 1), 0);
  }
}
