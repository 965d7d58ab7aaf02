// THE ORDER of output filters. A header filter looks at the response head before it is sent, may change it, may open a
// body filter, and may replace the whole response. Mirrors the order of nginx's filter modules, from the handler
// towards the client: not_modified, headers, gunzip, addition, sub, charset, ssi, gzip, range.
import { headersFilter } from '../modules/headers.ts';
import { notModifiedFilter } from '../modules/not-modified.ts';
import { rangeFilter } from '../modules/range.ts';
import type { Exchange } from './exchange.ts';

/** A step that body bytes go through. `write` and `end` may be answered later; `next` is set when the chain is built. */
export interface BodyFilter {
  next: BodyFilter;
  write(chunk: Buffer): void;
  end(): void;
  flush?(): void;
}

/** Adds a body filter: later ones are nearer to the client. `replaced`: the filter answered with something else. */
export type HeaderFilter = (r: Exchange, open: (filter: BodyFilter) => void) => 'replaced' | undefined;

export const HEADER_FILTERS: readonly HeaderFilter[] = [notModifiedFilter, headersFilter, rangeFilter];

class Last implements BodyFilter {
  declare next: BodyFilter;
  readonly #r: Exchange;

  constructor(r: Exchange) {
    this.#r = r;
  }

  write(chunk: Buffer): void {
    if (chunk.length) this.#r.downstream.write(chunk);
  }

  end(): void {
    this.#r.endOutput();
  }
}

/** Runs the header filters; returns the head of the body filter chain, undefined when no filter wants the body, or
 *  false when a filter answered otherwise. */
export function openFilters(r: Exchange): BodyFilter | undefined | false {
  let opened: BodyFilter[] | undefined;
  const open = (filter: BodyFilter): void => {
    opened ??= [];
    opened.push(filter);
  };
  for (const filter of HEADER_FILTERS) {
    if (filter(r, open) === 'replaced') return false;
  }
  if (!opened) return undefined;
  const chain = opened as BodyFilter[];
  for (let i = 0; i < chain.length; i++) chain[i]!.next = chain[i + 1] ?? new Last(r);
  return chain[0];
}
