// Idle connections to the servers of one upstream (`keepalive N`): the one that was given back last is taken first, and
// when there is no room the one that waited longest is closed. Mirrors ngx_http_upstream_keepalive_module.
import { turnMs } from '../clock.ts';
import { shutdown } from '../http/open-connections.ts';
import type { UpstreamConnection } from './connection.ts';

export interface KeepaliveSettings {
  /** Idle connections kept, for all servers together. */
  max: number;
  /** Requests after which a connection is closed. */
  requests: number;
  /** Age after which a connection is closed. */
  timeMs: number;
  /** How long one may be idle. */
  timeoutMs: number;
}

export class KeepalivePool {
  readonly settings: KeepaliveSettings;
  /** The last one is the most recently used. */
  #idle: UpstreamConnection[] = [];

  constructor(settings: KeepaliveSettings) {
    this.settings = settings;
  }

  get size(): number {
    return this.#idle.length;
  }

  /** Takes an idle connection to `peerName` out of the pool. */
  take(peerName: string): UpstreamConnection | undefined {
    const idle = this.#idle;
    for (let i = idle.length - 1; i >= 0; i--) {
      const connection = idle[i]!;
      if (connection.peerName !== peerName) continue;
      if (i === idle.length - 1) idle.pop();
      else idle.splice(i, 1);
      return connection;
    }
    return undefined;
  }

  /** Whether a connection that has served its request may be kept. */
  accepts(connection: UpstreamConnection): boolean {
    if (shutdown.isExiting) return false;
    const { requests, timeMs } = this.settings;
    return connection.requests < requests && turnMs() - connection.startMs <= timeMs;
  }

  /** Keeps a connection; the least recently used one makes room. */
  put(connection: UpstreamConnection): void {
    if (this.#idle.length >= this.settings.max) this.#idle.shift()!.destroy();
    this.#idle.push(connection);
    connection.rest(this, this.settings.timeoutMs);
  }

  /** Forgets a connection that its server closed, or that was idle for too long. */
  remove(connection: UpstreamConnection): void {
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }
}
