/**
 * Schemas: what a parameter or a body must be. One declaration gives the check with pydantic's errors (those of pydantic 1 are in pydantic1.ts), the JSON Schema for OpenAPI 3.1,
 * and the TypeScript type of the value that a handler gets.
 */

import { versionProfile } from '../../versions.ts';
import * as pydantic1 from './pydantic1.ts';
import { type Check, FAILED, type NumberLimits, parseFloatText, type Result, type TextLimits } from './validation.ts';

// The profile is that of the process.
const isOld = versionProfile().pydantic === 1;

/** A JSON Schema, keys in the order in which FastAPI writes them. */
export type JsonSchema = { [key: string]: unknown };

/** One schema. `check` reports into its Check and gives FAILED when the value is no good. */
export interface Schema<T> {
  check(input: unknown, at: Check): Result<T>;
  /** The JSON Schema; named models are put into `definitions` and referred to. */
  json(definitions: Record<string, JsonSchema>): JsonSchema;
  /** The value as JSON shows it, where that is not how JavaScript would: Python writes a whole float as 1.0. */
  dump?(value: T): unknown;
  readonly isOptional: boolean;
  /** The value when there is none; only for optional ones. */
  readonly fallback?: T;
}

/** The type that a schema describes. */
export type ValueOf<S> = S extends Schema<infer T> ? T : never;

/** Schemas by name: parameters, or the fields of a model. */
export type Fields = Readonly<Record<string, Schema<unknown>>>;
export type ValuesOf<F extends Fields> = { readonly [Name in keyof F]: ValueOf<F[Name]> };

function fail(at: Check, type: string, msg: string, input: unknown, ctx?: Record<string, unknown>): typeof FAILED {
  at.errors.push({ type, loc: at.loc, msg, input, ...(ctx ? { ctx } : {}) });
  return FAILED;
}

// In the order in which pydantic checks them.
const LIMITS = [
  ['le', 'less_than_equal', 'less than or equal to', (value: number, limit: number) => value <= limit, 'maximum'],
  ['lt', 'less_than', 'less than', (value: number, limit: number) => value < limit, 'exclusiveMaximum'],
  ['ge', 'greater_than_equal', 'greater than or equal to', (value: number, limit: number) => value >= limit, 'minimum'],
  ['gt', 'greater_than', 'greater than', (value: number, limit: number) => value > limit, 'exclusiveMinimum'],
] as const;

const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/** A float as Python's JSON writes it. */
function pythonFloat(value: number): unknown {
  if (!Number.isFinite(value)) throw new RangeError('Out of range float values are not JSON compliant');
  return Number.isInteger(value) && Math.abs(value) < 1e16 ? rawJSON(`${value}.0`) : value;
}

type ShowNumber = (value: number) => unknown;

function limited(
  value: number,
  limits: NumberLimits,
  input: unknown,
  at: Check,
  show: ShowNumber = (v) => v,
): Result<number> {
  for (const [key, type, words, holds] of LIMITS) {
    const limit = limits[key];
    if (limit !== undefined && !holds(value, limit)) {
      return fail(at, type, `Input should be ${words} ${limit}`, input, { [key]: show(limit) });
    }
  }
  return value;
}

// OpenAPI's models hold limits as floats, those of whole numbers too.
function limitSchema(limits: NumberLimits): JsonSchema {
  return Object.fromEntries(
    LIMITS.filter(([key]) => limits[key] !== undefined).map(([key, , , , name]) => [
      name,
      pythonFloat(limits[key] ?? 0),
    ]),
  );
}

