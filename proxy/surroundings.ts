// What a configuration meets outside of itself, where that is to be something else than the world: the tests of a
// configuration (testing/) put fake upstreams there, `portico explain` nothing at all. Absent when the proxy serves.
import type { Directive } from './config/parser.ts';
import type { HostAddress } from './resolver-hosts.ts';
import type { Peer, PeerAddress } from './upstream/peer.ts';
import type { Upstream } from './upstream/upstream.ts';

export interface Surroundings {
  /** Changes the directives before they are compiled: paths of this machine, users, certificates that are not here. */
  adapt(directives: Directive[]): Directive[];
  /** Addresses of a host name, in place of the system's resolver and of DNS. */
  lookup(host: string): readonly HostAddress[];
  /** Where a connection to `peer` is made instead. */
  route(peer: Peer, upstream: Upstream, isTls: boolean): PeerAddress;
}
