/**
 * The checks of pydantic 1, which FastAPI had in the time of Debian 12: it converts more (a float to an int, a number to text) and reports
 * `{"loc", "msg", "type"}` in other words, without the input. Under the current profile nothing of this is used; see schema.ts.
 */
import type { JsonInvalid } from './json-body.ts';
import {
  type Check,
  FAILED,
  type NumberLimits,
  parseFloatText,
  type Result,
  type TextLimits,
  type ValidationError,
} from './validation.ts';

function fail(at: Check, type: string, msg: string, ctx?: Record<string, unknown>): typeof FAILED {
  at.errors.push({ loc: at.loc, msg, type, ...(ctx ? { ctx } : {}) });
  return FAILED;
}

const beyond = (at: Check, words: string, type: string, limit: number): typeof FAILED =>
  fail(at, `value_error.${type}`, `ensure this value ${words.replace('{}', String(limit))}`, { limit_value: limit });

// null is refused before a type looks at it.
const noNull = <T>(input: unknown, at: Check, check: () => Result<T>): Result<T> =>
  input === null ? fail(at, 'type_error.none.not_allowed', 'none is not an allowed value') : check();

function limited(value: number, { gt, ge, lt, le }: NumberLimits, at: Check): Result<number> {
  if (gt !== undefined && !(value > gt)) return beyond(at, 'is greater than {}', 'number.not_gt', gt);
  if (ge !== undefined && !(value >= ge)) return beyond(at, 'is greater than or equal to {}', 'number.not_ge', ge);
  if (lt !== undefined && !(value < lt)) return beyond(at, 'is less than {}', 'number.not_lt', lt);
  if (le !== undefined && !(value <= le)) return beyond(at, 'is less than or equal to {}', 'number.not_le', le);
  return value;
}

function toInt(input: unknown): number | null {
  if (typeof input === 'boolean') return input ? 1 : 0;
  if (typeof input === 'number') return Number.isFinite(input) ? Math.trunc(input) : null;
  const isInt = typeof input === 'string' && /^\s*[+-]?\d+(_\d+)*\s*$/.test(input);
  return isInt ? Number(input.replaceAll('_', '')) : null;
}

function toFloat(input: unknown): number | null {
  if (typeof input === 'number' || typeof input === 'boolean') return Number(input);
  return typeof input === 'string' ? parseFloatText(input) : null;
}

/** A whole number; what is behind the point of another is cut off. */
export const checkInt = (input: unknown, limits: NumberLimits, at: Check): Result<number> =>
  noNull(input, at, () => {
    const value = toInt(input);
    return value === null ? fail(at, 'type_error.integer', 'value is not a valid integer') : limited(value, limits, at);
  });

/** A number. */
export const checkFloat = (input: unknown, limits: NumberLimits, at: Check): Result<number> =>
  noNull(input, at, () => {
    const value = toFloat(input);
    return value === null ? fail(at, 'type_error.float', 'value is not a valid float') : limited(value, limits, at);
  });

/** Text, or a number as Python's str() writes it. */
export const checkStr = (input: unknown, limits: TextLimits, at: Check): Result<string> =>
  noNull(input, at, () => {
    const { min_length: least, max_length: most } = limits;
    let text = String(input);
    if (typeof input === 'boolean') text = input ? 'True' : 'False';
    else if (typeof input !== 'string' && typeof input !== 'number') {
      return fail(at, 'type_error.str', 'str type expected');
    }
    const length = [...text].length;
    if (least !== undefined && length < least) {
      return beyond(at, 'has at least {} characters', 'any_str.min_length', least);
    }
    if (most !== undefined && length > most) {
      return beyond(at, 'has at most {} characters', 'any_str.max_length', most);
    }
    return text;
  });

/** True or false, or one of the words for it. */
export const checkBool = (input: unknown, at: Check): Result<boolean> =>
  noNull(input, at, () => {
    const word = typeof input === 'object' ? '' : String(input).toLowerCase();
    if (['1', 'true', 't', 'yes', 'y', 'on'].includes(word)) return true;
    if (['0', 'false', 'f', 'no', 'n', 'off'].includes(word)) return false;
    return fail(at, 'type_error.bool', 'value could not be parsed to a boolean');
  });

/** A list whose items `check` looks at. */
export const checkList = <T>(
  input: unknown,
  at: Check,
  check: (item: unknown, at: Check) => Result<T>,
): Result<readonly T[]> =>
  noNull(input, at, () => {
    if (!Array.isArray(input)) return fail(at, 'type_error.list', 'value is not a valid list');
    const before = at.errors.length;
    const values = input.map((each, index) => check(each, { ...at, loc: [...at.loc, index] }));
    return at.errors.length > before ? FAILED : (values as T[]);
  });

/** What dict() makes of a value: an object, or a list of pairs. */
export const checkDict = (input: unknown, at: Check): Result<Record<string, unknown>> =>
  noNull(input, at, () => {
    const isPair = (each: unknown): boolean => Array.isArray(each) && each.length === 2;
    if (Array.isArray(input) && input.every(isPair)) return Object.fromEntries(input as [string, unknown][]);
    if (typeof input === 'object' && !Array.isArray(input)) return input as Record<string, unknown>;
    return fail(at, 'type_error.dict', 'value is not a valid dict');
  });

/** A value that is not there and must be. */
export const missing = (at: Check): typeof FAILED => fail(at, 'value_error.missing', 'field required');

/** A body that is no JSON. */
export function invalidJson(error: JsonInvalid, doc: string): ValidationError {
  const before = doc.slice(0, error.at).split('\n');
  const [lineno, colno] = [before.length, (before.at(-1) ?? '').length + 1];
  const pos = error.at;
  return {
    loc: ['body', pos],
    msg: `${error.message}: line ${lineno} column ${colno} (char ${pos})`,
    type: 'value_error.jsondecode',
    ctx: { msg: error.message, doc, pos, lineno, colno },
  };
}
