// What SSI commands compute with: variables of the page, strings with `$name` in them, conditions, dates. The page is the
// main request: what one part sets, the others see. Mirrors ngx_http_ssi_evaluate_string and its neighbors.
import { compileRegex } from '../config/regex.ts';
import type { Exchange } from '../http/exchange.ts';

/** An SSI command cannot be done; its place is taken by the error message. */
export class SsiError extends Error {}

export interface SsiBlock {
  readonly name: string;
  text: string;
}

/** State of a page, shared by its parts. */
export class SsiPage {
  readonly variables = new Map<string, string>();
  readonly blocks: SsiBlock[] = [];
  captures: readonly (string | undefined)[] = [];

  /** The page `r` belongs to. */
  static of(r: Exchange): SsiPage {
    let page = r.main.context<SsiPage>(SsiPage);
    if (!page) {
      page = new SsiPage();
      r.main.setContext(SsiPage, page);
    }
    return page;
  }

  /** A variable set by the page or a capture; undefined when there is none. */
  get(name: string): string | undefined {
    if (/^\d$/.test(name) && Number(name) < this.captures.length) return this.captures[Number(name)] ?? '';
    return this.variables.get(name.toLowerCase());
  }

  set(name: string, value: string): void {
    this.variables.set(name.toLowerCase(), value);
  }
}

/** The value of `$name`: the page's, else the configuration's. */
export function ssiVariable(r: Exchange, name: string): string | undefined {
  return SsiPage.of(r).get(name) ?? r.client.listen.variables?.valueOf(r, name);
}

