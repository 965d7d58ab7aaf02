// What is rewritten in a response's headers on its way out: proxy_redirect (Location, Refresh) and proxy_cookie_domain,
// _path and _flags (Set-Cookie). Mirrors the rewrite handlers of ngx_http_proxy_module.
import { type CompiledRegex, compileRegex } from '../config/regex.ts';
import { type Cf, custom, HSL, type Row } from '../config/rows.ts';
import type { Template } from '../config/template.ts';
import type { Exchange } from '../http/exchange.ts';
import { keepNamedCaptures } from '../http/find-config.ts';

/** A rule: the new value, or undefined when it does not apply. */
export type Rewrite = (r: Exchange, value: string) => string | undefined;

/** A list of rules, or off. */
export interface Rewrites {
  readonly isOff: boolean;
  /** `default` stands for what the proxy_pass of the location implies. */
  readonly rules: readonly (Rewrite | 'default')[];
}

/** The first rule that applies decides. */
export function firstOf(rules: readonly Rewrite[]): Rewrite {
  return (r, value) => {
    for (const rule of rules) {
      const rewritten = rule(r, value);
      if (rewritten !== undefined) return rewritten;
    }
    return undefined;
  };
}

/** Replaces a leading `pattern`. */
export function prefixRewrite(pattern: Template, replacement: Template): Rewrite {
  return (r, value) => {
    const prefix = pattern.evaluate(r);
    return value.startsWith(prefix) ? replacement.evaluate(r) + value.slice(prefix.length) : undefined;
  };
}

function regexOf(cf: Cf, pattern: string, isCaseless: boolean): CompiledRegex {
  try {
    const regex = compileRegex(pattern, isCaseless);
    for (const name of regex.names) cf.compiler.capture(name, cf.directive);
    return regex;
  } catch (error) {
    return cf.fail(`${(error as Error).message} in "${pattern}"`);
  }
}

function matches(regex: CompiledRegex, r: Exchange, value: string): boolean {
  const match = regex.regex.exec(value);
  if (!match) return false;
  r.captures = match;
  keepNamedCaptures(r, match);
  return true;
}

function regexRewrite(cf: Cf, pattern: string, isCaseless: boolean, replacement: Template): Rewrite {
  const regex = regexOf(cf, pattern, isCaseless);
  return (r, value) => (matches(regex, r, value) ? replacement.evaluate(r) : undefined);
}

function rewriteRow(
  isOffAllowedText: string,
  read: (cf: Cf, pattern: string, replacement: string) => Rewrite,
  extra: (cf: Cf) => 'default' | undefined,
  defaultText: string,
): Row<Rewrites | undefined> {
  return custom<Rewrites | undefined>(HSL, '1-2', {
    default: undefined,
    isRepeatable: true,
    syntax: isOffAllowedText,
    defaultText,
    set(cf, previous) {
      if (previous?.isOff) cf.fail(`"${cf.name}" directive is duplicate`);
      const [pattern, replacement] = cf.args as [string, string | undefined];
      if (replacement === undefined) {
        if (pattern === 'off') {
          if (previous) cf.fail(`"${cf.name}" directive is duplicate`);
          return { isOff: true, rules: [] };
        }
        const special = extra(cf) ?? cf.invalidParameter(pattern);
        return { isOff: false, rules: [...(previous?.rules ?? []), special] };
      }
      return { isOff: false, rules: [...(previous?.rules ?? []), read(cf, pattern, replacement)] };
    },
  });
}

function readPrefixOrRegex(cf: Cf, pattern: string, replacement: string): Rewrite {
  const to = cf.template(replacement);
  if (pattern.startsWith('~*')) return regexRewrite(cf, pattern.slice(2), true, to);
  if (pattern.startsWith('~')) return regexRewrite(cf, pattern.slice(1), false, to);
  return prefixRewrite(cf.template(pattern), to);
}

function readDomain(cf: Cf, pattern: string, replacement: string): Rewrite {
  if (pattern.startsWith('~')) return regexRewrite(cf, pattern.slice(1), true, cf.template(replacement));
  const from = cf.template(pattern.replace(/^\./, ''));
  const to = cf.template(replacement.replace(/^\./, ''));
  return (r, value) => {
    const dot = value.startsWith('.') ? '.' : '';
    if (from.evaluate(r).toLowerCase() !== value.slice(dot.length).toLowerCase()) return undefined;
    return dot + to.evaluate(r);
  };
}

/** `checkDefault` raises an error where `proxy_redirect default` cannot stand. */
export function redirectRow(checkDefault: (cf: Cf) => void): Row<Rewrites | undefined> {
  return rewriteRow(
    'default | off | redirect replacement',
    readPrefixOrRegex,
    (cf) => {
      if (cf.args[0] !== 'default') return undefined;
      checkDefault(cf);
      return 'default';
    },
    'default',
  );
}

export const cookieDomainRow = rewriteRow('off | domain replacement', readDomain, () => undefined, 'off');
export const cookiePathRow = rewriteRow('off | path replacement', readPrefixOrRegex, () => undefined, 'off');

