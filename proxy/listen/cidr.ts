// Networks in CIDR notation: parsing, and whether an address lies in one. Shared by access, geo, realip and the like.
// Mirrors ngx_ptocidr and ngx_cidr_match.
import { isIPv4, isIPv6 } from 'node:net';

/** Addresses that were asked for lately: a connection's is asked for with every request. */
const recent = new Map<string, Uint8Array | undefined>();

/** The 4 or 16 bytes of an address, not to be changed; undefined when it is none. */
export function addressBytes(text: string): Uint8Array | undefined {
  let bytes = recent.get(text);
  if (bytes === undefined && !recent.has(text)) {
    bytes = parseAddressBytes(text);
    if (recent.size >= 512) recent.clear();
    recent.set(text, bytes);
  }
  return bytes;
}

function parseAddressBytes(text: string): Uint8Array | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split('.'), Number);
  if (!isIPv6(text) || text.includes('%')) return undefined;
  let source = text;
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  if (dotted) {
    const [a, b, c, d] = dotted.slice(2).map(Number) as [number, number, number, number];
    source = `${dotted[1]}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const [head, tail] = source.split('::') as [string, string | undefined];
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = [
    ...front,
    ...Array<string>(tail === undefined ? 0 : 8 - front.length - back.length).fill('0'),
    ...back,
  ];
  const bytes = new Uint8Array(16);
  groups.forEach((group, i) => {
    const value = Number.parseInt(group, 16);
    bytes[i * 2] = value >> 8;
    bytes[i * 2 + 1] = value & 0xff;
  });
  return bytes;
}

/** The IPv4 address inside an IPv4-mapped IPv6 one (`::ffff:1.2.3.4`). */
export function mappedIPv4(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length !== 16 || bytes[10] !== 0xff || bytes[11] !== 0xff) return undefined;
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return undefined;
  return bytes.subarray(12);
}

/** A network of IPv4 or IPv6 addresses. */
export interface Cidr {
  readonly bytes: Uint8Array;
  readonly bits: number;
  /** Whether the address as written had bits beyond the mask (nginx warns). */
  readonly hasLowBits: boolean;
}

/** Reads `10.0.0.0/8`, `::1`, …; undefined when malformed. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  const bytes = parseAddressBytes(slash < 0 ? text : text.slice(0, slash));
  if (!bytes) return undefined;
  const width = bytes.length * 8;
  let bits = width;
  if (slash >= 0) {
    const mask = text.slice(slash + 1);
    if (!/^\d+$/.test(mask) || Number(mask) > width) return undefined;
    bits = Number(mask);
  }
  let hasLowBits = false;
  for (let i = 0; i < bytes.length; i++) {
    const kept = Math.min(8, Math.max(0, bits - i * 8));
    const masked = bytes[i]! & (0xff << (8 - kept)) & 0xff;
    if (masked !== bytes[i]) hasLowBits = true;
    bytes[i] = masked;
  }
  return { bytes, bits, hasLowBits };
}

/** Whether `address` (of the same family) lies in the network. */
export function isIn(cidr: Cidr, address: Uint8Array): boolean {
  const { bytes, bits } = cidr;
  if (bytes.length !== address.length) return false;
  const whole = bits >> 3;
  for (let i = 0; i < whole; i++) if (bytes[i] !== address[i]) return false;
  const rest = bits & 7;
  return rest === 0 || ((bytes[whole]! ^ address[whole]!) & (0xff << (8 - rest)) & 0xff) === 0;
}
