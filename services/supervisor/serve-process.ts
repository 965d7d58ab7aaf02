/**
 * One serving process of Uvicorn, from loading the app to the last goodbye: the process itself without --workers, each worker with it.
 * Exit statuses and log lines are Uvicorn's.
 */
import { chmodSync, existsSync, statSync, unlinkSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { getSystemErrorMessage } from 'node:util';
import { settleBoot, usePythonCost } from '../cost/bill.ts';
import { pythonCostFactor } from '../cost/profile.ts';
import { type AsgiAddress, AsgiServer } from '../event-loop/server.ts';
import { useThreadPool } from '../gil/thread-pool.ts';
import { loadAsgiApp } from '../load-asgi.ts';
import { UvicornLog } from '../log/uvicorn-log.ts';
import { resolveBindHost } from '../resolve-host.ts';
import { setRuntime } from '../runtime.ts';
import { asgiConfig, type UvicornSettings } from '../settings/uvicorn-settings.ts';

/** The status of a process that could not start to serve. */
export const STARTUP_FAILURE = 3;

/** How a process came to its end. */
export type ServeEnd =
  | { readonly kind: 'failed' }
  | { readonly kind: 'stopped'; readonly signal: NodeJS.Signals | null };

/** The log that settings ask for. */
export function uvicornLog(settings: UvicornSettings): UvicornLog {
  return new UvicornLog({ level: settings.log_level, hasAccessLog: settings.access_log, colors: settings.use_colors });
}

/**
 * Serves until INT, TERM or the request limit. `inherited` is a socket that the supervisor has bound, and has announced; without one this
 * process binds and announces its own.
 */
export async function serveProcess(
  uri: string,
  settings: UvicornSettings,
  options: {
    readonly inherited: { readonly fd: number; readonly unixPath: string | null } | null;
    readonly onStarted?: () => void;
  },
): Promise<ServeEnd> {
  const log = uvicornLog(settings);
  setRuntime({ workerClass: 'uvicorn' });
  useThreadPool({ isGilOn: settings.gil === 'on', switchIntervalMs: settings.switch_interval });
  usePythonCost(pythonCostFactor(settings.python_cost));
  const app = await loadAsgiApp(uri, settings, log);
  if (!app) return { kind: 'failed' };
  settleBoot();
  const server = new AsgiServer(app, asgiConfig(settings), log);
  log.info(`Started server process [${process.pid}]`);

  let signal: NodeJS.Signals | null = null;
  const stopped = new Promise<void>((done) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) {
      process.on(name, () => {
        if (signal !== null && name === 'SIGINT') server.force();
        signal ??= name;
        done();
      });
    }
    server.onLimit = () => {
      log.info(`Maximum request limit of ${server.config.limitRequests} exceeded. Terminating process.`);
      done();
    };
  });

  if (!(await server.startup())) return { kind: 'failed' };
  let ownPath: string | null = null;
  try {
    if (options.inherited) await server.listen(options.inherited);
    else ownPath = await listenOwn(server, settings, log);
  } catch (error) {
    log.error(bindError(error as NodeJS.ErrnoException));
    await server.stopApplication();
    return { kind: 'failed' };
  }
  options.onStarted?.();
  await stopped;
  await server.shutdown();
  log.info(`Finished server process [${process.pid}]`);
  if (ownPath !== null && existsSync(ownPath)) unlinkSync(ownPath);
  return { kind: 'stopped', signal };
}

// asyncio's words for a failed bind.
function bindError(error: NodeJS.ErrnoException & { address?: string; port?: number }): string {
  if (error.errno === undefined) return error.message;
  const words = error.code === 'EADDRNOTAVAIL' ? 'cannot assign requested address' : getSystemErrorMessage(error.errno);
  return `[Errno ${-error.errno}] error while attempting to bind on address ('${error.address ?? ''}', ${error.port ?? 0}): ${words}`;
}

async function listenOwn(server: AsgiServer, settings: UvicornSettings, log: UvicornLog): Promise<string | null> {
  const hint = '(Press CTRL+C to quit)';
  if (settings.fd !== null) {
    await server.listen({ fd: settings.fd, unixPath: null });
    log.info(`Uvicorn running on socket ${settings.fd} ${hint}`);
    return null;
  }
  if (settings.uds !== null) {
    const mode = existsSync(settings.uds) ? statSync(settings.uds).mode & 0o777 : 0o666;
    if (existsSync(settings.uds)) unlinkSync(settings.uds);
    await server.listen({ path: settings.uds });
    chmodSync(settings.uds, mode);
    log.info(`Uvicorn running on unix socket ${settings.uds} ${hint}`);
    return settings.uds;
  }
  const host = await resolveBindHost(settings.host);
  const address: AsgiAddress = { host, port: settings.port };
  const bound = (await server.listen(address)).address() as AddressInfo;
  const shown = host.includes(':') ? `[${host}]` : host;
  log.info(`Uvicorn running on ${settings.ssl_certfile ? 'https' : 'http'}://${shown}:${bound.port} ${hint}`);
  return null;
}
