// `add_header`, `add_trailer` and `expires`: fields that the configuration adds to responses. A header filter, and a body
// filter for the trailers. Mirrors ngx_http_headers_filter_module.
import { httpDate, httpDateNow, parseHttpDate } from '../clock.ts';
import type { Cf, Row } from '../config/rows.ts';
import { custom, defineModule, HSLI } from '../config/rows.ts';
import { constantTemplate, type Template } from '../config/template.ts';
import { parseTimeMs } from '../config/values.ts';
import type { Exchange } from '../http/exchange.ts';
import type { BodyFilter, OpenFilter } from '../http/filters.ts';

interface AddedField {
  readonly name: string;
  readonly value: Template;
  readonly isAlways: boolean;
  /** What happens to a field of this name that is there already. */
  readonly kind: 'add' | 'last-modified' | 'etag';
}

type ExpiresKind = 'off' | 'epoch' | 'max' | 'access' | 'modified' | 'daily';

interface Expires {
  readonly kind: ExpiresKind;
  readonly seconds: number;
  /** Read for each request when it has variables. */
  readonly value: Template | undefined;
}

const OFF: Expires = { kind: 'off', seconds: 0, value: undefined };

export const headersModule = defineModule('headers', {
  location: {
    expires: custom<Expires>(HSLI, '1-2', {
      default: OFF,
      syntax: '[modified] time | epoch | max | off',
      defaultText: 'off',
      set(cf) {
        if (cf.args.length === 2 && cf.args[0] !== 'modified') cf.invalidValue();
        const kind = cf.args.length === 2 ? 'modified' : 'access';
        const value = cf.template(cf.args.at(-1)!);
        if (value.constant === undefined) return { kind, seconds: 0, value };
        const read = readExpires(value.constant, kind);
        return typeof read === 'string' ? cf.fail(`"expires" directive ${read}`) : read;
      },
    }),
    add_header: fieldsRow('name value [always]', true),
    add_trailer: fieldsRow('name value [always]', false),
  },
});

function fieldsRow(syntax: string, isHeader: boolean): Row<readonly AddedField[] | undefined> {
  return custom<readonly AddedField[] | undefined>(HSLI, '2-3', {
    default: undefined,
    isRepeatable: true,
    syntax,
    set: (cf, previous) => [...(previous ?? []), readField(cf, isHeader)],
  });
}

function readField(cf: Cf, isHeader: boolean): AddedField {
  const [name, value, always] = cf.args as [string, string, string?];
  if (always !== undefined && always !== 'always') cf.invalidParameter(always);
  const lower = name.toLowerCase();
  const kind = isHeader && (lower === 'last-modified' || lower === 'etag') ? lower : 'add';
  return {
    name,
    value: value === '' ? constantTemplate('') : cf.template(value),
    isAlways: always !== undefined,
    kind,
  };
}

function readExpires(written: string, declared: 'access' | 'modified'): Expires | string {
  if (declared !== 'modified') {
    if (written === 'epoch' || written === 'max' || written === 'off')
      return { kind: written, seconds: 0, value: undefined };
  }
  let kind: ExpiresKind = declared;
  let text = written;
  if (text.startsWith('@')) {
    if (declared === 'modified') return 'daily time cannot be used with "modified" parameter';
    kind = 'daily';
  }
  const isMinus = text.startsWith('-');
  if (/^[@+-]/.test(text)) text = text.slice(1);
  const ms = text.includes('ms') ? undefined : parseTimeMs(text);
  if (ms === undefined) return 'invalid value';
  const seconds = ms / 1000;
  if (kind === 'daily' && seconds > 86_400) return 'daily time value must be less than 24 hours';
  return { kind, seconds: isMinus ? -seconds : seconds, value: undefined };
}

/** Statuses whose fields are added without `always`. */
const SAFE = new Set([200, 201, 204, 206, 301, 302, 303, 304, 307, 308]);

/** Adds the configured fields to the response. */
export function headersFilter(r: Exchange, open: OpenFilter): undefined {
  const { expires, add_header: added, add_trailer: trailers } = headersModule.location(r.location);
  if (added === undefined && expires === OFF && trailers === undefined) return;
  if (r.parent) return;
  const isSafe = SAFE.has(r.out.status);
  if (isSafe && expires.kind !== 'off') setExpires(r, expires);
  if (added) {
    for (const field of added) {
      if (isSafe || field.isAlways) addField(r, field);
    }
  }
  if (trailers?.some((field) => isSafe || field.isAlways)) {
    r.out.trailers = [];
    open(new Trailers(r, trailers, isSafe));
  }
}

