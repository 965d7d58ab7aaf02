// Reads typed values out of located nodes: text, numbers, booleans, durations, lists, maps, command lines. Each function
// gives the value or throws the ComposeError that names the field, so callers never check shapes themselves.
// After this, no string of the file travels on: durations are ms, commands are argument lists.
import { type Located, refuse } from './located.ts';

export type LocatedMap = Extract<Located, { kind: 'map' }>;

/** The node as a map. */
export function mapOf(node: Located): LocatedMap {
  if (node.kind !== 'map') throw refuse(node, 'must be a mapping');
  return node;
}

/** The node's items; it must be a list. */
export function listOf(node: Located): readonly Located[] {
  if (node.kind !== 'list') throw refuse(node, 'must be a list');
  return node.items;
}

/** The node as text; numbers and booleans are taken as written, as Compose does. */
export function textOf(node: Located): string {
  if (node.kind !== 'scalar' || node.value === null) throw refuse(node, 'must be a string');
  return String(node.value);
}

/** The node as a whole number that is not negative. */
export function countOf(node: Located): number {
  const text = node.kind === 'scalar' ? String(node.value) : '';
  if (!/^\d+$/.test(text)) throw refuse(node, 'must be a whole number');
  return Number(text);
}

/** The node as a boolean; the strings that a variable may have given are read too. */
export function booleanOf(node: Located): boolean {
  const text = node.kind === 'scalar' ? String(node.value) : '';
  if (text === 'true' || text === 'false') return text === 'true';
  throw refuse(node, 'must be true or false');
}

const UNITS_MS: Record<string, number> = { us: 0.001, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** The node as a duration such as 1m30s or 500ms, in ms. */
export function durationMsOf(node: Located): number {
  const text = textOf(node);
  if (!/^(?:\d+(?:\.\d+)?(?:us|ms|s|m|h))+$/.test(text)) {
    throw refuse(node, `must be a duration such as 30s or 1m30s, not "${text}"`);
  }
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(us|ms|s|m|h)/g))
    total += Number(amount) * UNITS_MS[unit!]!;
  return total;
}

/** A command: a list of arguments as it is, or a string split into arguments by the shell's quoting (no shell is run). */
export function argumentsOf(node: Located): string[] {
  if (node.kind === 'list') return node.items.map(textOf);
  if (node.kind === 'scalar' && node.value === null) return [];
  return splitWords(node, textOf(node));
}

/** KEY=value lists and maps alike, as pairs; a key without a value gives undefined. */
export function pairsOf(node: Located): Array<readonly [string, string | undefined]> {
  if (node.kind === 'list') {
    return node.items.map((item) => {
      const text = textOf(item);
      const equals = text.indexOf('=');
      if (equals === 0) throw refuse(item, `"${text}" has no name before "="`);
      return equals === -1 ? ([text, undefined] as const) : ([text.slice(0, equals), text.slice(equals + 1)] as const);
    });
  }
  if (node.kind !== 'map') throw refuse(node, 'must be a mapping or a list');
  return [...node.entries].map(([key, value]) => {
    if (value.kind !== 'scalar') throw refuse(value, 'must be a string, number, boolean or null');
    return [key, value.value === null ? undefined : String(value.value)] as const;
  });
}

function splitWords(node: Located, text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (let at = 0; at < text.length; at++) {
    const letter = text[at]!;
    if (/\s/.test(letter)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (letter === "'" || letter === '"') {
      word ??= '';
      for (at++; at < text.length && text[at] !== letter; at++) {
        if (letter === '"' && text[at] === '\\' && /["\\$`]/.test(text[at + 1] ?? '')) at++;
        word += text[at];
      }
      if (at >= text.length) throw refuse(node, `has a ${letter} that is not closed`);
    } else {
      if (letter === '\\' && at + 1 < text.length) at++;
      word = (word ?? '') + text[at]!;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}
