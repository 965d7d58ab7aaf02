// The one engine for strings with variables: `http://$host$request_uri` compiled once into parts, evaluated for each
// request. Strings hold bytes (latin1). A variable that was not found is the empty string, as in nginx.
import type { Exchange } from '../http/exchange.ts';
import { errorAt, type Place } from './error.ts';
import type { VariableRef, VariableTable } from './variables.ts';

export interface Template {
  /** The text as written. */
  readonly source: string;
  /** The whole value when there is no variable in it. */
  readonly constant: string | undefined;
  readonly parts: readonly (string | VariableRef)[];
  /** Whether `$1` … `$9` stand in it. */
  readonly hasCaptures: boolean;
  evaluate(r: Exchange): string;
}

class Constant implements Template {
  readonly source: string;
  readonly constant: string;
  readonly parts: readonly string[];
  readonly hasCaptures = false;

  constructor(source: string) {
    this.source = source;
    this.constant = source;
    this.parts = [source];
  }

  evaluate(): string {
    return this.constant;
  }
}

class Compound implements Template {
  readonly source: string;
  readonly constant = undefined;
  readonly parts: readonly (string | VariableRef)[];
  readonly hasCaptures: boolean;

  constructor(source: string, parts: readonly (string | VariableRef)[]) {
    this.hasCaptures = parts.some((part) => typeof part !== 'string' && part.isCapture);
    this.source = source;
    this.parts = parts;
  }

  evaluate(r: Exchange): string {
    let out = '';
    for (const part of this.parts) out += typeof part === 'string' ? part : (part.get(r) ?? '');
    return out;
  }
}

/** Splits `source` into literals and variables (`$name`, `${name}`, `$1`). */
export function compileTemplate(source: string, table: VariableTable, place: Place): Template {
  if (!source.includes('$')) return new Constant(source);
  const parts: (string | VariableRef)[] = [];
  let literal = '';
  for (let i = 0; i < source.length; i++) {
    if (source[i] !== '$') {
      literal += source[i];
      continue;
    }
    let name: string;
    if (source[i + 1] === '{') {
      const close = /^[A-Za-z0-9_]*/.exec(source.slice(i + 2))![0];
      if (source[i + 2 + close.length] !== '}') {
        throw errorAt(place, `the closing bracket in "${close}" variable is missing`);
      }
      name = close;
      i += close.length + 2;
    } else if (/[1-9]/.test(source[i + 1] ?? '')) {
      name = source[i + 1]!;
      i += 1;
    } else {
      name = /^[A-Za-z0-9_]*/.exec(source.slice(i + 1))![0];
      i += name.length;
    }
    if (name === '') throw errorAt(place, 'invalid variable name');
    if (literal) parts.push(literal);
    literal = '';
    parts.push(table.reference(name));
  }
  if (literal) parts.push(literal);
  return new Compound(source, parts);
}

/** A template without variables. */
export function constantTemplate(text: string): Template {
  return new Constant(text);
}
