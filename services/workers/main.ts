/**
 * The program of a worker process: what runs after fork() in the original. It reads its orders, loads the application, and becomes the
 * worker class that they name. Exit status 3 or 4 tells the arbiter that trying again is of no use.
 */
import { AppImportError, importGunicornApp } from '../app-import.ts';
import { settleBoot, usePythonCost } from '../cost/bill.ts';
import { pythonCostFactor } from '../cost/profile.ts';
import { GunicornLog } from '../log/gunicorn-log.ts';
import { setRuntime } from '../runtime.ts';
import { type GunicornSettings, readHooks } from '../settings/gunicorn-settings.ts';
import { START_VARIABLE, type WorkerStart } from './start.ts';
import { APP_LOAD_ERROR, WORKER_BOOT_ERROR, Worker } from './worker.ts';

type Run = (worker: Worker, app: never) => void | Promise<void>;

// Each class is loaded only when it is used: a sync worker must not pay for the event-loop side.
const CLASSES: Readonly<Record<string, () => Promise<Run>>> = {
  sync: async () => (await import('./sync.ts')).runSync as Run,
  gthread: async () => (await import('./gthread.ts')).runGthread as Run,
  uvicorn: async () => (await import('./uvicorn.ts')).runUvicorn as Run,
};

async function boot(): Promise<void> {
  const start = JSON.parse(process.env[START_VARIABLE] ?? 'null') as WorkerStart | null;
  if (!start) throw new Error('this program is started by a Gunicorn master');
  delete process.env[START_VARIABLE];
  const settings: GunicornSettings = { ...start.settings, ...(await readHooks(start.configFile)) };
  process.title = `gunicorn: worker [${settings.proc_name ?? settings.default_proc_name}]`;
  const log = new GunicornLog(settings);
  log.info(`Booting worker with pid: ${process.pid}`);
  let worker: Worker | null = null;
  try {
    worker = new Worker(start, settings);
    // Up to here fork() takes no time in the original, so the application has the whole timeout to load.
    worker.notify();
    setRuntime({ workerClass: start.workerClass });
    becomeUser(settings);
    worker.listenToSignals();
    worker.hook('post_fork', null, worker);
    usePythonCost(pythonCostFactor(settings.python_cost));
    const load = CLASSES[start.workerClass];
    if (!load) throw new Error(`no worker class ${start.workerClass}`);
    const directories = [process.cwd(), ...(settings.pythonpath?.split(',') ?? [])];
    // The threads of a gthread worker load the application themselves.
    const app = start.workerClass === 'gthread' ? null : importGunicornApp(start.app, directories);
    const [run, loaded] = await Promise.all([load(), app]);
    if (loaded) settleBoot();
    worker.hook('post_worker_init', worker);
    worker.booted = true;
    if (settings.reload) worker.watchSources();
    await run(worker, loaded as never);
  } catch (error) {
    process.exitCode = fail(log, error, worker?.booted ?? false);
    log.info(`Worker exiting (pid: ${process.pid})`);
    process.exit();
  }
}

// After the sockets and logs are open, so that a worker needs no rights of its own for them.
function becomeUser(settings: GunicornSettings): void {
  if (settings.initgroups && settings.user !== null) {
    const { initgroups } = process as { initgroups?: (user: string, group: string) => void };
    initgroups?.(settings.user, settings.group ?? settings.user);
  } else if (settings.group !== null) process.setgid?.(numeric(settings.group));
  if (settings.user !== null) process.setuid?.(numeric(settings.user));
}

const numeric = (name: string): string | number => (/^\d+$/.test(name) ? Number(name) : name);

function fail(log: GunicornLog, error: unknown, isBooted: boolean): number {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof AppImportError) {
    process.stderr.write(`${message}\n`);
    return APP_LOAD_ERROR;
  }
  log.exception('Exception in worker process', error);
  process.stderr.write(`${message}\n`);
  return isBooted ? 255 : WORKER_BOOT_ERROR;
}

await boot();
