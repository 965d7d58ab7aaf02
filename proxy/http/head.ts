// The strict parser of HTTP/1.x heads, for both sides of the proxy: request line, status line, header lines.
// One pass over the head as a byte string (latin1). It accepts what nginx 1.22 accepts (a bare LF ends a line, empty
// lines before a request are skipped) and refuses what nginx refuses: a control character in the target, a space
// before the colon, a folded line, a bare CR, NUL. Mirrors ngx_http_parse.c; RFC 9112 sections 2 to 5.

import { examineRequestLine, isMinorTooLarge, type LineFault } from './request-line-fault.ts';

export interface SkippedLine {
  /** Index of the field that follows it. */
  readonly before: number;
  readonly line: string;
}

const NONE: readonly SkippedLine[] = [];

/** Header fields in order of arrival: spelled names, lower-case names and values, by the same index. */
export class Fields {
  readonly names: string[] = [];
  readonly lower: string[] = [];
  readonly values: string[] = [];
  /** Index of the field for which the request was refused; -1: none. */
  faultAt = -1;
  #skipped: SkippedLine[] | undefined;

  /** Lines that were left out as invalid, in order. */
  get skipped(): readonly SkippedLine[] {
    return this.#skipped ?? NONE;
  }

  /** Leaves `line` out; it stands before the next field that is added. */
  skip(line: string): void {
    this.#skipped ??= [];
    this.#skipped.push({ before: this.names.length, line });
  }

  add(name: string, value: string): void {
    this.names.push(name);
    this.lower.push(lowerName(name) ?? name.toLowerCase());
    this.values.push(value);
  }

  /** The first value of a lower-case name. */
  get(lower: string): string | undefined {
    const at = this.lower.indexOf(lower);
    return at < 0 ? undefined : this.values[at];
  }

  /** All values of a lower-case name, joined as nginx's multi-header variables are. */
  joined(lower: string, separator = ', '): string | undefined {
    let out: string | undefined;
    for (let i = 0; i < this.lower.length; i++) {
      if (this.lower[i] === lower) out = out === undefined ? this.values[i] : out + separator + this.values[i];
    }
    return out;
  }

  has(lower: string): boolean {
    return this.lower.includes(lower);
  }
}

/** Of a request whose head is not known yet. */
export const NO_FIELDS: Fields = new Fields();

/** A parsed request line. `target` is as sent; `path` is the origin-form part of it. */
export interface RequestLine {
  readonly line: string;
  readonly method: string;
  readonly target: string;
  /** Host of an absolute-form target (not checked, may be empty), else undefined. */
  readonly host: string | undefined;
  /** Path and query, starting with `/` (or `?`/empty for an absolute form without a path). */
  readonly path: string;
  /** 9 for HTTP/0.9, 1000 for 1.0, 1001 for 1.1 and later 1.x. */
  readonly version: number;
  /** The protocol as sent, trailing spaces included; '' for HTTP/0.9. */
  readonly protocol: string;
}

export type HeadFault = LineFault | 'header';

/** Thrown for what nginx answers with 400 (or 505 for `version`). `line` is what it logs, `at` where that begins. */
export class BadHead extends Error {
  readonly fault: HeadFault;
  readonly line: string;
  readonly at: number;

  constructor(fault: HeadFault, line = '', at = 0) {
    super(fault);
    this.fault = fault;
    this.line = line;
    this.at = at;
  }
}

const KNOWN_NAMES = new Map<string, string>();
const NAME = /^[A-Za-z0-9-]+$/;

/** The lower-case form of a header name of letters, digits and dashes; undefined for other names. */
export function lowerName(name: string): string | undefined {
  const known = KNOWN_NAMES.get(name);
  if (known !== undefined) return known;
  if (!NAME.test(name)) return undefined;
  const lower = name.toLowerCase();
  if (KNOWN_NAMES.size < 2048) KNOWN_NAMES.set(name, lower);
  return lower;
}

