/**
 * The program of Gunicorn's role: `node services/gunicorn.ts [OPTIONS] [APP_MODULE]`. What it does is in gunicorn-command.ts, which is loaded with Node's
 * compile cache on, so that this process and the workers that it starts boot in a fraction of the time.
 */
import { useCompileCache } from './compile-cache.ts';

useCompileCache();
const { runGunicorn } = await import('./gunicorn-command.ts');
process.exit(await runGunicorn(process.argv.slice(2)));
