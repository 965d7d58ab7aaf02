// Which server gets a request: one pick() for every method. A PeerChoice remembers, for one request, the servers tried
// so far and how many tries are left; release() gives a server back with the outcome. Rules, orders and arithmetic are
// those of ngx_http_upstream_round_robin.c and the modules of ip_hash, hash, least_conn and random.
import { turnMs } from '../clock.ts';
import type { Exchange } from '../http/exchange.ts';
import { crc32Of, findChashPoint, ipHashBytes, ipHashRound } from './hash.ts';
import type { Peer, PeerGroup } from './peer.ts';
import type { Upstream } from './upstream.ts';

/** After so many misses the hashing methods fall back to round robin. */
const MAX_PROBES = 20;

/** How a try went: `failed` counts against the server, `next` only moves on, `ok` clears its failures. */
export type Outcome = 'ok' | 'next' | 'failed';

export class PeerChoice {
  readonly upstream: Upstream;
  group: PeerGroup;
  current: Peer | undefined;
  triesLeft: number;
  #tried: Set<Peer> | undefined;
  #probes = 0;
  #hash = -1;
  #rehash = 0;
  #key: string | undefined;

  constructor(upstream: Upstream) {
    this.upstream = upstream;
    this.group = upstream.main;
    this.triesLeft = upstream.tries;
  }

  /** Chooses a server, or returns undefined when none is live. */
  pick(r: Exchange): Peer | undefined {
    const nowS = Math.floor(turnMs() / 1000);
    const { shared } = this.upstream;
    if (!shared) {
      this.current = this.#select(r, nowS);
      return this.current;
    }
    shared.take();
    try {
      this.current = this.#select(r, nowS);
    } finally {
      shared.give();
    }
    return this.current;
  }