function addField(r: Exchange, field: AddedField): void {
  const value = field.value.evaluate(r);
  const { out } = r;
  if (field.kind === 'add') {
    if (value !== '') out.add(field.name, value);
    return;
  }
  setOnly(r, field.kind, field.name, value);
  if (field.kind === 'last-modified') {
    out.isLastModifiedListed = value !== '';
    out.lastModified = value === '' ? -1 : (parseHttpDate(value) ?? -1);
  }
}

/** Gives the one field of this name another value; an empty one removes it. */
function setOnly(r: Exchange, lower: string, name: string, value: string): void {
  const { out } = r;
  const at = out.names.findIndex((n) => n.toLowerCase() === lower);
  if (value === '') {
    if (at >= 0) out.remove(lower);
  } else if (at >= 0) {
    out.names[at] = name;
    out.values[at] = value;
  } else out.add(name, value);
}

function setExpires(r: Exchange, conf: Expires): void {
  const { out } = r;
  let expires = conf;
  if (conf.value) {
    const read = readExpires(conf.value.evaluate(r), conf.kind === 'modified' ? 'modified' : 'access');
    if (typeof read === 'string' || read.kind === 'off') return;
    expires = read;
  }
  const [date, cacheControl] = expiryOf(r, expires, conf.value ? 0 : conf.seconds);
  setOnly(r, 'expires', 'Expires', date);
  const at = out.names.findIndex((n) => n.toLowerCase() === 'cache-control');
  if (at < 0) {
    out.add('Cache-Control', cacheControl);
    return;
  }
  const name = out.names[at]!;
  out.remove('cache-control');
  out.names[at] = name;
  out.values[at] = cacheControl;
}

function expiryOf(
  r: Exchange,
  { kind, seconds }: Expires,
  writtenSeconds: number,
): [date: string, cacheControl: string] {
  if (kind === 'epoch') return ['Thu, 01 Jan 1970 00:00:01 GMT', 'no-cache'];
  if (kind === 'max') return ['Thu, 31 Dec 2037 23:55:55 GMT', 'max-age=315360000'];
  if (seconds === 0 && kind !== 'daily') return [httpDateNow(), 'max-age=0'];
  const now = Math.floor(Date.now() / 1000);
  let at: number;
  let maxAge: number;
  if (kind === 'daily') {
    at = nextTime(now, seconds);
    maxAge = at - now;
  } else if (kind === 'access' || r.out.lastModified === -1) {
    at = now + seconds;
    maxAge = seconds;
  } else {
    at = r.out.lastModified + seconds;
    maxAge = at - now;
  }
  return [httpDate(at), writtenSeconds < 0 || maxAge < 0 ? 'no-cache' : `max-age=${maxAge}`];
}

/** The next instant at which local time is `seconds` after midnight. */
function nextTime(now: number, seconds: number): number {
  const day = new Date(now * 1000);
  day.setHours(Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60), seconds % 60, 0);
  if (day.getTime() / 1000 <= now) day.setDate(day.getDate() + 1);
  return Math.floor(day.getTime() / 1000);
}

/** Computes the trailers when the body is complete. */
class Trailers implements BodyFilter {
  declare next: BodyFilter;
  readonly #r: Exchange;
  readonly #fields: readonly AddedField[];
  readonly #isSafe: boolean;

  constructor(r: Exchange, fields: readonly AddedField[], isSafe: boolean) {
    this.#r = r;
    this.#fields = fields;
    this.#isSafe = isSafe;
  }

  write(chunk: Buffer): void {
    this.next.write(chunk);
  }

  end(): void {
    for (const { name, value, isAlways } of this.#fields) {
      if (!this.#isSafe && !isAlways) continue;
      const text = value.evaluate(this.#r);
      if (text !== '') this.#r.out.trailers!.push([name, text]);
    }
    this.next.end();
  }

  flush(): void {
    this.next.flush?.();
  }
}
