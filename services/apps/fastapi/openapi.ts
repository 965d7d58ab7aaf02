/** The OpenAPI 3.1 document of an application, as FastAPI generates it, key by key in its order. */
import type { Route } from './route.ts';
import { type Fields, type JsonSchema, titled, titleOf } from './schema.ts';

const VALIDATION_ERRORS: Record<string, JsonSchema> = {
  HTTPValidationError: {
    properties: { detail: { items: { $ref: '#/components/schemas/ValidationError' }, type: 'array', title: 'Detail' } },
    type: 'object',
    title: 'HTTPValidationError',
  },
  ValidationError: {
    properties: {
      loc: { items: { anyOf: [{ type: 'string' }, { type: 'integer' }] }, type: 'array', title: 'Location' },
      msg: { type: 'string', title: 'Message' },
      type: { type: 'string', title: 'Error Type' },
      input: { title: 'Input' },
      ctx: { type: 'object', title: 'Context' },
    },
    type: 'object',
    required: ['loc', 'msg', 'type'],
    title: 'ValidationError',
  },
};

/** What an application says about itself. */
export interface ApiInfo {
  readonly title: string;
  readonly version: string;
  readonly description?: string;
}

/** The document; `rootPath` is where the proxy has mounted the application. */
export function openapi(info: ApiInfo, routes: readonly Route[], rootPath: string): JsonSchema {
  const definitions: Record<string, JsonSchema> = {};
  const paths: Record<string, JsonSchema> = {};
  let hasValidation = false;
  for (const route of routes) {
    if (route.isHidden) continue;
    const path = route.path.replace(/:(?:\w+)\}/g, '}');
    const item = (paths[path] ??= {});
    for (const method of route.methods) {
      const { operation, validates } = describe(route, path, method, definitions);
      hasValidation ||= validates;
      item[method.toLowerCase()] = operation;
    }
  }
  if (hasValidation) Object.assign(definitions, VALIDATION_ERRORS);
  const sorted = Object.fromEntries(Object.entries(definitions).sort(([one], [other]) => (one < other ? -1 : 1)));
  const { title, description, version } = info;
  return {
    openapi: '3.1.0',
    info: { title, ...(description === undefined ? {} : { description }), version },
    ...(rootPath === '' ? {} : { servers: [{ url: rootPath }] }),
    paths,
    ...(Object.keys(sorted).length > 0 ? { components: { schemas: sorted } } : {}),
  };
}

function describe(
  route: Route,
  path: string,
  method: string,
  definitions: Record<string, JsonSchema>,
): { readonly operation: JsonSchema; readonly validates: boolean } {
  const { operation } = route;
  const name = operation.name ?? (path.replace(/[{}]/g, '').replace(/\W+/g, '_').replace(/^_|_$/g, '') || 'root');
  const parameters = [
    ...describeParameters(operation.path ?? {}, 'path', definitions),
    ...describeParameters(operation.query ?? {}, 'query', definitions),
    ...describeParameters(operation.headers ?? {}, 'header', definitions),
  ];
  const body = operation.body?.json(definitions);
  const validates = parameters.length > 0 || body !== undefined;
  const described: JsonSchema = {
    ...(operation.tags ? { tags: operation.tags } : {}),
    summary: operation.summary ?? titleOf(name),
    operationId: `${name}${path.replace(/\W/g, '_')}_${method.toLowerCase()}`,
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body ? { requestBody: { content: { 'application/json': { schema: body } }, required: true } } : {}),
    responses: {
      [operation.status ?? 200]: {
        description: 'Successful Response',
        content: { 'application/json': { schema: operation.response?.json(definitions) ?? {} } },
      },
      ...(validates
        ? {
            422: {
              description: 'Validation Error',
              content: { 'application/json': { schema: { $ref: '#/components/schemas/HTTPValidationError' } } },
            },
          }
        : {}),
    },
  };
  return { operation: described, validates };
}

function describeParameters(fields: Fields, place: string, definitions: Record<string, JsonSchema>): JsonSchema[] {
  return Object.entries(fields).map(([name, schema]) => {
    const shown = place === 'header' ? name.replaceAll('_', '-') : name;
    const json = titled(schema.json(definitions), shown);
    const { title, default: fallback, ...rest } = json;
    // For parameters FastAPI writes the default before the title, and limits as they were declared: 0, where a model has 0.0.
    const ordered = {
      ...rest,
      ...('default' in json ? { default: fallback } : {}),
      ...('title' in json ? { title } : {}),
    };
    return {
      name: shown,
      in: place,
      required: !schema.isOptional,
      schema: asDeclared(JSON.parse(JSON.stringify(ordered))),
    };
  });
}

const DECLARED = 'type items anyOf maximum minimum exclusiveMaximum exclusiveMinimum minLength maxLength'.split(' ');

/** A parameter's schema has its keys in pydantic's order; those of models went through OpenAPI's own models, and have theirs. */
function asDeclared(schema: JsonSchema): JsonSchema {
  const ordered: JsonSchema = {};
  for (const key of [...DECLARED, ...Object.keys(schema)]) {
    if (!(key in schema) || key in ordered) continue;
    const value = schema[key];
    if (key === 'anyOf') ordered[key] = (value as JsonSchema[]).map(asDeclared);
    else ordered[key] = key === 'items' ? asDeclared(value as JsonSchema) : value;
  }
  return ordered;
}
