/**
 * Lists of addresses and networks that are trusted, as `forwarded_allow_ips` and `--forwarded-allow-ips` give them. `*` trusts any
 * address; a peer on a unix socket has none, and callers decide about it.
 */
import { BlockList, isIP } from 'node:net';

/** A compiled list; `has` answers for one address, in any spelling of it. */
export class AllowList {
  readonly trustsAll: boolean;
  readonly #literals = new Set<string>();
  readonly #networks = new BlockList();

  /** Throws Error in Python's words for an address that is none, unless `literals` says that such entries are names. */
  constructor(entries: readonly string[], literals: 'refuse' | 'keep' = 'refuse') {
    this.trustsAll = entries.includes('*');
    for (const entry of entries) {
      if (entry === '*') continue;
      const [address = '', bits] = entry.split('/');
      const version = isIP(address);
      if (version === 0) {
        if (literals === 'refuse') {
          throw new Error(`'${entry}' does not appear to be an IPv4 or IPv6 network`);
        }
        this.#literals.add(entry);
        continue;
      }
      const family = version === 4 ? 'ipv4' : 'ipv6';
      if (bits === undefined) this.#networks.addAddress(address, family);
      else this.#networks.addSubnet(address, Number(bits), family);
    }
  }

  has(address: string | null): boolean {
    if (this.trustsAll) return true;
    if (!address) return false;
    const version = isIP(address);
    if (version === 0) return this.#literals.has(address);
    return this.#networks.check(address, version === 4 ? 'ipv4' : 'ipv6');
  }
}
