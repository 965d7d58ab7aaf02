// `split_clients`: a variable whose value depends on a hash of a string, in given shares. Mirrors
// ngx_http_split_clients_module; the hash is MurmurHash2, so that the same client gets the same share as under nginx.
import { errorAt } from '../config/error.ts';
import { action, type Cf, defineModule, HTTP } from '../config/rows.ts';
import { parseFixed } from '../config/values.ts';

export const splitClientsModule = defineModule('split-clients', {
  main: { split_clients: action(HTTP, '2', 'string $variable { ... }', openSplitClients, { isBlock: true }) },
});

/** MurmurHash2 (32 bits, seed 0) of a byte string. */
export function murmurHash2(text: string): number {
  const M = 0x5bd1e995;
  let left = text.length;
  let h = left;
  let i = 0;
  const byte = (at: number): number => text.charCodeAt(at) & 0xff;
  while (left >= 4) {
    let k = byte(i) | (byte(i + 1) << 8) | (byte(i + 2) << 16) | (byte(i + 3) << 24);
    k = Math.imul(k, M);
    k ^= k >>> 24;
    k = Math.imul(k, M);
    h = Math.imul(h, M) ^ k;
    i += 4;
    left -= 4;
  }
  if (left >= 3) h ^= byte(i + 2) << 16;
  if (left >= 2) h ^= byte(i + 1) << 8;
  if (left >= 1) h = Math.imul(h ^ byte(i), M);
  h ^= h >>> 13;
  h = Math.imul(h, M);
  h ^= h >>> 15;
  return h >>> 0;
}

interface Share {
  /** The hash is below this; Infinity for `*`. */
  readonly below: number;
  readonly value: string;
}

function openSplitClients(cf: Cf): void {
  const { args, compiler, directive } = cf;
  const source = cf.template(args[0]!);
  const name = args[1]!;
  if (!name.startsWith('$')) cf.fail(`invalid variable name "${name}"`);
  const shares: Share[] = [];
  let sum = 0;
  let last = 0;
  for (const entry of directive.block!) {
    if (entry.fault) throw entry.fault;
    const value = entry.args[0] ?? '';
    if (entry.name === '*') {
      sum = 10_000;
      shares.push({ below: Number.POSITIVE_INFINITY, value });
      continue;
    }
    const percent = entry.name.endsWith('%') ? parseFixed(entry.name.slice(0, -1), 2) : undefined;
    if (!percent) throw errorAt(entry, `invalid percent value "${entry.name}"`);
    sum += percent;
    last = (last + Math.floor((percent * 0xffffffff) / 10_000)) >>> 0;
    shares.push({ below: last, value });
    if (sum > 10_000) cf.fail('percent total is greater than 100%');
  }
  const get = (r: Parameters<typeof source.evaluate>[0]): string => {
    const hash = murmurHash2(source.evaluate(r));
    return shares.find((share) => hash < share.below)?.value ?? '';
  };
  compiler.variables.define(name.slice(1), { get, isCached: true }, directive);
}
