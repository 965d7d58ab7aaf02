// Finds a request head in what a client has sent so far, and says early when it can never become a good one. Keeps to
// nginx's buffers: the first is client_header_buffer_size, further ones are large_client_header_buffers, and no line may
// be larger than one of these.
import type { coreModule } from '../modules/core-rows.ts';
import { HEADER_TOO_LARGE } from './codes.ts';
import {
  BadHead,
  type FieldRules,
  Fields,
  faultInFields,
  findHeadEnd,
  parseFields,
  parseRequestLine,
  type RequestLine,
} from './head.ts';
import { examineRequestLine, type LineState } from './request-line-fault.ts';

export type HeaderLimits = ReturnType<typeof coreModule.server>;

export type HeadResult =
  | { readonly kind: 'more' }
  | {
      readonly kind: 'head';
      readonly line: RequestLine;
      readonly fields: Fields;
      /** Bytes of the head, and of its request line. */
      readonly length: number;
      readonly lineLength: number;
    }
  | {
      readonly kind: 'fault';
      readonly code: number;
      readonly why: string;
      /** What was good: the request line, the fields before the bad one, and their bytes. */
      readonly line: RequestLine | undefined;
      readonly fields: Fields;
      readonly length: number;
      /** What is known of the request line. */
      readonly text: string;
      /** The protocol of a request line that is not good was reached. */
      readonly hasProtocol: boolean;
      /** It is one of HTTP/0.9: the answer has no head. */
      readonly isOld: boolean;
    };

export type HeadFaultResult = HeadResult & { kind: 'fault' };

const MORE: HeadResult = { kind: 'more' };

/** Reads the head that starts at `from` (empty lines before it already skipped). */
export function readHead(buf: Buffer, from: number, conf: HeaderLimits): HeadResult {
  const { large_client_header_buffers: large, client_header_buffer_size: first } = conf;
  const most = first + large.number * large.sizeBytes + 1;
  const text = buf.toString('latin1', from, Math.min(buf.length, from + most));
  const lineEnd = text.indexOf('\n');
  const longest = Math.max(large.sizeBytes, first);
  if (lineEnd < 0 || lineEnd >= longest) return partialLine(text, longest);
  let line: RequestLine;
  try {
    line = parseRequestLine(text, 0, lineEnd > 0 && text.charCodeAt(lineEnd - 1) === 13 ? lineEnd - 1 : lineEnd);
  } catch (error) {
    if (!(error instanceof BadHead)) throw error;
    return lineFault(error.line, examineRequestLine(error.line, true));
  }
  const lineLength = lineEnd + 1;
  if (line.version === 9) return { kind: 'head', line, fields: new Fields(), length: lineLength, lineLength };
  const end = findHeadEnd(text, lineEnd);
  const stop = end < 0 ? text.length : end;
  if (stop > first) {
    const tooMuch = overflowAt(text, stop, first, large);
    if (tooMuch >= 0) {
      return fieldFault(text, line, lineLength, tooMuch, conf, {
        code: HEADER_TOO_LARGE,
        why: 'client sent too long header line or too many of them while reading client request headers',
      });
    }
  }
  if (end < 0) {
    const bad = partialField(text, lineLength);
    return bad < 0 ? MORE : badField(text, line, lineLength, bad, conf);
  }
  const fields = new Fields();
  try {
    parseFields(text, lineLength, rulesOf(conf), fields);
  } catch (error) {
    if (!(error instanceof BadHead)) throw error;
    return badField(text, line, lineLength, error.at, conf);
  }
  return { kind: 'head', line, fields, length: end, lineLength };
}

/** What is to be logged of a head after whose first bytes the client went away. */
export function readCutHead(buf: Buffer, conf: HeaderLimits): HeadFaultResult {
  const why = 'client prematurely closed connection';
  const text = buf.toString('latin1').replace(/^[\r\n]+/, '');
  const lineEnd = text.indexOf('\n');
  if (lineEnd < 0) return { ...lineFault(text, examineRequestLine(text, false)), why };
  const line = parseRequestLine(text, 0, text.charCodeAt(lineEnd - 1) === 13 ? lineEnd - 1 : lineEnd);
  return fieldFault(text, line, lineEnd + 1, text.lastIndexOf('\n') + 1, conf, { code: 400, why });
}

