// Finds a request head in what a client has sent so far, and says early when it can never become a good one. Keeps to
// nginx's buffers: the first is client_header_buffer_size, further ones are large_client_header_buffers, and no line may
// be larger than one of these.
import type { coreModule } from '../modules/core-rows.ts';
import { HEADER_TOO_LARGE } from './codes.ts';
import { BadHead, Fields, findHeadEnd, parseFields, parseRequestLine, type RequestLine } from './head.ts';

export type HeaderLimits = ReturnType<typeof coreModule.server>;

export type HeadResult =
  | { readonly kind: 'more' }
  | {
      readonly kind: 'head';
      readonly line: RequestLine;
      readonly fields: Fields;
      /** Bytes of the head. */
      readonly length: number;
      /** Header lines that were skipped as invalid. */
      readonly skipped: readonly string[] | undefined;
    }
  | {
      readonly kind: 'fault';
      readonly code: number;
      readonly why: string;
      readonly line: RequestLine | undefined;
      /** What is known of the request line. */
      readonly text: string;
    };

const MORE: HeadResult = { kind: 'more' };

/** Reads the head that starts at `from` (empty lines before it already skipped). */
export function readHead(buf: Buffer, from: number, conf: HeaderLimits): HeadResult {
  const { large_client_header_buffers: large, client_header_buffer_size: first } = conf;
  const most = first + large.number * large.sizeBytes + 1;
  const text = buf.toString('latin1', from, Math.min(buf.length, from + most));
  const lineEnd = text.indexOf('\n');
  const longest = Math.max(large.sizeBytes, first);
  let line: RequestLine;
  try {
    if (lineEnd < 0) return partialLine(text, longest);
    line = parseRequestLine(text, 0, lineEnd > 0 && text.charCodeAt(lineEnd - 1) === 13 ? lineEnd - 1 : lineEnd);
  } catch (error) {
    if (!(error instanceof BadHead)) throw error;
    const what = error.fault === 'method' ? 'method' : error.fault === 'version' ? 'version' : 'request';
    return {
      kind: 'fault',
      code: error.fault === 'version' ? 505 : 400,
      why: `client sent invalid ${what} while reading client request line`,
      line: undefined,
      text: error.line,
    };
  }
  if (lineEnd + 1 > longest) {
    return fault(414, 'client sent too long URI while reading client request line', line);
  }
  if (line.version === 9) {
    return { kind: 'head', line, fields: new Fields(), length: lineEnd + 1, skipped: undefined };
  }
  const end = findHeadEnd(text, lineEnd);
  const stop = end < 0 ? text.length : end;
  if (stop > first && overflows(text, stop, first, large)) {
    return fault(
      HEADER_TOO_LARGE,
      'client sent too long header line or too many of them while reading client request headers',
      line,
    );
  }
  if (end < 0) {
    const bad = partialField(text, lineEnd + 1);
    return bad === undefined ? MORE : badField(bad, line);
  }
  const fields = new Fields();
  let skipped: string[] | undefined;
  try {
    parseFields(
      text,
      lineEnd + 1,
      {
        hasUnderscores: conf.underscores_in_headers,
        ignoresInvalid: conf.ignore_invalid_headers,
        onInvalid: (bad) => {
          skipped ??= [];
          skipped.push(bad);
        },
      },
      fields,
    );
  } catch (error) {
    if (!(error instanceof BadHead)) throw error;
    return badField(error.line, line);
  }
  return { kind: 'head', line, fields, length: end, skipped };
}

function fault(code: number, why: string, line: RequestLine): HeadResult {
  return { kind: 'fault', code, why, line, text: line.line };
}

function badField(bad: string, line: RequestLine): HeadResult {
  return fault(400, `client sent invalid header line: "${bad}" while reading client request headers`, line);
}

/** A request line that is not whole yet: wrong methods and targets are told at once, too long ones too. */
function partialLine(text: string, longest: number): HeadResult {
  const method = /^[A-Z_-]*/.exec(text)![0];
  if (method.length < text.length && (method === '' || text[method.length] !== ' ')) throw new BadHead('method', text);
  if (/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(text)) throw new BadHead('request', text);
  if (text.length < longest) return MORE;
  return {
    kind: 'fault',
    code: 414,
    why: 'client sent too long URI while reading client request line',
    line: undefined,
    text: text.slice(0, longest),
  };
}

/** A header line that is already known to be bad, though the head is not whole. */
function partialField(text: string, from: number): string | undefined {
  let at = from;
  while (at < text.length) {
    const newline = text.indexOf('\n', at);
    const stop = newline < 0 ? text.length : newline;
    const name = /^[^:\r\n]*/.exec(text.slice(at, stop))![0];
    if (/[\x00-\x20\x7f]/.test(name)) return text.slice(at, stop);
    if (newline < 0) return undefined;
    at = newline + 1;
  }
  return undefined;
}

/** Whether the head does not fit into the buffers; a line is never spread over two of them. */
function overflows(text: string, end: number, first: number, large: { number: number; sizeBytes: number }): boolean {
  let used = 0;
  let capacity = first;
  let buffers = 0;
  let at = 0;
  while (at < end) {
    const newline = text.indexOf('\n', at);
    const length = (newline < 0 || newline >= end ? end : newline + 1) - at;
    if (used + length > capacity) {
      if (length > large.sizeBytes || ++buffers > large.number) return true;
      capacity = large.sizeBytes;
      used = 0;
    }
    used += length;
    at += length;
  }
  return false;
}