/** Replaces variables and takes backslashes off. `addsPrefix`: a relative path is put behind the request's directory. */
export function evaluateSsi(r: Exchange, text: string, addsPrefix: boolean): string {
  let out = '';
  let at = 0;
  while (at < text.length) {
    if (text[at] === '$') {
      const match = /\$(?:\{([A-Za-z0-9_]*)(\}?)|([A-Za-z0-9_]*))/y;
      match.lastIndex = at;
      const [whole, bracketed, closing, plain] = match.exec(text)!;
      if (bracketed !== undefined && closing === '' && bracketed !== '') {
        throw new SsiError(`the closing bracket in "${bracketed}" variable is missing`);
      }
      const name = bracketed ?? plain!;
      if (name === '') throw new SsiError(`invalid variable name in "${text}"`);
      out += ssiVariable(r, name) ?? '';
      at += whole.length;
      continue;
    }
    let end = at;
    while (end < text.length && text[end] !== '$') end += text[end] === '\\' ? 2 : 1;
    out += text.slice(at, end).replace(/\\([\\'"$])/g, '$1');
    at = end;
  }
  if (addsPrefix && out !== '' && !out.startsWith('/')) return r.uri.slice(0, r.uri.lastIndexOf('/') + 1) + out;
  return out;
}

/** Whether `expr` holds: `$a`, `$a = text`, `$a != /regex/`. */
export function ssiCondition(r: Exchange, expr: string): boolean {
  const parts = /^([A-Za-z0-9${}_"']*) *(.*)$/s.exec(expr)!;
  const left = evaluateSsi(r, parts[1]!.toLowerCase(), false);
  const rest = parts[2]!;
  if (rest === '') return left !== '';
  const invalid = (): never => {
    throw new SsiError(`invalid expression in "${expr}"`);
  };
  const operator = /^(!?=) *(.*)$/s.exec(rest) ?? invalid();
  const isNegated = operator[1] === '!=';
  let right = operator[2]!;
  let isEqual: boolean;
  if (right.length > 1 && right.startsWith('/')) {
    if (!right.endsWith('/')) invalid();
    isEqual = matches(r, evaluateSsi(r, right.slice(1, -1), false), left);
  } else {
    if (right.length > 2 && right.startsWith('\\/')) right = right.slice(1);
    isEqual = left === evaluateSsi(r, right, false);
  }
  return isEqual !== isNegated;
}

function matches(r: Exchange, pattern: string, text: string): boolean {
  let regex: RegExp;
  try {
    ({ regex } = compileRegex(pattern, false));
  } catch (error) {
    throw new SsiError(`${(error as Error).message} in "${pattern}"`);
  }
  const match = regex.exec(text);
  if (!match) return false;
  const page = SsiPage.of(r);
  page.captures = match;
  for (const [name, value] of Object.entries(match.groups ?? {})) page.set(name, value ?? '');
  return true;
}

/** The path and query of an include; undefined where nginx calls the path unsafe. */
export function splitInclude(uri: string): { path: string; args: string } | undefined {
  const question = uri.indexOf('?');
  const written = question < 0 ? uri : uri.slice(0, question);
  const args = question < 0 ? '' : uri.slice(question + 1);
  const path = written.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  if (
    written === '' ||
    path.includes('\0') ||
    /(?:^|\/)\.\.(?:\/|$)/.test(written) ||
    /(?:^|\/)\.\.(?:\/|$)/.test(path)
  ) {
    return undefined;
  }
  return { path, args };
}

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

/** strftime in the C locale. */
export function formatDate(format: string, isGmt: boolean): string {
  const now = new Date();
  if (format === '%s') return String(Math.floor(now.getTime() / 1000));
  const offset = isGmt ? 0 : -now.getTimezoneOffset();
  // Shifted, so that its UTC fields are the wanted ones.
  const d = new Date(now.getTime() + offset * 60_000);
  const n = (value: number, width = 2, fill = '0'): string => String(value).padStart(width, fill);
  const hour12 = d.getUTCHours() % 12 || 12;
  const yearStart = Date.UTC(d.getUTCFullYear(), 0, 1);
  const day = Math.floor((d.getTime() - yearStart) / 86_400_000);
  const expand = (text: string): string => text.replace(/%([A-Za-z%])/g, (whole, c: string) => field(c) ?? whole);
  const field = (c: string): string | undefined => {
    switch (c) {
      case 'a':
        return DAYS[d.getUTCDay()]!.slice(0, 3);
      case 'A':
        return DAYS[d.getUTCDay()]!;
      case 'b':
      case 'h':
        return MONTHS[d.getUTCMonth()]!.slice(0, 3);
      case 'B':
        return MONTHS[d.getUTCMonth()]!;
      case 'c':
        return expand('%a %b %e %H:%M:%S %Y');
      case 'C':
        return n(Math.floor(d.getUTCFullYear() / 100));
      case 'd':
        return n(d.getUTCDate());
      case 'D':
      case 'x':
        return expand('%m/%d/%y');
      case 'e':
        return n(d.getUTCDate(), 2, ' ');
      case 'F':
        return expand('%Y-%m-%d');
      case 'H':
        return n(d.getUTCHours());
      case 'I':
        return n(hour12);
      case 'j':
        return n(day + 1, 3);
      case 'k':
        return n(d.getUTCHours(), 2, ' ');
      case 'l':
        return n(hour12, 2, ' ');
      case 'm':
        return n(d.getUTCMonth() + 1);
      case 'M':
        return n(d.getUTCMinutes());
      case 'n':
        return '\n';
      case 'p':
        return d.getUTCHours() < 12 ? 'AM' : 'PM';
      case 'P':
        return d.getUTCHours() < 12 ? 'am' : 'pm';
      case 'r':
        return expand('%I:%M:%S %p');
      case 'R':
        return expand('%H:%M');
      case 's':
        return String(Math.floor(now.getTime() / 1000));
      case 'S':
        return n(d.getUTCSeconds());
      case 't':
        return '\t';
      case 'T':
      case 'X':
        return expand('%H:%M:%S');
      case 'u':
        return String(d.getUTCDay() || 7);
      case 'U':
        return n(Math.floor((day + 7 - d.getUTCDay()) / 7));
      case 'w':
        return String(d.getUTCDay());
      case 'W':
        return n(Math.floor((day + 7 - ((d.getUTCDay() + 6) % 7)) / 7));
      case 'y':
        return n(d.getUTCFullYear() % 100);
      case 'Y':
        return String(d.getUTCFullYear());
      case 'z':
        return `${offset < 0 ? '-' : '+'}${n(Math.floor(Math.abs(offset) / 60))}${n(Math.abs(offset) % 60)}`;
      case 'Z':
        return isGmt ? 'GMT' : zoneName(now);
      case '%':
        return '%';
      default:
        return undefined;
    }
  };
  return expand(format);
}

function zoneName(now: Date): string {
  const parts = new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' }).formatToParts(now);
  return parts.find((part) => part.type === 'timeZoneName')?.value ?? 'UTC';
}
