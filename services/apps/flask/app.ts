/**
 * A small synchronous web framework with Flask's shape: routes, hooks before and after, error handlers, blueprints. An application is
 * the WSGI callable itself. Views run on the thread that serves the request and may block it.
 */

import { owe, oweBoot } from '../../cost/bill.ts';
import { WERKZEUG_PHRASES } from '../../http/status-phrases.ts';
import { writeAll } from '../../log/log-file.ts';
import { traceback } from '../../python-repr.ts';
import type { Environ, StartResponse, WsgiApp, WsgiResult } from '../../wsgi.ts';
import { HttpException } from './http-exception.ts';
import { Request } from './request.ts';
import { jsonify, Response, type ResponseBody, redirect } from './response.ts';
import { compileRule, match, type Rule, type ViewArguments } from './routing.ts';

/** What a view may return: a Response, text, bytes, pieces, a plain value for JSON, or one of these with a status and header fields. */
export type ViewResult =
  | Response
  | ResponseBody
  | Readonly<Record<string, unknown>>
  | readonly [body: unknown, status: number, headers?: Readonly<Record<string, string>>];

/** A view: the request, and what the rule took from the path. */
export type View = (request: Request, args: ViewArguments) => ViewResult;

type BeforeHook = (request: Request) => ViewResult | undefined | undefined;
type AfterHook = (response: Response, request: Request) => Response;
type TeardownHook = (error: unknown) => void;
type ErrorHandler = (error: unknown, request: Request) => ViewResult;

interface Routes {
  route(rule: string, view: View, options?: { methods?: readonly string[] }): void;
  get(rule: string, view: View): void;
  post(rule: string, view: View): void;
}

/** A set of routes that is mounted under a prefix later. */
export interface Blueprint extends Routes {
  readonly rules: readonly { rule: string; view: View; methods: readonly string[] }[];
}

/** The application: call it as a WSGI app, or build it up. */
export interface Flask extends Routes {
  (environ: Environ, startResponse: StartResponse): WsgiResult;
  beforeRequest(hook: BeforeHook): void;
  afterRequest(hook: AfterHook): void;
  teardownRequest(hook: TeardownHook): void;
  /** Handles an HTTP status or a class of errors. */
  errorHandler(key: number | (new (...args: never[]) => Error), handler: ErrorHandler): void;
  registerBlueprint(blueprint: Blueprint, options?: { urlPrefix?: string }): void;
}

/** A new blueprint. */
export function blueprint(): Blueprint {
  const rules: { rule: string; view: View; methods: readonly string[] }[] = [];
  const route: Routes['route'] = (rule, view, options) =>
    rules.push({ rule, view, methods: options?.methods ?? ['GET'] });
  return { rules, ...shortcuts(route) };
}

function shortcuts(route: Routes['route']): Routes {
  return {
    route,
    get: (rule, view) => route(rule, view),
    post: (rule, view) => route(rule, view, { methods: ['POST'] }),
  };
}

