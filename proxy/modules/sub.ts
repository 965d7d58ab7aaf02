// `sub_filter`: replaces strings in response bodies, whatever pieces they come in. Mirrors ngx_http_sub_filter_module:
// letters match in either case, the leftmost match wins, at one place the pattern written first, and with
// sub_filter_once each pattern is replaced once.
import { type Cf, custom, defineModule, flag, HSL } from '../config/rows.ts';
import type { Template } from '../config/template.ts';
import { hasTypeOf, typesRow } from '../http/content-type.ts';
import type { Exchange } from '../http/exchange.ts';
import type { BodyFilter, OpenFilter } from '../http/filters.ts';

interface Pair {
  readonly match: Template;
  readonly value: Template;
}

export const subModule = defineModule('sub', {
  location: {
    sub_filter: custom<readonly Pair[] | undefined>(HSL, '2', {
      default: undefined,
      isRepeatable: true,
      syntax: 'string replacement',
      set(cf: Cf, previous) {
        if (cf.args[0] === '') cf.fail('empty search pattern');
        if (previous?.length === 255) cf.fail('number of search patterns exceeds 255');
        return [...(previous ?? []), { match: cf.template(cf.args[0]!), value: cf.template(cf.args[1]!) }];
      },
    }),
    sub_filter_types: typesRow(HSL, ['text/html']),
    sub_filter_once: flag(HSL, true),
    sub_filter_last_modified: flag(HSL, false),
  },
});

/** Opens the replacing filter for responses of the listed types. */
export function subFilter(r: Exchange, open: OpenFilter): undefined {
  const conf = subModule.location(r.location);
  if (!conf.sub_filter || r.out.contentLength === 0 || !hasTypeOf(r, conf.sub_filter_types)) return;
  const patterns: Pattern[] = [];
  for (const { match, value } of conf.sub_filter) {
    const text = match.evaluate(r);
    if (text !== '') patterns.push(new Pattern(text, value));
  }
  if (patterns.length === 0) return;
  open(new Replace(r, patterns, conf.sub_filter_once));
  if (r.parent) return;
  r.out.clearContentLength();
  if (conf.sub_filter_last_modified) r.out.weakenEtag();
  else {
    r.out.clearLastModified();
    r.out.clearEtag();
  }
}

class Pattern {
  /** In lower case (ASCII letters only). */
  readonly text: string;
  readonly source: string;
  readonly #value: Template;
  #replacement: string | undefined;

  constructor(text: string, value: Template) {
    this.text = lowerAscii(text);
    this.source = [...this.text].map(patternOf).join('');
    this.#value = value;
  }

  replacement(r: Exchange): string {
    this.#replacement ??= this.#value.evaluate(r);
    return this.#replacement;
  }
}

function lowerAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function patternOf(c: string): string {
  if (c >= 'a' && c <= 'z') return `[${c}${c.toUpperCase()}]`;
  return `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

class Replace implements BodyFilter {
  declare next: BodyFilter;
  readonly #r: Exchange;
  readonly #isOnce: boolean;
  #patterns: Pattern[];
  #regex: RegExp;
  #longest: number;
  /** The end of what came so far, which may be the beginning of a match. */
  #held = '';

  constructor(r: Exchange, patterns: Pattern[], isOnce: boolean) {
    this.#r = r;
    this.#isOnce = isOnce;
    this.#patterns = patterns;
    this.#longest = Math.max(...patterns.map((p) => p.text.length));
    this.#regex = alternation(patterns);
  }

  write(chunk: Buffer): void {
    if (this.#patterns.length === 0) this.next.write(chunk);
    else this.#scan(this.#held + chunk.toString('latin1'), false);
  }

  end(): void {
    if (this.#held !== '') this.#scan(this.#held, true);
    this.next.end();
  }

  flush(): void {
    this.next.flush?.();
  }

  #scan(text: string, isFinal: boolean): void {
    let out = '';
    let at = 0;
    this.#held = '';
    while (this.#patterns.length) {
      this.#regex.lastIndex = at;
      const match = this.#regex.exec(text);
      const which = match ? match.indexOf(match[0], 1) - 1 : -1;
      const wait = isFinal ? undefined : this.#partial(text, at);
      if (wait && (!match || wait.at < match.index || (wait.at === match.index && wait.which < which))) {
        out += text.slice(at, wait.at);
        this.#held = text.slice(wait.at);
        at = text.length;
        break;
      }
      if (!match) break;
      const pattern = this.#patterns[which]!;
      out += text.slice(at, match.index) + pattern.replacement(this.#r);
      at = match.index + match[0].length;
      if (this.#isOnce) {
        this.#patterns = this.#patterns.filter((p) => p !== pattern);
        this.#regex = alternation(this.#patterns);
      }
    }
    out += text.slice(at);
    if (out !== '') this.next.write(Buffer.from(out, 'latin1'));
  }

  /** The first place from which the rest of the text is the beginning of a pattern. */
  #partial(text: string, from: number): { at: number; which: number } | undefined {
    const low = lowerAscii(text.slice(Math.max(from, text.length - this.#longest + 1)));
    const offset = text.length - low.length;
    for (let at = 0; at < low.length; at++) {
      const rest = low.slice(at);
      const which = this.#patterns.findIndex((p) => p.text.length > rest.length && p.text.startsWith(rest));
      if (which >= 0) return { at: offset + at, which };
    }
    return undefined;
  }
}

/** Each pattern is a group, so that the match tells which one it was. */
function alternation(patterns: readonly Pattern[]): RegExp {
  return new RegExp(patterns.map((p) => `(${p.source})`).join('|'), 'g');
}