/** A whole number. */
export function int(limits: NumberLimits = {}): Schema<number> {
  return {
    isOptional: false,
    check(input, at) {
      if (isOld) return pydantic1.checkInt(input, limits, at);
      if (typeof input === 'number') {
        if (Number.isInteger(input)) return limited(input, limits, input, at);
        return fail(
          at,
          'int_from_float',
          'Input should be a valid integer, got a number with a fractional part',
          input,
        );
      }
      if (typeof input === 'boolean') return limited(input ? 1 : 0, limits, input, at);
      if (typeof input !== 'string') return fail(at, 'int_type', 'Input should be a valid integer', input);
      if (!/^\s*[+-]?\d+(_\d+)*(\.0+)?\s*$/.test(input)) {
        return fail(at, 'int_parsing', 'Input should be a valid integer, unable to parse string as an integer', input);
      }
      return limited(Number(input.replaceAll('_', '')), limits, input, at);
    },
    json: () => ({ type: 'integer', ...limitSchema(limits) }),
  };
}

/** A number. */
export function float(limits: NumberLimits = {}): Schema<number> {
  return {
    isOptional: false,
    dump: pythonFloat,
    check(input, at) {
      if (isOld) return pydantic1.checkFloat(input, limits, at);
      if (typeof input === 'number') return limited(input, limits, input, at, pythonFloat);
      if (typeof input === 'boolean') return limited(input ? 1 : 0, limits, input, at, pythonFloat);
      if (typeof input !== 'string') return fail(at, 'float_type', 'Input should be a valid number', input);
      const value = parseFloatText(input);
      if (value === null) {
        return fail(at, 'float_parsing', 'Input should be a valid number, unable to parse string as a number', input);
      }
      return limited(value, limits, input, at, pythonFloat);
    },
    json: () => ({ type: 'number', ...limitSchema(limits) }),
  };
}

const characters = (count: number): string => `${count} character${count === 1 ? '' : 's'}`;

/** Text. */
export function str(limits: TextLimits = {}): Schema<string> {
  const { min_length: least, max_length: most } = limits;
  return {
    isOptional: false,
    check(input, at) {
      if (isOld) return pydantic1.checkStr(input, limits, at);
      if (typeof input !== 'string') return fail(at, 'string_type', 'Input should be a valid string', input);
      const length = [...input].length;
      if (least !== undefined && length < least) {
        return fail(at, 'string_too_short', `String should have at least ${characters(least)}`, input, {
          min_length: least,
        });
      }
      if (most !== undefined && length > most) {
        return fail(at, 'string_too_long', `String should have at most ${characters(most)}`, input, {
          max_length: most,
        });
      }
      return input;
    },
    json: () => ({
      type: 'string',
      ...(most === undefined ? {} : { maxLength: most }),
      ...(least === undefined ? {} : { minLength: least }),
    }),
  };
}

/** True or false, or one of the words for it. */
export function bool(): Schema<boolean> {
  return {
    isOptional: false,
    check(input, at) {
      if (isOld) return pydantic1.checkBool(input, at);
      if (typeof input === 'boolean') return input;
      const word = String(input).toLowerCase();
      if (typeof input === 'string' || input === 0 || input === 1) {
        if (['1', 'true', 't', 'yes', 'y', 'on'].includes(word)) return true;
        if (['0', 'false', 'f', 'no', 'n', 'off'].includes(word)) return false;
      }
      if (typeof input === 'string' || (typeof input === 'number' && Number.isInteger(input))) {
        return fail(at, 'bool_parsing', 'Input should be a valid boolean, unable to interpret input', input);
      }
      return fail(at, 'bool_type', 'Input should be a valid boolean', input);
    },
    json: () => ({ type: 'boolean' }),
  };
}

/** A value as JSON shows it. */
export function dumped<T>(schema: Schema<T>, value: T): unknown {
  return schema.dump ? schema.dump(value) : value;
}

/** A list of things of one kind. */
export function list<T>(item: Schema<T>): Schema<readonly T[]> {
  return {
    isOptional: false,
    check(input, at) {
      if (isOld) return pydantic1.checkList(input, at, (each, inner) => item.check(each, inner));
      if (!Array.isArray(input)) return fail(at, 'list_type', 'Input should be a valid list', input);
      const before = at.errors.length;
      const values = input.map((each, index) => item.check(each, { ...at, loc: [...at.loc, index] }));
      return at.errors.length > before ? FAILED : (values as T[]);
    },
    dump: (values) => values.map((value) => dumped(item, value)),
    json: (definitions) => ({ items: item.json(definitions), type: 'array' }),
  };
}