/** One `proxy_cookie_flags`: which cookies, and the flags. */
export interface CookieFlags {
  readonly applies: (r: Exchange, name: string) => boolean;
  readonly flags: readonly Template[];
}

export const cookieFlagsRow: Row<readonly CookieFlags[] | 'off' | undefined> = custom<
  readonly CookieFlags[] | 'off' | undefined
>(HSL, '1-4', {
  default: undefined,
  isRepeatable: true,
  syntax: 'off | cookie [flag ...]',
  defaultText: 'off',
  set(cf, previous) {
    if (previous === 'off') cf.fail(`"${cf.name}" directive is duplicate`);
    const [pattern, ...flags] = cf.args as [string, ...string[]];
    if (flags.length === 0) {
      if (pattern !== 'off') cf.invalidParameter(pattern);
      if (previous) cf.fail(`"${cf.name}" directive is duplicate`);
      return 'off';
    }
    let applies: CookieFlags['applies'];
    if (pattern.startsWith('~')) {
      const regex = regexOf(cf, pattern.slice(1), true);
      applies = (r, name) => matches(regex, r, name);
    } else {
      const template = cf.template(pattern);
      applies = (r, name) => template.evaluate(r).toLowerCase() === name.toLowerCase();
    }
    return [...((previous as readonly CookieFlags[]) ?? []), { applies, flags: flags.map((f) => cf.template(f)) }];
  },
});

interface Attribute {
  name: string;
  /** undefined: a name alone. */
  value: string | undefined;
}

/** Splits `name=value; attribute=value; flag`. */
function parseCookie(text: string): Attribute[] {
  return text.split(';').map((piece) => {
    const equals = piece.indexOf('=');
    if (equals < 0) return { name: piece.replace(/^ +| +$/g, ''), value: undefined };
    return {
      name: piece.slice(0, equals).replace(/^ +| +$/g, ''),
      value: piece.slice(equals + 1).replace(/^ +| +$/g, ''),
    };
  });
}

/** The rewriter of Set-Cookie values, undefined when nothing is configured. */
export function cookieRewrite(
  domains: Rewrites | undefined,
  paths: Rewrites | undefined,
  flags: readonly CookieFlags[] | 'off' | undefined,
): Rewrite | undefined {
  const domain = domains && !domains.isOff ? firstOf(domains.rules as Rewrite[]) : undefined;
  const path = paths && !paths.isOff ? firstOf(paths.rules as Rewrite[]) : undefined;
  const flagRules = flags === 'off' ? undefined : flags;
  if (!domain && !path && !flagRules) return undefined;
  return (r, text) => {
    const attributes = parseCookie(text);
    if (attributes[0]!.value === undefined) return undefined;
    let isChanged = false;
    for (const attribute of attributes.slice(1)) {
      if (attribute.value === undefined) continue;
      const lower = attribute.name.toLowerCase();
      const rewrite = lower === 'domain' ? domain : lower === 'path' ? path : undefined;
      const rewritten = rewrite?.(r, attribute.value);
      if (rewritten === undefined) continue;
      attribute.value = rewritten;
      isChanged = true;
    }
    let edited = attributes;
    const rule = flagRules?.find((f) => f.applies(r, attributes[0]!.name));
    if (rule) {
      const words = rule.flags.map((f) => f.evaluate(r).toLowerCase()).filter((f) => KNOWN_FLAGS.has(f));
      if (words.length > 0) {
        edited = editFlags(attributes, new Set(words));
        isChanged = true;
      }
    }
    if (!isChanged) return undefined;
    return edited.map((a) => (a.value === undefined ? a.name : `${a.name}=${a.value}`)).join('; ');
  };
}

const KNOWN_FLAGS = new Set([
  'secure',
  'nosecure',
  'httponly',
  'nohttponly',
  'samesite=strict',
  'samesite=lax',
  'samesite=none',
  'nosamesite',
]);

const SAME_SITE = ['Strict', 'Lax', 'None'];

function editFlags(attributes: readonly Attribute[], flags: ReadonlySet<string>): Attribute[] {
  const sameSite = SAME_SITE.find((s) => flags.has(`samesite=${s.toLowerCase()}`));
  const missing = { secure: flags.has('secure'), httponly: flags.has('httponly'), samesite: sameSite !== undefined };
  const out: Attribute[] = [attributes[0]!];
  for (const attribute of attributes.slice(1)) {
    const lower = attribute.name.toLowerCase();
    if (lower === 'secure' || lower === 'httponly') {
      if (missing[lower]) missing[lower] = false;
      else if (flags.has(`no${lower}`)) continue;
      out.push(attribute);
    } else if (lower === 'samesite') {
      if (missing.samesite) {
        missing.samesite = false;
        const isSame = attribute.value?.toLowerCase() === sameSite!.toLowerCase();
        out.push(isSame ? attribute : { name: 'SameSite', value: sameSite });
      } else if (!flags.has('nosamesite')) out.push(attribute);
    } else out.push(attribute);
  }
  if (missing.secure) out.push({ name: 'Secure', value: undefined });
  if (missing.httponly) out.push({ name: 'HttpOnly', value: undefined });
  if (missing.samesite) out.push({ name: 'SameSite', value: sameSite });
  return out;
}
