// The tables behind `geo`: networks by longest prefix, or ranges of IPv4 addresses.
import type { Cidr } from '../listen/cidr.ts';

/** Networks of one address family; the longest that holds an address wins. */
export class PrefixTable {
  /** Values by network, by prefix length. */
  #byBits = new Map<number, Map<string, string>>();
  #lengths: number[] = [];

  /** Adds a network; returns the value it had before. */
  add(cidr: Cidr, value: string): string | undefined {
    let values = this.#byBits.get(cidr.bits);
    if (!values) {
      values = new Map();
      this.#byBits.set(cidr.bits, values);
      this.#lengths = [...this.#byBits.keys()].sort((a, b) => b - a);
    }
    const key = keyOf(cidr.bytes, cidr.bits);
    const old = values.get(key);
    values.set(key, value);
    return old;
  }

  remove(cidr: Cidr): boolean {
    return this.#byBits.get(cidr.bits)?.delete(keyOf(cidr.bytes, cidr.bits)) ?? false;
  }

  find(address: Uint8Array): string | undefined {
    for (const bits of this.#lengths) {
      const value = this.#byBits.get(bits)!.get(keyOf(address, bits));
      if (value !== undefined) return value;
    }
    return undefined;
  }
}

function keyOf(bytes: Uint8Array, bits: number): string {
  const whole = bits >> 3;
  const rest = bits & 7;
  let key = String.fromCharCode(...bytes.subarray(0, whole));
  if (rest) key += String.fromCharCode(bytes[whole]! & (0xff << (8 - rest)) & 0xff);
  return key;
}

interface Range {
  start: number;
  end: number;
  value: string;
}

/** Ranges of IPv4 addresses, without overlaps, in order. A range inside another one takes its place there. */
export class RangeTable {
  #ranges: Range[] = [];

  /** Adds a range; returns the value of the same range before, or the range that it overlaps in part. */
  add(start: number, end: number, value: string): { old?: string; overlap?: readonly [number, number] } {
    const at = this.#firstFrom(start);
    const range = this.#ranges[at];
    if (!range || range.start > end) {
      this.#ranges.splice(at, 0, { start, end, value });
      return {};
    }
    if (range.start === start && range.end === end) {
      const old = range.value;
      range.value = value;
      return { old };
    }
    if (start < range.start || end > range.end) return { overlap: [range.start, range.end] };
    const parts: Range[] = [];
    if (range.start < start) parts.push({ start: range.start, end: start - 1, value: range.value });
    parts.push({ start, end, value });
    if (end < range.end) parts.push({ start: end + 1, end: range.end, value: range.value });
    this.#ranges.splice(at, 1, ...parts);
    return {};
  }

  remove(start: number, end: number): boolean {
    const at = this.#firstFrom(start);
    const range = this.#ranges[at];
    if (range?.start !== start || range.end !== end) return false;
    this.#ranges.splice(at, 1);
    return true;
  }

  find(address: number): string | undefined {
    const range = this.#ranges[this.#firstFrom(address)];
    return range && range.start <= address ? range.value : undefined;
  }

  /** Index of the first range that ends at `address` or behind it. */
  #firstFrom(address: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#ranges[middle]!.end < address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
