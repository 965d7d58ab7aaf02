/**
 * A small asynchronous web framework with FastAPI's shape: typed path operations with validation, dependencies, middleware, WebSockets,
 * a lifespan, and the documentation that follows from the declarations. An application is the ASGI callable itself.
 * It does not stand on fastify: an ASGI app gets a scope and two functions, not a Node request, and a shim of those costs more than routing.
 */
import type { AsgiApp, HttpScope, LifespanScope, Receive, Send, WebSocketScope } from '../../asgi.ts';
import { owe, oweBoot } from '../../cost/bill.ts';
import { register } from '../../gil/registry.ts';
import { runInThreadPool } from '../../gil/thread-pool.ts';
import { type DependencyMap, RequestDependencies } from './dependencies.ts';
import { swaggerAsset, swaggerPage } from './docs.ts';
import { checkInputs, RequestValidationError } from './inputs.ts';
import { type ApiInfo, openapi } from './openapi.ts';
import { plainReference, REDOC_ASSET, redocBundle, redocPage } from './redoc.ts';
import { ClientDisconnect, HttpConnection, Request } from './request.ts';
import { HTTPException, html, jsonResponse, plainText, Response } from './responses.ts';
import { compilePath, findRoute, type Inputs, type Operation, type Route } from './route.ts';
import { dumped, type Fields, str } from './schema.ts';
import { WebSocket, WebSocketDisconnect } from './websocket.ts';

type Empty = Record<never, never>;

/** Registers an operation; the handler's argument is typed by the declaration. */
type Register = <
  P extends Fields = Empty,
  Q extends Fields = Empty,
  H extends Fields = Empty,
  B = undefined,
  D extends DependencyMap = Empty,
>(
  path: string,
  operation: Operation<P, Q, H, B, D>,
  handler: (inputs: Inputs<P, Q, H, B, D>) => unknown,
) => void;

/** Registers a plain `def`: it runs in the thread pool and may block. It gets what can be copied to a thread: no request, no body stream. */
type RegisterSync = <P extends Fields = Empty, Q extends Fields = Empty, H extends Fields = Empty, B = undefined>(
  path: string,
  operation: Operation<P, Q, H, B, Empty>,
  handler: (inputs: Omit<Inputs<P, Q, H, B, Empty>, 'deps' | 'request'>) => unknown,
) => void;

/** Wraps all requests that come after it in the chain; the one added last is the outermost, as in Starlette. */
export type Middleware = (request: Request, next: () => Promise<Response>) => Promise<Response>;

/** The application: serve it as an ASGI app, or build it up. */
export interface FastApi extends AsgiApp {
  get: Register;
  post: Register;
  put: Register;
  delete: Register;
  getSync: RegisterSync;
  postSync: RegisterSync;
  websocket(
    path: string,
    handler: (socket: WebSocket, params: Readonly<Record<string, string>>) => Promise<void>,
  ): void;
  middleware(middleware: Middleware): void;
  exceptionHandler<E extends Error>(
    kind: new (...args: never[]) => E,
    handler: (request: Request, error: E) => Response,
  ): void;
}

/** What an application is made with. `module` is its import.meta.url, by which pool threads find its `def` endpoints. */
export interface FastApiOptions extends Partial<ApiInfo> {
  readonly module: string;
  /** Runs around the life of the application: up to its yield before the first request, the rest at the end. */
  readonly lifespan?: (state: Record<string, unknown>) => AsyncGenerator<void, void, void>;
}

type Handler = (inputs: never) => unknown;
type ExceptionHandler = (request: Request, error: never) => Response;