function rulesOf(conf: HeaderLimits): FieldRules {
  return { hasUnderscores: conf.underscores_in_headers, ignoresInvalid: conf.ignore_invalid_headers };
}

/** Bytes of the head in `buf` up to and with the field that it was refused for. */
export function lengthThroughFault(buf: Buffer, from: number, { faultAt, skipped }: Fields): number {
  let at = from;
  const lines = 2 + faultAt + skipped.filter(({ before }) => before <= faultAt).length;
  for (let line = 0; line < lines; line++) at = buf.indexOf(10, at) + 1;
  return at - from;
}

const REASONS = {
  method: 'method',
  'old-method': 'method in HTTP/0.9 request',
  request: 'request',
  version: 'version',
} as const;

function lineFault(text: string, { fault, hasProtocol }: LineState): HeadFaultResult {
  return {
    kind: 'fault',
    code: fault === 'version' ? 505 : 400,
    why: `client sent invalid ${REASONS[fault ?? 'request']} while reading client request line`,
    line: undefined,
    fields: new Fields(),
    length: 0,
    text: /^[^\r\n]*/.exec(text)![0],
    hasProtocol,
    isOld: fault === 'old-method',
  };
}

/** A fault in the field that starts at `at`: those before it count. */
function fieldFault(
  text: string,
  line: RequestLine,
  from: number,
  at: number,
  conf: HeaderLimits,
  fault: { readonly code: number; readonly why: string },
): HeadFaultResult {
  const fields = new Fields();
  parseFields(`${text.slice(0, at)}\r\n`, from, rulesOf(conf), fields);
  return { kind: 'fault', ...fault, line, fields, length: at, text: line.line, hasProtocol: true, isOld: false };
}

function badField(text: string, line: RequestLine, from: number, at: number, conf: HeaderLimits): HeadResult {
  const newline = text.indexOf('\n', at);
  const bad = text.slice(at, newline < 0 ? text.length : newline);
  const why = `client sent invalid header line: "${faultInFields(bad, false) ?? bad}" while reading client request headers`;
  return fieldFault(text, line, from, at, conf, { code: 400, why });
}

/** A request line that is not whole within its buffer: what is wrong with it is told at once, too long ones too. */
function partialLine(text: string, longest: number): HeadResult {
  const part = text.slice(0, longest);
  // A CR may be the first half of the line's end.
  const state = examineRequestLine(part.replace(/\r$/, ''), false);
  if (state.fault) return lineFault(part, state);
  if (text.length < longest) return MORE;
  const why = 'client sent too long URI while reading client request line';
  return { ...lineFault(part, state), code: 414, why, text: part.replace(/\r$/, '') };
}

/** Where a header line begins that is already known to be bad, though the head is not whole; -1: none. */
function partialField(text: string, from: number): number {
  let at = from;
  while (at < text.length) {
    const newline = text.indexOf('\n', at);
    const stop = newline < 0 ? text.length : newline;
    const line = text.slice(at, stop);
    const name = /^[^:\r]*/.exec(line)![0];
    if (/[\x00-\x20\x7f]/.test(name) || NEVER_GOOD.test(line)) return at;
    if (newline < 0) return -1;
    at = newline + 1;
  }
  return -1;
}

/** No name, a CR that no LF follows, or NUL. */
const NEVER_GOOD = /^:|^\r\r|\r[^\r]|\0/;

/**
 * Where the line begins that does not fit into the buffers any more; -1 when all do. A line is never spread over two.
 */
function overflowAt(text: string, end: number, first: number, large: { number: number; sizeBytes: number }): number {
  let used = 0;
  let capacity = first;
  let buffers = 0;
  let at = 0;
  while (at < end) {
    const newline = text.indexOf('\n', at);
    const length = (newline < 0 || newline >= end ? end : newline + 1) - at;
    if (used + length > capacity) {
      if (length > large.sizeBytes || ++buffers > large.number) return at;
      capacity = large.sizeBytes;
      used = 0;
    }
    used += length;
    at += length;
  }
  return -1;
}
