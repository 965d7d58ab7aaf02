// `geo`: a variable whose value depends on the client's address (or another one). Mirrors ngx_http_geo_module; the
// binary files that nginx makes of large bases are not read, as they only make it start faster.
import { isIPv4 } from 'node:net';
import { errorAt } from '../config/error.ts';
import type { Directive } from '../config/parser.ts';
import { action, type Cf, defineModule, HTTP } from '../config/rows.ts';
import type { VariableRef } from '../config/variables.ts';
import type { Exchange } from '../http/exchange.ts';
import { forwardedAddress } from '../http/forwarded.ts';
import { addressBytes, type Cidr, mappedIPv4, parseCidr } from '../listen/cidr.ts';
import { PrefixTable, RangeTable } from './geo-table.ts';

export const geoModule = defineModule('geo', {
  main: { geo: action(HTTP, '1-2', '[$address] $variable { ... }', openGeo, { isBlock: true }) },
});

/** What nginx looks up where there is no address: 255.255.255.255. */
const NO_ADDRESS = Uint8Array.of(255, 255, 255, 255);

class GeoMap {
  readonly #source: VariableRef | undefined;
  readonly #proxies: Cidr[] = [];
  #isRecursive = false;
  #ranges: RangeTable | undefined;
  #v4 = new PrefixTable();
  #v6 = new PrefixTable();
  #default = '';
  #hasEntries = false;
  readonly #warn: (message: string, entry: Directive) => void;

  constructor(source: VariableRef | undefined, warn: (message: string, entry: Directive) => void) {
    this.#source = source;
    this.#warn = warn;
  }

  evaluate(r: Exchange): string {
    const bytes = this.#address(r);
    const v4 = bytes.length === 4 ? bytes : mappedIPv4(bytes);
    if (this.#ranges) return this.#ranges.find(toNumber(v4 ?? NO_ADDRESS)) ?? this.#default;
    return (v4 ? this.#v4.find(v4) : this.#v6.find(bytes)) ?? this.#default;
  }

  #address(r: Exchange): Uint8Array {
    const given = this.#source ? this.#source.get(r) : r.client.remoteAddress;
    let bytes = given === undefined ? undefined : addressBytes(given);
    if (this.#source && !bytes) return NO_ADDRESS;
    if (this.#proxies.length) {
      const { lower, values } = r.headers;
      const lines = values.filter((_, i) => lower[i] === 'x-forwarded-for');
      const proxies = { networks: this.#proxies, hasUnix: false };
      const found = lines.length ? forwardedAddress(given!, lines, proxies, this.#isRecursive) : undefined;
      if (found) bytes = addressBytes(found.address);
    }
    return bytes ?? NO_ADDRESS;
  }

  /** Takes one line of the block. */
  add(entry: Directive): void {
    if (entry.fault) throw entry.fault;
    const { name, args } = entry;
    if (args.length === 0 && name === 'ranges') {
      if (this.#hasEntries) {
        throw errorAt(entry, 'the "ranges" directive must be the first directive inside "geo" block');
      }
      this.#ranges = new RangeTable();
      return;
    }
    if (args.length === 0 && name === 'proxy_recursive') {
      this.#isRecursive = true;
      return;
    }
    if (args.length !== 1) throw errorAt(entry, 'invalid number of the geo parameters');
    if (name === 'proxy') {
      this.#proxies.push(this.#network(entry, args[0]!));
      return;
    }
    if (this.#ranges) this.#addRange(entry, this.#ranges);
    else this.#addNetwork(entry);
  }

  #addRange(entry: Directive, ranges: RangeTable): void {
    const { name } = entry;
    const value = entry.args[0]!;
    if (name === 'default') {
      this.#default = value;
      return;
    }
    const net = name === 'delete' ? value : name;
    const [first, last] = net.split('-');
    if (!isIPv4(first!) || !isIPv4(last ?? '')) throw errorAt(entry, `invalid range "${net}"`);
    const start = toNumber(addressBytes(first!)!);
    const end = toNumber(addressBytes(last!)!);
    if (start > end) throw errorAt(entry, `invalid range "${net}"`);
    if (name === 'delete') {
      if (!ranges.remove(start, end)) this.#warn(`no address range "${net}" to delete`, entry);
      return;
    }
    const { old, overlap } = ranges.add(start, end, value);
    if (overlap) throw errorAt(entry, `range "${net}" overlaps "${toText(overlap[0])}-${toText(overlap[1])}"`);
    if (old !== undefined) {
      this.#warn(`duplicate range "${net}", value: "${value}", old value: "${old}"`, entry);
    }
  }

  #addNetwork(entry: Directive): void {
    this.#hasEntries = true;
    const { name } = entry;
    const value = entry.args[0]!;
    if (name === 'default') {
      this.#default = value;
      return;
    }
    if (name === 'delete') {
      const cidr = this.#network(entry, value);
      if (!this.#tableOf(cidr).remove(cidr)) this.#warn(`no network "${value}" to delete`, entry);
      return;
    }
    const cidr = this.#network(entry, name);
    const old = this.#tableOf(cidr).add(cidr, value);
    if (old !== undefined) {
      this.#warn(`duplicate network "${name}", value: "${value}", old value: "${old}"`, entry);
    }
  }

  #tableOf(cidr: Cidr): PrefixTable {
    return cidr.bytes.length === 4 ? this.#v4 : this.#v6;
  }

  #network(entry: Directive, text: string): Cidr {
    const cidr = parseCidr(text);
    if (!cidr) throw errorAt(entry, `invalid network "${text}"`);
    if (cidr.hasLowBits) this.#warn(`low address bits of ${text} are meaningless`, entry);
    return cidr;
  }
}

function toNumber(bytes: Uint8Array): number {
  return ((bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!) >>> 0;
}

function toText(address: number): string {
  return [address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255].join('.');
}

function openGeo(cf: Cf): void {
  const { args, compiler, directive } = cf;
  for (const arg of args) if (!arg.startsWith('$')) cf.fail(`invalid variable name "${arg}"`);
  const source = args.length === 2 ? compiler.variables.named(args[0]!.slice(1)) : undefined;
  const geo = new GeoMap(source, (message, entry) => compiler.warn(message, entry));
  compiler.variables.define(args.at(-1)!.slice(1), { get: (r) => geo.evaluate(r), isCached: true }, directive);
  for (const entry of directive.block!) geo.add(entry);
}
