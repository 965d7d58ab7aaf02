// Where a worker process starts: the master forks this file (master-workers.ts) and speaks to it over IPC.
import { keepCompiled, useCompileCache } from './compile-cache.ts';

useCompileCache();
const { runWorker } = await import('./worker.ts');
runWorker();
keepCompiled();
