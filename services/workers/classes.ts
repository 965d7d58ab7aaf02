/**
 * The names of worker classes as people type them, and what each becomes here. Classes that only Python libraries could give are refused
 * by name, with what to use instead.
 */
import { reprString } from '../python-repr.ts';
import { ConfigError, type GunicornSettings } from '../settings/gunicorn-settings.ts';

/** The classes that there are. */
export type WorkerClassName = 'sync' | 'gthread' | 'uvicorn';

const NAMES: Readonly<Record<string, WorkerClassName>> = {
  sync: 'sync',
  'gunicorn.workers.sync.SyncWorker': 'sync',
  gthread: 'gthread',
  'gunicorn.workers.gthread.ThreadWorker': 'gthread',
  asgi: 'uvicorn',
  'gunicorn.workers.gasgi.ASGIWorker': 'uvicorn',
  uvicorn: 'uvicorn',
  'uvicorn.workers.UvicornWorker': 'uvicorn',
  'uvicorn.workers.UvicornH11Worker': 'uvicorn',
  'uvicorn_worker.UvicornWorker': 'uvicorn',
  'uvicorn_worker.UvicornH11Worker': 'uvicorn',
};

const REFUSED: Readonly<Record<string, string>> = {
  gevent: 'greenlets exist only in Python; gthread and uvicorn are the classes for many connections',
  gevent_pywsgi: 'greenlets exist only in Python; gthread and uvicorn are the classes for many connections',
  gevent_wsgi: 'greenlets exist only in Python; gthread and uvicorn are the classes for many connections',
  eventlet: 'eventlet was removed from Gunicorn and exists only in Python; use gthread',
  tornado: 'the tornado worker serves Tornado applications, which are Python; use uvicorn',
};

/** The class to run and the name that `Using worker:` shows. Throws ConfigError for a class that there is not. */
export function workerClass(settings: GunicornSettings): { readonly kind: WorkerClassName; readonly shown: string } {
  const typed = settings.worker_class.replace(/^egg:gunicorn#/, '');
  const refused = REFUSED[typed];
  if (refused) throw new ConfigError(`class uri ${reprString(typed)} invalid or not found: \n\n[${refused}]\n`);
  const kind = NAMES[typed];
  if (!kind) {
    const known = 'sync, gthread, asgi, uvicorn.workers.UvicornWorker';
    throw new ConfigError(`class uri ${reprString(typed)} invalid or not found: \n\n[known classes: ${known}]\n`);
  }
  // Asking for threads is asking for the class that has them.
  if (kind === 'sync' && settings.threads > 1) return { kind: 'gthread', shown: 'gthread' };
  return { kind, shown: typed };
}

/** Settings that the class does not look at, as warnings: Gunicorn ignores them in silence, which has cost people days. */
export function ignoredByClass(settings: GunicornSettings, kind: WorkerClassName): string[] {
  const warnings: string[] = [];
  if (kind === 'uvicorn' && settings.threads > 1) {
    warnings.push(
      `threads is ignored by the worker class ${settings.worker_class}: it serves all requests on one event loop.`,
    );
  }
  return warnings;
}
