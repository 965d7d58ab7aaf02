/** From a request to the checked inputs of an operation, with FastAPI's order of errors: path, query, headers, body. */
import { versionProfile } from '../../versions.ts';
import type { DependencyMap } from './dependencies.ts';
import { JsonInvalid, parseJson } from './json-body.ts';
import { invalidJson } from './pydantic1.ts';
import type { Request } from './request.ts';
import { HTTPException } from './responses.ts';
import type { Operation } from './route.ts';
import { checkFields, type Fields, missing, type Schema } from './schema.ts';
import type { ValidationError } from './validation.ts';

/** A request that does not fit its operation: answered with 422. */
export class RequestValidationError extends Error {
  override readonly name = 'RequestValidationError';
  readonly errors: readonly ValidationError[];

  constructor(errors: readonly ValidationError[]) {
    super(`${errors.length} validation error(s)`);
    this.errors = errors;
  }
}

/** What could be checked; all of it can be copied to another thread. */
export interface CheckedInputs {
  readonly path: Readonly<Record<string, unknown>>;
  readonly query: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: unknown;
}

/** Checks everything. Rejects with RequestValidationError when anything is wrong. */
export async function checkInputs(
  operation: Operation<Fields, Fields, Fields, unknown, DependencyMap>,
  params: Readonly<Record<string, string>>,
  request: Request,
): Promise<CheckedInputs> {
  const errors: ValidationError[] = [];
  const at = (place: string): { source: 'text'; loc: string[]; errors: ValidationError[] } => ({
    source: 'text',
    loc: [place],
    errors,
  });
  const path = checkFields(operation.path ?? {}, (name) => params[name], at('path'), null);
  const readQuery = (name: string): unknown => {
    const all = request.query.getAll(name);
    return all.length === 0 ? undefined : isList(operation.query?.[name]) ? all : all.at(-1);
  };
  const query = checkFields(operation.query ?? {}, readQuery, at('query'), null);
  const dashed = (name: string): string => name.replaceAll('_', '-');
  const readHeader = (name: string): unknown => request.headers.get(dashed(name));
  const headers = checkFields(operation.headers ?? {}, readHeader, at('header'), null, dashed);
  const body = operation.body ? await checkBody(operation.body, request, errors) : undefined;
  if (errors.length > 0) throw new RequestValidationError(errors);
  return { path, query, headers, body };
}

function isList(schema: Schema<unknown> | undefined): boolean {
  return schema?.json({})['type'] === 'array';
}

// json.loads() of bytes that are not UTF-8 fails before there is anything to point at.
function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new HTTPException(400, 'There was an error parsing the body');
  }
}

async function checkBody(schema: Schema<unknown>, request: Request, errors: ValidationError[]): Promise<unknown> {
  const bytes = await request.body();
  const at = { source: 'json', loc: ['body'], errors } as const;
  const isOld = versionProfile().pydantic === 1;
  if (bytes.length === 0) {
    missing(at, null);
    return undefined;
  }
  const text = decode(bytes);
  const type = request.headers.get('content-type') ?? '';
  // FastAPI once took a body without a type for JSON.
  const isJson = (isOld && type === '') || /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(type);
  let value: unknown = text;
  if (isJson) {
    try {
      value = parseJson(text);
    } catch (error) {
      if (!(error instanceof JsonInvalid)) throw error;
      errors.push(isOld ? invalidJson(error, text) : jsonInvalid(error));
      return undefined;
    }
  }
  // JSON's null was taken for no body.
  if (isOld && value === null) missing(at, null);
  else return schema.check(value, at);
  return undefined;
}

function jsonInvalid(error: JsonInvalid): ValidationError {
  const ctx = { error: error.message };
  return { type: 'json_invalid', loc: ['body', error.at], msg: 'JSON decode error', input: {}, ctx };
}
