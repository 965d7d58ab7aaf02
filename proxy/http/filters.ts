// THE ORDER of output filters. A header filter looks at the response head before it is sent, may change it, may open a
// body filter, and may replace the whole response. Mirrors the order of nginx's filter modules, from the handler
// towards the client. What is asked of each request comes first; behind the place where subrequests join in
// (subrequest.ts), what is done to the main request's whole output.
import { additionFilter } from '../modules/addition.ts';
import { charsetFilter } from '../modules/charset.ts';
import { gunzipFilter } from '../modules/gunzip.ts';
import { gzipFilter } from '../modules/gzip.ts';
import { headersFilter } from '../modules/headers.ts';
import { notModifiedFilter } from '../modules/not-modified.ts';
import { rangeFilter } from '../modules/range.ts';
import { sliceFilter } from '../modules/slice.ts';
import { ssiFilter } from '../modules/ssi.ts';
import { subFilter } from '../modules/sub.ts';
import type { Exchange } from './exchange.ts';
import { paceFilter } from './pace.ts';

/** A step that body bytes go through. `write` and `end` may be answered later; `next` is set when the chain is built. */
export interface BodyFilter {
  next: BodyFilter;
  write(chunk: Buffer): void;
  end(): void;
  flush?(): void;
}

/** Adds a body filter: later ones are nearer to the client, but for one that must see the body as it was made. */
export type OpenFilter = (filter: BodyFilter, place?: 'first') => void;

/** `replaced`: the filter answered with something else. */
export type HeaderFilter = (r: Exchange, open: OpenFilter) => 'replaced' | undefined;

/** Filters of each request, and of each subrequest. */
export const REQUEST_FILTERS: readonly HeaderFilter[] = [
  sliceFilter,
  notModifiedFilter,
  headersFilter,
  gunzipFilter,
  additionFilter,
  subFilter,
  charsetFilter,
  ssiFilter,
];

/** Filters of the main request's output, its subrequests' included. The range filter's body part stands first of all. */
export const OUTPUT_FILTERS: readonly HeaderFilter[] = [gzipFilter, rangeFilter, paceFilter];

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

  flush(): void {
    this.#r.downstream.flush();
  }
}

const NONE: BodyFilter[] = [];
/** The chain under construction: header filters run to their end before another chain is begun, except in `replaced`. */
let opened = NONE;

function open(filter: BodyFilter, place?: 'first'): void {
  if (opened === NONE) opened = [];
  if (place === 'first') opened.unshift(filter);
  else opened.push(filter);
}

/** Runs the header filters; returns the head of the body filter chain, undefined when no filter wants the body, or
 *  false when a filter answered otherwise. */
export function openFilters(r: Exchange): BodyFilter | undefined | false {
  opened = NONE;
  for (const filter of REQUEST_FILTERS) {
    if (filter(r, open) === 'replaced') return false;
  }
  if (r.order) open(r.order);
  if (!r.parent) {
    for (const filter of OUTPUT_FILTERS) {
      if (filter(r, open) === 'replaced') return false;
    }
  }
  const chain = opened;
  if (chain === NONE) return undefined;
  const last = r.parent ? chain.length - 1 : chain.length;
  for (let i = 0; i < last; i++) chain[i]!.next = chain[i + 1] ?? new Last(r);
  opened = NONE;
  return chain[0];
}
