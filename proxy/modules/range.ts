// Byte ranges: a 200 of known length becomes 206 (one range, or several as multipart/byteranges) or 416. The last of the
// header filters; its body filter is the first. Mirrors ngx_http_range_filter_module: the ranges are sent as asked for,
// in their order, unless they add up to more than the whole, which then is sent.
import { parseHttpDate } from '../clock.ts';
import type { Exchange } from '../http/exchange.ts';
import type { BodyFilter, OpenFilter } from '../http/filters.ts';
import { type ByteRange, RangeCut } from '../http/range-cut.ts';
import type { RangePart, RangeParts } from '../http/range-parts.ts';
import { coreModule } from './core-rows.ts';

/** Applies the request's Range header. */
export function rangeFilter(r: Exchange, open: OpenFilter): 'replaced' | undefined {
  const { out } = r;
  if (!out.allowsRanges || out.status !== 200 || r.parent || out.contentLength === -1 || r.version < 1000)
    return undefined;
  const maxRanges = coreModule.location(r.location).max_ranges;
  if (maxRanges === 0) return undefined;
  const wanted = r.headers.get('range');
  if (wanted === undefined || wanted.length < 7 || wanted.slice(0, 6).toLowerCase() !== 'bytes=' || !ifRange(r)) {
    out.add('Accept-Ranges', 'bytes');
    return undefined;
  }
  const length = out.contentLength;
  const ranges = parseRanges(wanted, length, r.isSingleRange ? 1 : maxRanges);
  if (ranges === 'ignored') {
    out.add('Accept-Ranges', 'bytes');
    return undefined;
  }
  if (ranges === 'unsatisfiable') {
    out.add('Content-Range', `bytes */${length}`);
    out.clearContentLength();
    r.finalize(416);
    return 'replaced';
  }
  out.status = 206;
  out.statusText = '';
  out.remove('content-length');
  const parts = ranges.length === 1 ? singlePart(r, ranges[0]!) : multipart(r, ranges);
  if (r.isSeekable) r.parts = parts;
  else open(ranges.length === 1 ? new RangeCut(ranges[0]!, out.contentOffset) : new Collect(parts), 'first');
  return undefined;
}

/** Whether If-Range, when there is one, names this very representation. */
function ifRange(r: Exchange): boolean {
  const value = r.headers.get('if-range');
  if (value === undefined) return true;
  if (value.length >= 2 && value.endsWith('"')) return value === r.out.get('etag');
  return r.out.lastModified !== -1 && parseHttpDate(value) === r.out.lastModified;
}

const RANGE = / *(?:(\d+) *- *(\d*)|-(\d+)) *(,|$)/y;

function parseRanges(header: string, length: number, max: number): ByteRange[] | 'ignored' | 'unsatisfiable' {
  const ranges: ByteRange[] = [];
  let size = 0;
  RANGE.lastIndex = 6;
  for (;;) {
    const match = RANGE.exec(header);
    if (!match) return 'unsatisfiable';
    let start: number;
    let end: number;
    if (match[3] !== undefined) {
      const last = offset(match[3]);
      if (last < 0) return 'unsatisfiable';
      start = last < length ? length - last : 0;
      end = length;
    } else {
      start = offset(match[1]!);
      const last = match[2] === '' ? length : offset(match[2]!);
      if (start < 0 || last < 0) return 'unsatisfiable';
      end = last >= length ? length : last + 1;
    }
    if (start < end) {
      ranges.push({ start, end });
      size += end - start;
      if (max-- === 0) return 'ignored';
    } else if (start === 0) return 'ignored';
    if (match[4] === '') break;
  }
  if (ranges.length === 0) return 'unsatisfiable';
  return size > length ? 'ignored' : ranges;
}

const MAX_OFFSET = 2n ** 63n - 1n;

/** A decimal offset; -1 when it does not fit nginx's off_t. */
function offset(digits: string): number {
  if (digits.length < 19) return Number(digits);
  return BigInt(digits) > MAX_OFFSET ? -1 : Number(digits);
}

function singlePart(r: Exchange, range: ByteRange): RangeParts {
  const { out } = r;
  out.add('Content-Range', `bytes ${range.start}-${range.end - 1}/${out.contentLength}`);
  out.contentLength = range.end - range.start;
  return { parts: [{ head: '', ...range }], tail: '' };
}

let lastBoundary = Math.floor(Math.random() * 1e6);

function multipart(r: Exchange, ranges: readonly ByteRange[]): RangeParts {
  const { out } = r;
  const boundary = String(++lastBoundary).padStart(20, '0');
  const type = out.fullContentType();
  const opening = `\r\n--${boundary}\r\n${type === '' ? '' : `Content-Type: ${type}\r\n`}Content-Range: bytes `;
  const tail = `\r\n--${boundary}--\r\n`;
  let length = tail.length;
  const parts = ranges.map(({ start, end }): RangePart => {
    const head = `${opening}${start}-${end - 1}/${out.contentLength}\r\n\r\n`;
    length += head.length + end - start;
    return { head, start, end };
  });
  out.contentType = `multipart/byteranges; boundary=${boundary}`;
  out.charset = '';
  out.contentLength = length;
  return { parts, tail };
}

/** Several ranges of a stream: they may go backwards, so the whole body is kept first. */
class Collect implements BodyFilter {
  declare next: BodyFilter;
  readonly #parts: RangeParts;
  readonly #chunks: Buffer[] = [];

  constructor(parts: RangeParts) {
    this.#parts = parts;
  }

  write(chunk: Buffer): void {
    this.#chunks.push(chunk);
  }

  end(): void {
    const body = Buffer.concat(this.#chunks);
    for (const { head, start, end } of this.#parts.parts) {
      this.next.write(Buffer.from(head, 'latin1'));
      this.next.write(body.subarray(start, end));
    }
    this.next.write(Buffer.from(this.#parts.tail, 'latin1'));
    this.next.end();
  }
}