/** A value or null; null when it is missing. */
export function optional<T>(schema: Schema<T>): Schema<T | null> {
  return {
    isOptional: true,
    fallback: null,
    dump: (value) => (value === null ? null : dumped(schema, value)),
    check: (input, at) => (input === null ? null : schema.check(input, at)),
    json: (definitions) => ({ anyOf: [schema.json(definitions), { type: 'null' }] }),
  };
}

/** A value that may be missing. */
export function withDefault<T>(schema: Schema<T>, fallback: T): Schema<T> {
  return {
    ...schema,
    isOptional: true,
    fallback,
    json: (definitions) => ({ ...schema.json(definitions), default: fallback }),
  };
}

/** `item_id` as FastAPI titles it: Item Id. */
export function titleOf(name: string): string {
  return name
    .replace(/[a-z]+/gi, (word) => word.charAt(0).toUpperCase() + word.slice(1).toLowerCase())
    .replaceAll('_', ' ');
}

function checkObject(input: unknown, at: Check): Result<Record<string, unknown>> {
  if (typeof input === 'object' && input !== null && !Array.isArray(input)) return input as Record<string, unknown>;
  const msg = 'Input should be a valid dictionary or object to extract fields from';
  return fail(at, 'model_attributes_type', msg, input);
}

/** An object with fields, under a name of its own in the API's documentation. Fields that it does not name are dropped. */
export function model<F extends Fields>(name: string, fields: F): Schema<ValuesOf<F>> {
  return {
    isOptional: false,
    check(input, at) {
      const whole = isOld ? pydantic1.checkDict(input, at) : checkObject(input, at);
      if (whole === FAILED) return FAILED;
      const before = at.errors.length;
      const values = checkFields(fields, (field) => whole[field], at, input);
      return at.errors.length > before ? FAILED : (values as ValuesOf<F>);
    },
    dump: (values) =>
      Object.fromEntries(Object.entries(fields).map(([field, schema]) => [field, dumped(schema, values[field])])),
    json(definitions) {
      if (!(name in definitions)) {
        definitions[name] = {};
        const properties = Object.entries(fields).map(([field, schema]) => [
          field,
          titled(schema.json(definitions), field),
        ]);
        const required = Object.keys(fields).filter((field) => !fields[field]?.isOptional);
        definitions[name] = {
          properties: Object.fromEntries(properties),
          type: 'object',
          ...(required.length > 0 ? { required } : {}),
          title: name,
        };
      }
      return { $ref: `#/components/schemas/${name}` };
    },
  };
}

/** A schema under a title; `default` stands after it, as pydantic writes it. */
export function titled(schema: JsonSchema, name: string): JsonSchema {
  if ('$ref' in schema) return schema;
  const { default: fallback, ...rest } = schema;
  return { ...rest, title: titleOf(name), ...('default' in schema ? { default: fallback } : {}) };
}

/** Reports a value that is not there; `whole` is what it is missing from. */
export function missing(at: Check, whole: unknown): void {
  if (isOld) pydantic1.missing(at);
  else fail(at, 'missing', 'Field required', whole);
}

/** Checks several fields, each from where `read` finds it; a missing one is an error with `whole` as its input; errors call it as `shown` does. */
export function checkFields(
  fields: Fields,
  read: (name: string) => unknown,
  at: Check,
  whole: unknown,
  shown: (name: string) => string = (name) => name,
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(fields)) {
    const input = read(name);
    const inner = { ...at, loc: [...at.loc, shown(name)] };
    if (input !== undefined) values[name] = schema.check(input, inner);
    else if (schema.isOptional) values[name] = schema.fallback;
    else missing(inner, whole);
  }
  return values;
}
