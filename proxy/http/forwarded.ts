// The client's address as proxies report it, believed only as far as they are trusted: for realip and geo. Mirrors
// ngx_http_get_forwarded_addr.
import { SocketAddress } from 'node:net';
import { addressBytes, type Cidr, isIn, mappedIPv4 } from '../listen/cidr.ts';

/** Networks whose word is taken; `unix` stands for clients on unix sockets. */
export interface TrustedProxies {
  readonly networks: readonly Cidr[];
  readonly hasUnix: boolean;
}

/** An address as text, and its port (0: not known). */
export interface ForwardedAddress {
  readonly address: string;
  readonly port: number;
}

/** Whether the address (`unix:` for a unix socket) is a trusted proxy's. */
export function isTrusted(proxies: TrustedProxies, address: string): boolean {
  let bytes = addressBytes(address);
  if (!bytes) return proxies.hasUnix;
  bytes = mappedIPv4(bytes) ?? bytes;
  for (const cidr of proxies.networks) if (isIn(cidr, bytes)) return true;
  return false;
}

/** Reads `address`, `address:port` or `[address]:port`; addresses come out in their usual spelling. */
export function parseForwarded(text: string): ForwardedAddress | undefined {
  const plain = normalized(text);
  if (plain !== undefined) return { address: plain, port: 0 };
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(text);
  if (!match) return undefined;
  const port = Number(match[3]);
  const address = normalized(match[1] ?? match[2]!);
  return address === undefined || port < 1 || port > 65535 ? undefined : { address, port };
}

function normalized(text: string): string | undefined {
  const bytes = addressBytes(text);
  if (!bytes) return undefined;
  if (bytes.length === 4) return bytes.join('.');
  return new SocketAddress({ address: text, family: 'ipv6' }).address;
}

/**
 * Follows the reported addresses, the nearest proxy's first, from `from` on. `values` are the header's lines. Returns
 * undefined where nothing could be believed.
 */
export function forwardedAddress(
  from: string,
  values: readonly string[],
  proxies: TrustedProxies,
  isRecursive: boolean,
): ForwardedAddress | undefined {
  let found: ForwardedAddress | undefined;
  for (let i = values.length - 1; i >= 0; i--) {
    const line = values[i]!;
    let end = line.length;
    let start: number;
    do {
      if (!isTrusted(proxies, found?.address ?? from)) return found;
      while (end > 1 && isSeparator(line, end - 1)) end--;
      start = end - 1;
      while (start > 0 && !isSeparator(line, start)) start--;
      if (start > 0) start++;
      const next = parseForwarded(line.slice(Math.max(0, start), end));
      if (!next) return found;
      found = next;
      end = start - 1;
    } while (isRecursive && start > 0);
    if (!isRecursive) break;
  }
  return found;
}

function isSeparator(text: string, at: number): boolean {
  const c = text.charCodeAt(at);
  return c === 32 || c === 44;
}