/** A new application. */
export function fastapi(options: FastApiOptions): FastApi {
  oweBoot('fastapi.boot');
  const info: ApiInfo = { title: 'FastAPI', version: '0.1.0', ...options };
  const routes: Route[] = [];
  const sockets: { pattern: RegExp; names: readonly string[]; handler: Parameters<FastApi['websocket']>[1] }[] = [];
  const middlewares: Middleware[] = [];
  const handlers: [new (...args: never[]) => Error, ExceptionHandler][] = [];

  const add = (
    method: string,
    path: string,
    operation: object,
    handler: Handler,
    kind: 'async' | 'sync' | 'hidden',
  ): void => {
    const poolKey = kind === 'sync' ? `${method} ${path}` : null;
    if (poolKey) register(options.module, poolKey, (inputs) => handler(inputs as never));
    const { pattern, names } = compilePath(path);
    routes.push({ path, methods: [method], pattern, names, operation, handler, poolKey, isHidden: kind === 'hidden' });
  };
  const on =
    (method: string, kind: 'async' | 'sync' = 'async'): Register =>
    (path, operation, handler) =>
      add(method, path, operation, handler as Handler, kind);

  addDocumentation((path, operation, handler) => add('GET', path, operation, handler, 'hidden'), info, routes);

  const respond = async (request: Request, dependencies: RequestDependencies): Promise<Response> => {
    const path = request.routePath || '/';
    const found = findRoute(routes, request.method, path);
    try {
      if (found.kind === 'method') throw new HTTPException(405, undefined, { allow: found.allow });
      if (found.kind === 'none') return redirectSlashes(routes, request, path);
      return await runOperation(found.route, found.params, request, dependencies, options.module);
    } finally {
      // Only now: whichever request settles first meanwhile would pay for this one, before anything that this one uses is counted.
      owe(found.kind === 'route' && found.route.poolKey ? 'fastapi.def' : 'fastapi.async');
    }
  };

  const handled = async (request: Request, dependencies: RequestDependencies): Promise<Response> => {
    try {
      return await respond(request, dependencies);
    } catch (thrown) {
      // Dependencies are cleaned up before the error is answered, and may have made another of it.
      const error = await dependencies.fail(thrown);
      const own = handlers.find(([kind]) => error instanceof kind)?.[1];
      if (own) return own(request, error as never);
      if (error instanceof HTTPException)
        return jsonResponse({ detail: error.detail }, { status: error.status, headers: error.headers });
      if (error instanceof RequestValidationError) return jsonResponse({ detail: error.errors }, { status: 422 });
      throw error;
    }
  };

  const http = async (scope: HttpScope, receive: Receive, send: Send): Promise<void> => {
    const request = new Request(scope, receive);
    const dependencies = new RequestDependencies(request);
    let isStarted = false;
    const watched: Send = (message) => {
      isStarted = true;
      return send(message);
    };
    try {
      const chain = middlewares.reduce<() => Promise<Response>>(
        (next, middleware) => () => middleware(request, next),
        () => handled(request, dependencies),
      );
      const response = await chain();
      await response.send(watched, receive);
      await response.background?.();
      await dependencies.close();
    } catch (thrown) {
      const error = await dependencies.fail(thrown);
      if (error instanceof ClientDisconnect) return;
      if (!isStarted) await plainText('Internal Server Error', { status: 500 }).send(send, receive);
      // The server logs it: answering an error does not make it disappear.
      throw error;
    }
  };

  const socket = async (scope: WebSocketScope, receive: Receive, send: Send): Promise<void> => {
    const path = new HttpConnection(scope).routePath;
    for (const { pattern, names, handler } of sockets) {
      const match = pattern.exec(path);
      if (!match) continue;
      const params = Object.fromEntries(names.map((name, index) => [name, match[index + 1] ?? '']));
      try {
        await handler(new WebSocket(scope, receive, send), params);
      } catch (error) {
        if (!(error instanceof WebSocketDisconnect)) throw error;
      }
      return;
    }
    await send({ type: 'websocket.close' });
  };

  const app: AsgiApp = async (scope, receive, send) => {
    if (scope.type === 'http') await http(scope, receive, send);
    else if (scope.type === 'websocket') await socket(scope, receive, send);
    else await runLifespan(options, scope, receive, send);
  };
  return Object.assign(app, {
    get: on('GET'),
    post: on('POST'),
    put: on('PUT'),
    delete: on('DELETE'),
    getSync: on('GET', 'sync') as RegisterSync,
    postSync: on('POST', 'sync') as RegisterSync,
    websocket: (path: string, handler: Parameters<FastApi['websocket']>[1]) => {
      sockets.push({ ...compilePath(path), handler });
    },
    middleware: (middleware: Middleware) => void middlewares.push(middleware),
    exceptionHandler: (kind: new (...args: never[]) => Error, handler: unknown) =>
      void handlers.push([kind, handler as ExceptionHandler]),
  });
}

