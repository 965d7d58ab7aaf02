/**
 * Gunicorn's uvicorn worker: Uvicorn's server in a worker of the arbiter. It accepts everything at once and serves it on one event loop;
 * an `async def` that blocks stops all of it, the heartbeat included. Mirrors uvicorn/workers.py.
 */
import type { AsgiApp } from '../asgi.ts';
import { gunicornDialect } from '../event-loop/dialect.ts';
import { AsgiServer } from '../event-loop/server.ts';
import { useThreadPool } from '../gil/thread-pool.ts';
import { requestRules } from '../http/rules.ts';
import { gunicornTls } from '../settings/gunicorn-tls-rows.ts';
import { asgiConfig, uvicornDefaults } from '../settings/uvicorn-settings.ts';
import type { Worker } from './worker.ts';

/** Whether the class is Gunicorn's own `asgi`, which serves the same applications in words of its own. */
const isOwnClass = (name: string): boolean =>
  /^(?:egg:gunicorn#)?(?:asgi|gunicorn\.workers\.gasgi\.ASGIWorker)$/.test(name);

/** Serves until the worker is told to stop. A lifespan that fails is a worker that cannot boot. */
export async function runUvicorn(worker: Worker, app: AsgiApp): Promise<void> {
  const { settings, log } = worker;
  const isOwn = isOwnClass(settings.worker_class);
  const config = {
    ...asgiConfig({
      ...uvicornDefaults(),
      timeout_keep_alive: settings.keepalive,
      timeout_graceful_shutdown: settings.graceful_timeout,
      forwarded_allow_ips: settings.forwarded_allow_ips.join(','),
      backlog: settings.backlog,
      root_path: settings.root_path,
      ws_max_size: settings.websocket_max_message_size,
    }),
    tls: gunicornTls(settings),
    ...(isOwn ? { dialect: gunicornDialect(requestRules(settings)) } : {}),
    lifespan: settings.asgi_lifespan as 'auto' | 'on' | 'off',
  };
  useThreadPool({ isGilOn: settings.gil === 'on', switchIntervalMs: settings.switch_interval });
  const access = settings.accesslog === null || isOwn ? null : accessTo(worker);
  const info = (message: string): void => {
    if (!isOwn) log.info(message);
  };
  const server = new AsgiServer(app, config, {
    info,
    done: isOwn && log.wantsAccess ? doneTo(worker) : null,
    warning: (message) => log.warning(message),
    error: (message) => log.error(message),
    access,
  });
  const count = server.run.bind(server);
  server.run = (cycle, handler) => {
    if (worker.countRequest()) cycle.keepAlive = false;
    count(cycle, handler);
  };
  info(`Started server process [${worker.pid}]`);
  // Told to stop while the application starts: it is started to the end, so that it can be shut down.
  worker.onStop = () => {};
  if (!(await server.startup())) return worker.exit(3);
  const beat = setInterval(() => worker.notify(), Math.max(100, (settings.timeout * 1000) / 2));
  const stop = (): void => {
    if (isOwn) log.info('Worker shutting down...');
    void server.shutdown().then(() => {
      clearInterval(beat);
      info(`Finished server process [${worker.pid}]`);
      worker.exit(0);
    });
  };
  for (const { handle, address, port, name } of worker.listeners) {
    await server.listen({ fd: handle.fd, unixPath: port === null ? address : null });
    const shown = settings.certfile === null ? name : name.replace('http://', 'https://');
    if (isOwn) log.info(`ASGI server listening on ${shown}`);
  }
  worker.notify();
  if (worker.alive) worker.onStop = stop;
  else stop();
}

// Uvicorn's access record in Gunicorn's access log, as its worker routes it.
function accessTo(worker: Worker): NonNullable<AsgiServer['log']['access']> {
  return (scope, status) => {
    const query = Buffer.from(scope.query_string).toString('latin1');
    const rawPath = Buffer.from(scope.raw_path).toString('latin1');
    worker.log.accessLine(
      `${scope.client?.join(':') ?? ''} - "${scope.method} ${rawPath}${query ? `?${query}` : ''} HTTP/${scope.http_version}" ${status}`,
    );
  };
}

// A request of the asgi class in the access log's own format, and to statsd.
function doneTo(worker: Worker): NonNullable<AsgiServer['log']['done']> {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
  return ({ scope, status, headers, sentBytes, durationMs }) => {
    const query = text(scope.query_string);
    const requestHeaders = scope.headers.map(([name, value]) => [text(name).toUpperCase(), text(value)] as const);
    const environ = Object.fromEntries(
      requestHeaders.map(([name, value]) => [`HTTP_${name.replaceAll('-', '_')}`, value]),
    );
    worker.log.access({
      remoteAddr: scope.client?.[0] ?? '-',
      method: scope.method,
      rawUri: text(scope.raw_path) + (query === '' ? '' : `?${query}`),
      protocol: `HTTP/${scope.http_version}`,
      path: scope.path,
      query,
      status: String(status),
      sentBytes,
      durationMs,
      requestHeaders,
      responseHeaders: headers.map(([name, value]) => [text(name), text(value)] as const),
      environ,
    });
  };
}
