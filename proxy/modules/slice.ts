// `slice`: fetches a response piece by piece, each with a request of its own for `$slice_range`, so that pieces can be
// cached. The first piece gives the head of the whole; the others are subrequests that go on where the request stands.
// The first of the header filters. Mirrors ngx_http_slice_filter_module.
import { defineModule, HSL, size } from '../config/rows.ts';
import type { Variable } from '../config/variables.ts';
import { ERROR } from '../http/codes.ts';
import type { Exchange } from '../http/exchange.ts';
import type { BodyFilter, OpenFilter } from '../http/filters.ts';
import { RangeCut } from '../http/range-cut.ts';
import { OutputOrder, startSubrequest } from '../http/subrequest.ts';

export const sliceModule = defineModule('slice', {
  location: {
    slice: size(HSL, '0'),
  },
});

/** The slices of one request; its subrequests share it. */
interface Slices {
  /** Where the slice begins that is asked for, then the one after it. */
  start: number;
  range: string;
  etag: string | undefined;
  /** A good slice has come since the last one was asked for. */
  hasCome: boolean;
}

export const SLICE_VARIABLES: readonly (readonly [string, Variable])[] = [
  ['slice_range', { get: (r) => (r.context<Slices>(sliceModule) ?? begin(r))?.range }],
];

/** Naming the variable while the request to the upstream is made is what turns slicing on. */
function begin(r: Exchange): Slices | undefined {
  const { slice } = sliceModule.location(r.location);
  if (r.parent || r.out.status !== 0 || slice === 0) return undefined;
  const start = slice * Math.floor(firstByte(r) / slice);
  const slices: Slices = { start, range: rangeOf(start, slice), etag: undefined, hasCome: false };
  r.setContext(sliceModule, slices);
  return slices;
}

function rangeOf(start: number, slice: number): string {
  return `bytes=${start}-${start + slice - 1}`;
}

/** Where the single range begins that the client asks for, as far as that can be told before the length is known. */
function firstByte(r: Exchange): number {
  const header = r.headers.get('range');
  if (header === undefined || header.includes(',') || r.headers.get('if-range') !== undefined) return 0;
  const start = /^bytes= *(\d+)/i.exec(header);
  return start && Number.isSafeInteger(Number(start[1])) ? Number(start[1]) : 0;
}

const CONTENT_RANGE = /^bytes +(\d+) *- *(\d+) *\/ *(\d+|\*) *$/;

/** Makes the head of a slice the head of the whole, and sees to the slices that follow. */
export function sliceFilter(r: Exchange, open: OpenFilter): 'replaced' | undefined {
  const slices = r.context<Slices>(sliceModule);
  if (!slices) return undefined;
  const { out } = r;
  if (out.status !== 206) {
    if (r.parent) return refuse(r, `unexpected status code ${out.status} in slice response`);
    r.contexts!.delete(sliceModule);
    return undefined;
  }
  const etag = out.get('etag');
  if (slices.etag !== undefined && etag !== slices.etag) return refuse(r, 'etag mismatch in slice response');
  slices.etag = etag;
  const range = CONTENT_RANGE.exec(out.get('content-range') ?? '');
  if (!range) return refuse(r, 'invalid range in slice response');
  if (range[3] === '*') return refuse(r, 'no complete length in slice response');
  const [start, last, length] = range.slice(1).map(Number) as [number, number, number];
  const { slice } = sliceModule.location(r.location);
  const end = Math.min(start + slice, length);
  if (start !== slices.start || last + 1 !== end) {
    return refuse(r, `unexpected range in slice response: ${start}-${last + 1}`);
  }
  slices.start = end;
  slices.hasCome = true;
  out.status = 200;
  out.statusText = '';
  out.contentLength = length;
  out.contentOffset = start;
  out.remove('content-range');
  out.remove('accept-ranges');
  out.allowsRanges = true;
  r.isSingleRange = true;
  // What a file of the cache holds is not the whole.
  r.isSeekable = false;
  if (r.parent) {
    const wanted = CONTENT_RANGE.exec(r.parent.out.get('content-range') ?? '');
    if (wanted) open(new RangeCut({ start: Number(wanted[1]), end: Number(wanted[2]) + 1 }, start), 'first');
  } else {
    r.order ??= new OutputOrder(r);
    open(new SliceChain(r, slices, slice, length));
  }
  return undefined;
}

function refuse(r: Exchange, why: string): 'replaced' {
  r.log('error', why);
  r.finalize(ERROR);
  return 'replaced';
}

/** Stands in the main request's output, and lets it end when the last slice that is wanted has been sent. */
class SliceChain implements BodyFilter {
  declare next: BodyFilter;
  readonly #r: Exchange;
  readonly #slices: Slices;
  readonly #slice: number;
  readonly #length: number;
  #isFirst = true;

  constructor(r: Exchange, slices: Slices, slice: number, length: number) {
    this.#r = r;
    this.#slices = slices;
    this.#slice = slice;
    this.#length = length;
  }

  write(chunk: Buffer): void {
    this.next.write(chunk);
  }

  /** A slice is over. */
  end(): void {
    const slices = this.#slices;
    const r = this.#r;
    if (!slices.hasCome) {
      r.log('error', 'missing slice response');
      r.finalize(ERROR);
      return;
    }
    const { out } = r;
    // The range filter, which comes later, has told what the client wants.
    const wanted = CONTENT_RANGE.exec(out.status === 206 ? (out.get('content-range') ?? '') : '');
    if (wanted) {
      const from = Number(wanted[1]);
      if (slices.start + this.#slice <= from) slices.start = this.#slice * Math.floor(from / this.#slice);
    }
    if (slices.start >= (wanted ? Number(wanted[2]) + 1 : this.#length)) {
      if (this.#isFirst) this.next.end();
      else r.order!.release();
      return;
    }
    if (this.#isFirst) {
      // What the filters of the first slice hold back comes before the next one.
      this.#isFirst = false;
      r.order!.hold();
      this.next.end();
    }
    const sub = startSubrequest(r, r.uri, r.args, { isClone: true, onEnd: () => this.end() });
    if (!sub) {
      r.finalize(ERROR);
      return;
    }
    slices.range = rangeOf(slices.start, this.#slice);
    slices.hasCome = false;
    sub.setContext(sliceModule, slices);
  }

  flush(): void {
    this.next.flush?.();
  }
}