async function runOperation(
  route: Route,
  params: Readonly<Record<string, string>>,
  request: Request,
  dependencies: RequestDependencies,
  module: string,
): Promise<Response> {
  // Dependencies come first, as in FastAPI: what is wrong with the inputs is thrown when they are open.
  const checked = checkInputs(route.operation, params, request);
  checked.catch(() => {});
  const deps = await dependencies.resolve(route.operation.deps ?? {});
  const inputs = await checked;
  const result = route.poolKey
    ? await runInThreadPool(module, route.poolKey, [inputs])
    : await (route.handler as (inputs: unknown) => unknown)({ ...inputs, deps, request });
  if (result instanceof Response) return result;
  const { response } = route.operation;
  return jsonResponse(response ? dumped(response, result) : (result ?? null), {
    status: route.operation.status ?? 200,
  });
}

// A path that differs by its last slash only is redirected, with the method kept.
function redirectSlashes(routes: readonly Route[], request: Request, path: string): Response {
  const other = path.endsWith('/') ? path.replace(/\/+$/, '') : `${path}/`;
  if (path === '/' || !routes.some((route) => route.pattern.test(other))) throw new HTTPException(404);
  const { url } = request;
  url.pathname = path.endsWith('/') ? url.pathname.replace(/\/+$/, '') : `${url.pathname}/`;
  const response = new Response('', { status: 307 });
  response.headers.push(['location', url.href]);
  return response;
}

type AddHidden = (path: string, operation: object, handler: Handler) => void;

function addDocumentation(add: AddHidden, info: ApiInfo, routes: readonly Route[]): void {
  const root = ({ request }: { request: Request }): string => request.scope.root_path.replace(/\/+$/, '');
  add('/openapi.json', {}, ((inputs: { request: Request }) => openapi(info, routes, root(inputs))) as Handler);
  add('/docs', {}, ((inputs: { request: Request }) => swaggerPage(info.title, root(inputs))) as Handler);
  const reference = (inputs: { request: Request }): Response => {
    if (redocBundle() !== null) return html(redocPage(info.title, root(inputs)));
    return html(plainReference(openapi(info, routes, root(inputs))));
  };
  add('/redoc', {}, reference as Handler);
  const redocAsset = (): Response => {
    const bundle = redocBundle();
    if (bundle === null) throw new HTTPException(404);
    return new Response(bundle, { mediaType: 'text/javascript' });
  };
  add(REDOC_ASSET, {}, redocAsset as Handler);
  const asset = ({ path }: { path: { name: string } }): Promise<Response> => swaggerAsset(path.name);
  add('/docs/assets/{name}', { path: { name: str() } }, asset as Handler);
}

async function runLifespan(options: FastApiOptions, scope: LifespanScope, receive: Receive, send: Send): Promise<void> {
  await receive();
  const life = options.lifespan?.(scope.state);
  try {
    await life?.next();
  } catch (error) {
    await send({ type: 'lifespan.startup.failed', message: String(error instanceof Error ? error.stack : error) });
    throw error;
  }
  await send({ type: 'lifespan.startup.complete' });
  await receive();
  try {
    await life?.next();
  } catch (error) {
    await send({ type: 'lifespan.shutdown.failed', message: String(error instanceof Error ? error.stack : error) });
    throw error;
  }
  await send({ type: 'lifespan.shutdown.complete' });
}