/** A new application; `name` is what its log lines are headed with. */
export function flask(name = 'app'): Flask {
  oweBoot('flask.boot');
  const rules: Rule<View>[] = [];
  const before: BeforeHook[] = [];
  const after: AfterHook[] = [];
  const teardown: TeardownHook[] = [];
  const onStatus = new Map<number, ErrorHandler>();
  const onClass: [new (...args: never[]) => Error, ErrorHandler][] = [];

  const dispatch = (request: Request): ViewResult => {
    for (const hook of before) {
      const early = hook(request);
      if (early !== undefined) return early as ViewResult;
    }
    const found = match(rules, request.method, request.path);
    if (found.kind === 'view') return found.rule.view(request, found.args);
    if (found.kind === 'options') {
      const response = new Response('');
      response.headers.splice(1, 0, ['Allow', found.allow]);
      return response;
    }
    const query = request.queryString ? `?${request.queryString}` : '';
    return redirect(`${request.scheme}://${request.host}${request.scriptRoot}${request.path}/${query}`, 308);
  };

  const handle = (error: unknown, request: Request): ViewResult => {
    const byClass = onClass.find(([each]) => error instanceof each)?.[1];
    if (byClass) return byClass(error, request);
    if (error instanceof HttpException) return onStatus.get(error.status)?.(error, request) ?? exceptionResponse(error);
    if (error instanceof Error && error.name === 'SystemExit') throw error;
    logException(name, request, error);
    return onStatus.get(500)?.(error, request) ?? exceptionResponse(new HttpException(500));
  };

  const wsgi: WsgiApp = (environ, startResponse) => {
    owe('flask.request');
    const request = new Request(environ);
    let failure: unknown = null;
    let response: Response;
    try {
      response = toResponse(dispatch(request));
    } catch (error) {
      failure = error instanceof HttpException ? null : error;
      response = toResponse(handle(error, request));
    }
    for (const hook of [...after].reverse()) response = hook(response, request);
    startResponse(response.statusLine, response.headers);
    for (const hook of [...teardown].reverse()) hook(failure);
    return request.method === 'HEAD' ? [] : pieces(response.body);
  };

  const route: Routes['route'] = (rule, view, options) =>
    rules.push(compileRule(rule, options?.methods ?? ['GET'], view));
  return Object.assign(wsgi, {
    ...shortcuts(route),
    beforeRequest: (hook: BeforeHook) => void before.push(hook),
    afterRequest: (hook: AfterHook) => void after.push(hook),
    teardownRequest: (hook: TeardownHook) => void teardown.push(hook),
    errorHandler: (key: number | (new (...args: never[]) => Error), handler: ErrorHandler) => {
      if (typeof key === 'number') onStatus.set(key, handler);
      else onClass.push([key, handler]);
    },
    registerBlueprint: (mounted: Blueprint, options?: { urlPrefix?: string }) => {
      for (const { rule, view, methods } of mounted.rules) route((options?.urlPrefix ?? '') + rule, view, { methods });
    },
  });
}

function exceptionResponse(error: HttpException): Response {
  const response = new Response(error.page, { status: error.status });
  response.headers.splice(1, 0, ...error.headers.map(([key, value]): [string, string] => [key, value]));
  return response;
}

function toResponse(result: unknown): Response {
  if (result instanceof Response) return result;
  if (Array.isArray(result) && typeof result[1] === 'number') {
    const [body, status, headers] = result as [unknown, number, Record<string, string>?];
    const response = toResponse(body);
    response.status = status;
    response.headers.unshift(...Object.entries(headers ?? {}).map(([key, value]): [string, string] => [key, value]));
    return response;
  }
  if (typeof result === 'string' || result instanceof Uint8Array) return new Response(result);
  if (typeof result === 'object' && result !== null) {
    return Symbol.iterator in result && !Array.isArray(result)
      ? new Response(result as Iterable<string>)
      : jsonify(result);
  }
  throw new TypeError('The view function did not return a valid response.');
}

function* encoded(body: Iterable<string | Uint8Array>): Generator<Uint8Array> {
  for (const piece of body) yield typeof piece === 'string' ? Buffer.from(piece) : piece;
}

function pieces(body: ResponseBody): WsgiResult {
  if (typeof body === 'string') return [Buffer.from(body)];
  return body instanceof Uint8Array ? [body] : encoded(body);
}

// Flask's own logger, which writes beside Gunicorn's: other format, same stream.
function logException(name: string, request: Request, error: unknown): void {
  const now = new Date();
  const two = (number: number): string => String(number).padStart(2, '0');
  const date = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
  const time = `${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())},${String(now.getMilliseconds()).padStart(3, '0')}`;
  const about = `Exception on ${request.path} [${request.method}]`;
  writeAll(2, `[${date} ${time}] ERROR in ${name}: ${about}\n${traceback(error)}\n`);
}

/** The phrase of a status, for applications that show one. */
export function statusPhrase(status: number): string {
  return WERKZEUG_PHRASES[status] ?? 'Unknown';
}