  #select(r: Exchange, nowS: number): Peer | undefined {
    if (this.group.isSingle) return this.#roundRobin(nowS);
    switch (this.upstream.method) {
      case 'round_robin':
        return this.#roundRobin(nowS);
      case 'least_conn':
        return this.#leastConn(nowS);
      case 'ip_hash':
        return this.#ipHash(r, nowS);
      case 'hash':
        return this.#keyHash(r, nowS);
      case 'consistent_hash':
        return this.#consistentHash(r, nowS);
      case 'random':
        return this.upstream.isRandomOfTwo ? this.#randomOfTwo(nowS) : this.#random(nowS);
    }
  }

  #isTried(peer: Peer): boolean {
    return this.#tried?.has(peer) === true;
  }

  #take(peer: Peer, nowS: number): Peer {
    this.#tried ??= new Set();
    this.#tried.add(peer);
    peer.take(nowS);
    return peer;
  }

  #roundRobin(nowS: number): Peer | undefined {
    const { group } = this;
    let found: Peer | undefined;
    if (group.isSingle) {
      const peer = group.peers[0]!;
      if (!peer.isDown && (peer.maxConns === 0 || peer.conns < peer.maxConns)) {
        peer.join();
        return peer;
      }
    } else {
      const candidates = group.peers;
      let total = 0;
      for (let i = 0; i < candidates.length; i++) {
        const peer = candidates[i]!;
        if (this.#isTried(peer) || !peer.isUsable(nowS)) continue;
        total += weigh(peer);
        if (found === undefined || peer.currentWeight > found.currentWeight) found = peer;
      }
      if (found) {
        found.currentWeight -= total;
        return this.#take(found, nowS);
      }
    }
    return this.#useBackup(nowS);
  }

  /** Goes on among the backup servers, which are chosen from by the upstream's rules for groups: round robin. */
  #useBackup(nowS: number): Peer | undefined {
    const { backup } = this.upstream;
    if (!backup || this.group === backup) return undefined;
    const before = this.group;
    this.group = backup;
    this.#tried = undefined;
    const peer = this.upstream.method === 'least_conn' ? this.#leastConn(nowS) : this.#roundRobin(nowS);
    if (!peer) this.group = before;
    return peer;
  }

  #leastConn(nowS: number): Peer | undefined {
    const candidates = this.group.peers.filter((p) => !this.#isTried(p) && p.isUsable(nowS));
    let best = candidates[0];
    if (!best) return this.#useBackup(nowS);
    for (const peer of candidates) {
      if (peer.conns * best.weight < best.conns * peer.weight) best = peer;
    }
    const equals = candidates.filter((p) => p.conns * best!.weight === best!.conns * p.weight);
    if (equals.length > 1) {
      let total = 0;
      for (const peer of equals) {
        total += weigh(peer);
        if (peer.currentWeight > best.currentWeight) best = peer;
      }
      best.currentWeight -= total;
    }
    return this.#take(best, nowS);
  }

  /** The peer that a number up to the total weight falls on. */
  #byWeight(value: number): Peer {
    let left = value % this.group.totalWeight;
    for (const peer of this.group.peers) {
      if (left < peer.weight) return peer;
      left -= peer.weight;
    }
    return this.group.peers[0]!;
  }

  #ipHash(r: Exchange, nowS: number): Peer | undefined {
    if (this.#probes > MAX_PROBES || this.group.totalWeight === 0) return this.#roundRobin(nowS);
    const bytes = ipHashBytes(r.client.remoteAddress);
    let hash = this.#hash < 0 ? 89 : this.#hash;
    for (;;) {
      hash = ipHashRound(hash, bytes);
      const peer = this.#byWeight(hash);
      if (!this.#isTried(peer) && peer.isUsable(nowS)) {
        this.#hash = hash;
        return this.#take(peer, nowS);
      }
      if (++this.#probes > MAX_PROBES) return this.#roundRobin(nowS);
    }
  }

  #hashKey(r: Exchange): string {
    this.#key ??= this.upstream.hashKey!.evaluate(r);
    return this.#key;
  }

  #keyHash(r: Exchange, nowS: number): Peer | undefined {
    const key = this.#hashKey(r);
    if (this.#probes > MAX_PROBES || key === '' || this.group.totalWeight === 0) return this.#roundRobin(nowS);
    if (this.#hash < 0) this.#hash = 0;
    for (;;) {
      const crc = crc32Of(this.#rehash > 0 ? `${this.#rehash}${key}` : key);
      this.#hash = (this.#hash + ((crc >>> 16) & 0x7fff)) >>> 0;
      this.#rehash++;
      const peer = this.#byWeight(this.#hash);
      if (!this.#isTried(peer) && peer.isUsable(nowS)) return this.#take(peer, nowS);
      if (++this.#probes > MAX_PROBES) return this.#roundRobin(nowS);
    }
  }

  #consistentHash(r: Exchange, nowS: number): Peer | undefined {
    const key = this.#hashKey(r);
    const { ring } = this.upstream;
    if (this.#probes > MAX_PROBES || key === '' || ring.length === 0) return this.#roundRobin(nowS);
    if (this.#hash < 0) this.#hash = findChashPoint(ring, crc32Of(key));
    for (;;) {
      const { server } = ring[this.#hash % ring.length]!;
      let best: Peer | undefined;
      let total = 0;
      for (const peer of this.group.peers) {
        if (peer.server !== server || this.#isTried(peer) || !peer.isUsable(nowS)) continue;
        total += weigh(peer);
        if (best === undefined || peer.currentWeight > best.currentWeight) best = peer;
      }
      if (best) {
        best.currentWeight -= total;
        return this.#take(best, nowS);
      }
      this.#hash++;
      if (++this.#probes > MAX_PROBES) return this.#roundRobin(nowS);
    }
  }

  #random(nowS: number): Peer | undefined {
    if (this.group.totalWeight === 0) return this.#roundRobin(nowS);
    while (this.#probes <= MAX_PROBES) {
      const peer = this.#byWeight(Math.floor(Math.random() * this.group.totalWeight));
      if (!this.#isTried(peer) && peer.isUsable(nowS)) return this.#take(peer, nowS);
      this.#probes++;
    }
    return this.#roundRobin(nowS);
  }

  #randomOfTwo(nowS: number): Peer | undefined {
    if (this.group.totalWeight === 0) return this.#roundRobin(nowS);
    let first: Peer | undefined;
    while (this.#probes <= MAX_PROBES) {
      const peer = this.#byWeight(Math.floor(Math.random() * this.group.totalWeight));
      if (peer !== first && !this.#isTried(peer) && peer.isUsable(nowS)) {
        if (first) return this.#take(peer.conns * first.weight > first.conns * peer.weight ? first : peer, nowS);
        first = peer;
        continue;
      }
      this.#probes++;
    }
    return this.#roundRobin(nowS);
  }

  /** Gives the current server back. Returns true when this failure took it out of service. */
  release(outcome: Outcome): boolean {
    const peer = this.current;
    if (!peer) return false;
    this.current = undefined;
    const { shared } = this.upstream;
    if (!shared) return this.#release(peer, outcome);
    // Failures are everybody's business; that there were none leaves all as it was, but for the connection.
    if (this.group.isSingle || (outcome !== 'failed' && peer.fails === 0)) {
      const isDisabled = this.#release(peer, outcome);
      shared.storeConns();
      return isDisabled;
    }
    shared.take();
    try {
      return this.#release(peer, outcome);
    } finally {
      shared.give();
    }
  }

  #release(peer: Peer, outcome: Outcome): boolean {
    peer.quit();
    if (this.group.isSingle) {
      this.triesLeft = 0;
      return false;
    }
    let isDisabled = false;
    if (outcome === 'failed') {
      const nowS = Math.floor(turnMs() / 1000);
      peer.fails++;
      peer.accessedS = nowS;
      peer.checkedS = nowS;
      if (peer.maxFails > 0) {
        peer.effectiveWeight = Math.max(0, peer.effectiveWeight - Math.floor(peer.weight / peer.maxFails));
        isDisabled = peer.fails >= peer.maxFails;
      }
    } else if (peer.accessedS < peer.checkedS) peer.fails = 0;
    if (this.triesLeft > 0) this.triesLeft--;
    return isDisabled;
  }
}

/** One step of smooth weighted round robin for a candidate; returns the weight it adds. */
function weigh(peer: Peer): number {
  const weight = peer.effectiveWeight;
  peer.currentWeight += weight;
  if (peer.effectiveWeight < peer.weight) peer.effectiveWeight++;
  return weight;
}
