// The hashes that choose a server by a key: CRC-32 as Cache::Memcached uses it (`hash`), the consistent ring of
// Cache::Memcached::Fast (`hash … consistent`), and nginx's own for client addresses (`ip_hash`). Compatible with
// nginx's, so that a cache behind a real nginx and one behind this proxy are asked for the same keys.
import { crc32 } from 'node:zlib';
import type { Peer } from './peer.ts';

/** CRC-32 of a byte string, going on from `seed`. */
export function crc32Of(bytes: string | Buffer, seed = 0): number {
  return crc32(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, seed);
}

export interface ChashPoint {
  readonly hash: number;
  readonly server: string;
}

const POINTS_PER_WEIGHT = 160;

/** The ring of consistent hashing: 160 points for each unit of weight, sorted, without equal ones. */
export function chashRing(peers: readonly Peer[]): ChashPoint[] {
  const points: ChashPoint[] = [];
  const previous = Buffer.alloc(4);
  for (const peer of peers) {
    const base = crc32Of(serverKey(peer.server));
    previous.fill(0);
    for (let i = 0; i < peer.weight * POINTS_PER_WEIGHT; i++) {
      const hash = crc32Of(previous, base);
      points.push({ hash, server: peer.server });
      previous.writeUInt32LE(hash);
    }
  }
  points.sort((a, b) => a.hash - b.hash);
  return points.filter((point, i) => i === 0 || point.hash !== points[i - 1]!.hash);
}

/** `HOST \0 PORT`, the name that a server's points are made of. */
function serverKey(server: string): string {
  if (server.toLowerCase().startsWith('unix:')) return `${server.slice(5)}\0`;
  const port = /:(\d*)$/.exec(server);
  return port ? `${server.slice(0, port.index)}\0${port[1]}` : `${server}\0`;
}

/** Index of the first point at or behind `hash`; may be the ring's length, then the first point is meant. */
export function findChashPoint(ring: readonly ChashPoint[], hash: number): number {
  let low = 0;
  let high = ring.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ring[middle]!.hash < hash) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The bytes of a client's address that ip_hash looks at: three of IPv4, all of IPv6, zeros for a unix socket. */
export function ipHashBytes(address: string): readonly number[] {
  if (address.includes(':') && !address.startsWith('unix:')) return ipv6Bytes(address);
  const parts = address.split('.');
  return parts.length === 4 ? parts.slice(0, 3).map(Number) : [0, 0, 0];
}

function ipv6Bytes(address: string): number[] {
  const plain = address.replace(/%.*$/, '');
  const mapped = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(plain);
  const text = mapped
    ? `${mapped[1]}${((Number(mapped[2]) << 8) | Number(mapped[3])).toString(16)}:${((Number(mapped[4]) << 8) | Number(mapped[5])).toString(16)}`
    : plain;
  const [head, tail] = text.split('::') as [string, string | undefined];
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = tail === undefined ? left : [...left, ...Array(8 - left.length - right.length).fill('0'), ...right];
  return groups.flatMap((g) => {
    const value = Number.parseInt(g as string, 16);
    return [value >> 8, value & 255];
  });
}

/** One round of ip_hash's hash over `bytes`. */
export function ipHashRound(hash: number, bytes: readonly number[]): number {
  let h = hash;
  for (const byte of bytes) h = (h * 113 + byte) % 6271;
  return h;
}
