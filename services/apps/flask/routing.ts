/**
 * URL rules as Flask writes them: `/items/<int:item_id>`, with converters, methods, and the slash at the end that redirects.
 */

import { unquote } from '../../http/environ.ts';
import { HttpException } from './http-exception.ts';

/** The values that a rule took from a path. */
export type ViewArguments = Readonly<Record<string, string | number>>;

interface Converter {
  readonly pattern: string;
  readonly convert: (text: string) => string | number;
}

const CONVERTERS: Readonly<Record<string, Converter>> = {
  string: { pattern: '[^/]+', convert: (text) => text },
  int: { pattern: '\\d+', convert: Number },
  float: { pattern: '\\d+\\.\\d+', convert: Number },
  path: { pattern: '[^/].*?', convert: (text) => text },
  uuid: { pattern: '[\\da-fA-F]{8}-(?:[\\da-fA-F]{4}-){3}[\\da-fA-F]{12}', convert: (text) => text.toLowerCase() },
};

/** One rule, compiled. */
export interface Rule<View> {
  readonly rule: string;
  readonly methods: ReadonlySet<string>;
  readonly view: View;
  readonly pattern: RegExp;
  readonly names: readonly (readonly [name: string, convert: Converter['convert']])[];
  readonly hasSlash: boolean;
  readonly isStatic: boolean;
}

/** Compiles a rule; throws Error for a converter that there is not. */
export function compileRule<View>(rule: string, methods: readonly string[], view: View): Rule<View> {
  const names: [string, Converter['convert']][] = [];
  const hasSlash = rule.length > 1 && rule.endsWith('/');
  const body = (hasSlash ? rule.slice(0, -1) : rule).replace(
    /<(?:(\w+):)?(\w+)>|[.*+?^${}()|[\]\\]/g,
    (part, kind, name) => {
      if (name === undefined) return `\\${part}`;
      const converter = CONVERTERS[kind ?? 'string'];
      if (!converter) throw new Error(`the converter '${kind}' does not exist`);
      names.push([name, converter.convert]);
      return `(${converter.pattern})`;
    },
  );
  const all = new Set(methods.map((method) => method.toUpperCase()));
  if (all.has('GET')) all.add('HEAD');
  all.add('OPTIONS');
  return {
    rule,
    methods: all,
    view,
    names,
    hasSlash,
    pattern: new RegExp(`^${body}${hasSlash ? '(/)?' : ''}$`),
    isStatic: names.length === 0,
  };
}

/** What a path leads to: a view, a redirect to the path with its slash, or an automatic answer to OPTIONS. */
export type Match<View> =
  | { readonly kind: 'view'; readonly rule: Rule<View>; readonly args: ViewArguments }
  | { readonly kind: 'slash' }
  | { readonly kind: 'options'; readonly allow: string };

/** Looks a path up. Throws HttpException 404 or 405. */
export function match<View>(rules: readonly Rule<View>[], method: string, path: string): Match<View> {
  const allowed = new Set<string>();
  // A fixed path wins over one with converters, whatever the order of definition.
  for (const rule of [...rules.filter((each) => each.isStatic), ...rules.filter((each) => !each.isStatic)]) {
    const found = rule.pattern.exec(path);
    if (!found) continue;
    if (!rule.methods.has(method)) {
      for (const each of rule.methods) allowed.add(each);
      continue;
    }
    if (rule.hasSlash && found[found.length - 1] !== '/') return { kind: 'slash' };
    if (method === 'OPTIONS') {
      return {
        kind: 'options',
        allow: allow(rules.filter((each) => each.pattern.test(path)).flatMap((each) => [...each.methods])),
      };
    }
    const args = Object.fromEntries(
      rule.names.map(([name, convert], index) => [name, convert(unquote(found[index + 1] ?? ''))]),
    );
    return { kind: 'view', rule, args };
  }
  if (allowed.size === 0) throw new HttpException(404);
  throw new HttpException(405, undefined, [['Allow', allow([...allowed])]]);
}

const ORDER = ['HEAD', 'OPTIONS', 'GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

function allow(methods: readonly string[]): string {
  return [...new Set(methods)].sort((one, other) => ORDER.indexOf(one) - ORDER.indexOf(other)).join(', ');
}