const METHOD = /^[A-Z_-]+$/;
const BAD_TARGET = /[\x00-\x20\x7f]/;
const ABSOLUTE = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/(\[[A-Za-z0-9:\-._~!$&'()*+,;=]*\]|[A-Za-z0-9.-]*)(?::\d*)?(?=[/?]|$)/;
const VERSION = /^HTTP\/1\.(\d+) *$/;

/** Parses the request line that starts at `from` and ends before `end` (its LF, CR already taken off). */
export function parseRequestLine(text: string, from: number, end: number): RequestLine {
  const line = text.slice(from, end);
  const space = line.indexOf(' ');
  const method = line.slice(0, Math.max(space, 0));
  if (method !== 'GET' && !METHOD.test(method)) throw badLine(line);
  let at = space;
  while (line.charCodeAt(at) === 32) at++;
  let close = line.indexOf(' ', at);
  const isOld = close < 0;
  if (isOld) close = line.length;
  const target = line.slice(at, close);
  if (target === '' || BAD_TARGET.test(target)) throw badLine(line);

  let host: string | undefined;
  let path = target;
  if (target.charCodeAt(0) !== 47) {
    const absolute = ABSOLUTE.exec(target);
    if (!absolute) throw badLine(line);
    host = absolute[1]!;
    path = target.slice(absolute[0].length);
    if (path === '' && isOld) throw badLine(line);
    if (path.charCodeAt(0) !== 47) path = `/${path}`;
  }

  let rest = close;
  while (line.charCodeAt(rest) === 32) rest++;
  if (rest === line.length) {
    if (method !== 'GET') throw badLine(line);
    return { line, method, target, host, path, version: 9, protocol: '' };
  }
  const protocol = line.slice(rest);
  if (protocol === 'HTTP/1.1') return { line, method, target, host, path, version: 1001, protocol };
  const version = VERSION.exec(protocol);
  if (!version || isMinorTooLarge(version[1]!)) throw badLine(line);
  return { line, method, target, host, path, version: 1000 + Number(version[1]), protocol };
}

function badLine(line: string): BadHead {
  return new BadHead(examineRequestLine(line, true).fault ?? 'request', line);
}

export interface FieldRules {
  /** Names with `_` are good ones (`underscores_in_headers on`). */
  readonly hasUnderscores: boolean;
  /** Names with other odd characters are skipped instead of kept (`ignore_invalid_headers on`). */
  readonly ignoresInvalid: boolean;
  /**
   * The lines are an upstream's: those that begin like a status line are skipped (IIS repeats it), and names of odd
   * characters alone are not kept, as nginx sends no field whose hash is 0.
   */
  readonly isUpstream?: boolean;
}

/** The names of the head before, by their places: most heads have the same, and a look there is cheaper than to look them up. */
interface KnownName {
  readonly name: string;
  readonly lower: string;
}
const LAST_FIELDS = 32;
const lastFromClient: KnownName[] = [];
const lastFromUpstream: KnownName[] = [];

/**
 * Parses header lines from `from` up to the empty line, whose end must be within `text`.
 * Returns the index behind the empty line. Throws BadHead('header').
 */
export function parseFields(text: string, from: number, rules: FieldRules, into: Fields): number {
  const last = rules.isUpstream ? lastFromUpstream : lastFromClient;
  let at = from;
  for (;;) {
    const newline = text.indexOf('\n', at);
    if (newline < 0) throw new BadHead('header', text.slice(at), at);
    let end = newline;
    // Several CRs may end a line, but only one the empty line.
    while (text.charCodeAt(end - 1) === 13 && end > at) end--;
    if (end === at) {
      if (newline > at + 1) throw new BadHead('header', text.slice(at, newline), at);
      return newline + 1;
    }
    let isKept = true;
    let name: string;
    let lower: string | undefined;
    let nameEnd: number;
    const usual = last[into.names.length];
    if (usual !== undefined && text.startsWith(usual.name, at) && text.charCodeAt(at + usual.name.length) === 58) {
      ({ name, lower } = usual);
      nameEnd = at + name.length;
    } else {
      const colon = text.indexOf(':', at);
      nameEnd = colon < 0 || colon > end ? end : colon;
      name = text.slice(at, nameEnd);
      lower = lowerName(name);
      if (lower !== undefined && into.names.length < LAST_FIELDS) last[into.names.length] = { name, lower };
    }
    if (lower === undefined) {
      if (rules.isUpstream) {
        if (name.startsWith('HTTP/')) {
          at = newline + 1;
          continue;
        }
        isKept = /[A-Za-z0-9_-]/.test(name);
      }
      if (name === '' || /[\x00-\x20\x7f]/.test(name)) throw new BadHead('header', text.slice(at, end), at);
      if (/^[A-Za-z0-9_-]+$/.test(name) ? rules.hasUnderscores : !rules.ignoresInvalid) {
        lower = name.toLowerCase();
      } else {
        if (BAD_VALUE.test(text.slice(nameEnd, end))) throw new BadHead('header', text.slice(at, end), at);
        if (rules.ignoresInvalid) {
          into.skip(text.slice(at, end));
          at = newline + 1;
          continue;
        }
        lower = name.toLowerCase();
      }
    }
    let start = nameEnd + 1;
    let stop = end;
    while (start < stop && text.charCodeAt(start) === 32) start++;
    while (stop > start && text.charCodeAt(stop - 1) === 32) stop--;
    const value = start < stop ? text.slice(start, stop) : '';
    if (BAD_VALUE.test(value)) throw new BadHead('header', text.slice(at, end), at);
    if (isKept) {
      into.names.push(name);
      into.lower.push(lower);
      into.values.push(value);
    }
    at = newline + 1;
  }
}

const BAD_VALUE = /[\x00\r]/;

/**
 * The first bad field of `lines`, the last of which need not have come to its end, as nginx logs it: up to the byte that
 * is wrong, `name\x20...`.
 */
export function faultInFields(lines: string, isUpstream: boolean): string | undefined {
  for (const raw of lines.split('\n')) {
    if (isUpstream && raw.startsWith('HTTP/')) continue;
    // Several CRs may end a line, but only one the empty line.
    const line = raw.replace(/\r+$/, '');
    if (line === '' && raw.length > 1) return '\\x0d...';
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    let at = name.search(/[\x00-\x20\x7f]/);
    if (at < 0 && colon === 0) at = 0;
    if (at < 0) {
      at = line.search(BAD_VALUE);
      // A bare CR is noticed behind it: nginx names the end of the value, without the spaces before the CR.
      let stop = at;
      if (line.charCodeAt(at) === 13) while (line.charCodeAt(stop - 1) === 32) stop--;
      if (stop > colon + 1) at = stop;
    }
    if (at >= 0) return `${line.slice(0, at)}\\x${line.charCodeAt(at).toString(16).padStart(2, '0')}...`;
  }
  return undefined;
}

/** A parsed status line: `code`, and `text` as nginx passes it on (`200 OK`). */
export interface StatusLine {
  /** 1000 for 1.0, 1001 for 1.1. */
  readonly version: number;
  readonly code: number;
  readonly text: string;
}

let lastStatusLine = '';
let lastStatus: StatusLine | undefined;

/** Parses `HTTP/1.1 200 OK`; undefined when it is not a status line (nginx then takes the answer for HTTP/0.9). */
export function parseStatusLine(line: string): StatusLine | undefined {
  if (line === lastStatusLine) return lastStatus;
  const usual = USUAL_STATUS.exec(line);
  if (usual) {
    lastStatusLine = line;
    lastStatus = { version: 1000 + Number(usual[1]), code: Number(usual[3]), text: usual[2]! };
    return lastStatus;
  }
  const match = STATUS.exec(line);
  if (!match) return undefined;
  const [, major, minor, digits, rest = ''] = match;
  // nginx takes the two bytes before the last digit for the others, whatever stands there.
  return {
    version: 1000 * Number(major) + Number(minor),
    code: Number(digits!.replaceAll(' ', '')),
    text: ` ${digits}`.slice(-3) + rest,
  };
}

const USUAL_STATUS = /^HTTP\/1\.([01]) ((\d{3})(?:[ .][^\r]*)?)$/;
const STATUS = /^HTTP\/([1-9]\d{0,2})\.(0*\d{1,3}) ((?: *\d){3})([ .][^\r]*)?$/;

/** Whether what came so far, no LF among it, can become a status line. */
export function mayBeStatusLine(start: string): boolean {
  return STATUS_SO_FAR.test(start);
}

const STATUS_SO_FAR =
  /^(?:H(?:T(?:T(?:P(?:\/(?:[1-9]\d{0,2}(?:\.(?:0*\d{1,3}(?: (?:(?: *\d){0,2} *|(?: *\d){3}(?:[ .][^\r]*)?\r?))?)?)?)?)?)?)?)?)?$/;

/**
 * Where the head that starts at `from` ends: the index behind its empty line, or -1 when more bytes are needed.
 * A line may end in LF alone.
 */
export function findHeadEnd(text: string, from: number): number {
  let at = text.indexOf('\n', from);
  while (at >= 0) {
    const next = text.charCodeAt(at + 1);
    if (next === 10) return at + 2;
    if (next === 13 && text.charCodeAt(at + 2) === 10) return at + 3;
    at = text.indexOf('\n', at + 1);
  }
  return -1;
}
