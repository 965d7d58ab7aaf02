/** What all checks of values have in common: where they are, what they report, and the mark of a value that is no good. */

/** One thing that is wrong, as it stands in a 422 body. Keys are in the order of the pydantic whose words it has. */
export interface ValidationError {
  readonly type: string;
  readonly loc: readonly (string | number)[];
  readonly msg: string;
  readonly input?: unknown;
  readonly ctx?: Readonly<Record<string, unknown>>;
}

/** Where a value comes from: text of a URL or header, which is converted, or JSON, which is mostly not. */
export type Source = 'text' | 'json';

/** A check in progress: collects errors at the current place. */
export interface Check {
  readonly source: Source;
  readonly loc: readonly (string | number)[];
  readonly errors: ValidationError[];
}

export const FAILED = Symbol('failed');
export type Result<T> = T | typeof FAILED;

/** Limits of a number; the names are pydantic's. */
export interface NumberLimits {
  readonly gt?: number;
  readonly ge?: number;
  readonly lt?: number;
  readonly le?: number;
}

/** Limits of a text, in characters. */
export interface TextLimits {
  readonly min_length?: number;
  readonly max_length?: number;
}

/** Python's float(text); null when it would raise. */
export function parseFloatText(text: string): number | null {
  if (/^\s*[+-]?(\d[\d_]*\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$/.test(text)) return Number(text.replaceAll('_', ''));
  const [, sign, word] = /^\s*([+-]?)(nan|inf|infinity)\s*$/i.exec(text) ?? [];
  if (word === undefined) return null;
  return word.toLowerCase() === 'nan' ? Number.NaN : sign === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}
