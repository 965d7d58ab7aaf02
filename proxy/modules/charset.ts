// `charset`, `source_charset`, `override_charset`: names the charset in Content-Type, and recodes the body when the
// source's is another one. Mirrors ngx_http_charset_filter_module; the tables are in charset-map.ts.
import type { Compiler } from '../config/compile.ts';
import { ConfigError } from '../config/error.ts';
import { type Cf, custom, defineModule, flag, HSL, HSLI, HTTP, type Row } from '../config/rows.ts';
import type { Template } from '../config/template.ts';
import { hasTypeOf, typesRow } from '../http/content-type.ts';
import type { Exchange } from '../http/exchange.ts';
import type { BodyFilter, OpenFilter } from '../http/filters.ts';
import type { Location } from '../http/location.ts';
import { bareType, charsetIn } from '../http/media-type.ts';
import { Charsets, type Recoder, readCharsetMap } from './charset-map.ts';

/** A charset's name, or a variable that gives it; null: `off`. */
type CharsetName = string | Template | null;

const TYPES = [
  'text/html',
  'text/xml',
  'text/plain',
  'text/vnd.wap.wml',
  'application/javascript',
  'application/rss+xml',
] as const;

export const charsetModule = defineModule('charset', {
  main: {
    charset_map: custom<undefined>(HTTP, '2', {
      default: undefined,
      isBlock: true,
      isRepeatable: true,
      syntax: 'charset1 charset2 { ... }',
      set(cf) {
        readCharsetMap(cf, charsetsOf(cf.compiler));
        return undefined;
      },
    }),
  },
  location: {
    charset: nameRow('charset | off', true),
    source_charset: nameRow('charset', false),
    override_charset: flag(HSLI, false),
    charset_types: typesRow(HSL, TYPES),
  },
});

function nameRow(syntax: string, mayBeOff: boolean): Row<CharsetName> {
  return custom<CharsetName>(HSLI, '1', {
    default: null,
    syntax,
    defaultText: mayBeOff ? 'off' : undefined,
    set(cf: Cf) {
      const name = cf.args[0]!;
      if (mayBeOff && name === 'off') return null;
      const charsets = charsetsOf(cf.compiler);
      return name.startsWith('$') ? cf.template(name) : charsets.add(name);
    },
  });
}

function charsetsOf(compiler: Compiler): Charsets {
  return compiler.shared('charsets', () => new Charsets());
}

/** Gives each location the charsets, and checks that there is a table between the two it names. */
export function prepareCharset(location: Location, compiler: Compiler): void {
  const charsets = compiler.named.get('charsets') as Charsets | undefined;
  if (!charsets) return;
  location.prepared.set(charsetModule, charsets);
  const { charset, source_charset: source } = charsetModule.location(location);
  if (typeof charset !== 'string' || typeof source !== 'string' || charset.toLowerCase() === source.toLowerCase())
    return;
  compiler.atEnd.push(() => {
    if (!charsets.table(source, charset)) {
      throw new ConfigError(`no "charset_map" between the charsets "${source}" and "${charsets.spelled(charset)}"`);
    }
  });
}

/** Sets the response's charset, and opens a recoding filter where that is needed. */
export function charsetFilter(r: Exchange, open: OpenFilter): 'replaced' | undefined {
  const charsets = r.location.prepared.get(charsetModule) as Charsets | undefined;
  if (!charsets) {
    if (r.out.overrideCharset) r.log('error', `unknown charset "${r.out.overrideCharset}" to override`);
    return undefined;
  }
  const target = r.parent ? mainCharset(r) : targetCharset(r, charsets);
  if (target === undefined) return undefined;
  const source = sourceCharset(r);
  if (source === '') {
    name(r, target);
    return undefined;
  }
  if (source.toLowerCase() === target.toLowerCase()) {
    if (charsets.has(target)) r.out.contentType = bareType(r.out.contentType);
    name(r, target);
    return undefined;
  }
  const isKnown = charsets.has(source) && charsets.has(target);
  if (isKnown && r.out.get('content-encoding')) return undefined;
  const table = isKnown ? charsets.table(source, target) : undefined;
  if (!table) {
    r.log('error', `no "charset_map" between the charsets "${source}" and "${target}"`);
    return undefined;
  }
  r.out.contentType = bareType(r.out.contentType);
  name(r, target);
  r.setContext(charsetModule, target);
  if (table.changesLength && !r.parent) r.out.clearContentLength();
  open(new Recode(table.recoder()));
  return undefined;
}

/** The charset that the client is to get; undefined: none of this module's business. */
function targetCharset(r: Exchange, charsets: Charsets): string | undefined {
  const { out } = r;
  if (out.contentType === '') return undefined;
  if (out.overrideCharset) {
    if (charsets.has(out.overrideCharset)) return out.overrideCharset;
    r.log('error', `unknown charset "${out.overrideCharset}" to override`);
    return undefined;
  }
  const conf = charsetModule.location(r.location);
  const { charset } = conf;
  if (charset === null) return undefined;
  if (ownCharset(r) !== '') {
    if (!conf.override_charset) return undefined;
  } else if (!hasTypeOf(r, conf.charset_types)) return undefined;
  return typeof charset === 'string' ? charsets.spelled(charset) : charset.evaluate(r);
}

/** A subrequest's output must have the charset that its main request announced. */
function mainCharset(r: Exchange): string | undefined {
  const known = r.main.context<string>(charsetModule) ?? ownCharset(r.main);
  return known === '' ? undefined : known;
}

function ownCharset(r: Exchange): string {
  return r.out.charset !== '' ? r.out.charset : charsetIn(r.out.contentType);
}

function sourceCharset(r: Exchange): string {
  const own = ownCharset(r);
  if (own !== '') return own;
  const { source_charset: source } = charsetModule.location(r.location);
  if (source === null) return '';
  return typeof source === 'string' ? source : source.evaluate(r);
}

function name(r: Exchange, charset: string): void {
  if (r.parent) return;
  // A redirect has no charset: old browsers took it for the next page's.
  r.out.charset = r.out.status === 301 || r.out.status === 302 ? '' : charset;
}

class Recode implements BodyFilter {
  declare next: BodyFilter;
  readonly #recoder: Recoder;

  constructor(recoder: Recoder) {
    this.#recoder = recoder;
  }

  write(chunk: Buffer): void {
    const recoded = this.#recoder.recode(chunk);
    if (recoded.length) this.next.write(recoded);
  }

  end(): void {
    this.next.end();
  }

  flush(): void {
    this.next.flush?.();
  }
}
