/**
 * The program of Uvicorn's role: `node services/uvicorn.ts APP [OPTIONS]`. What it does is in uvicorn-command.ts, which is loaded with Node's
 * compile cache on, so that this process and the workers that it starts boot in a fraction of the time.
 */
import { useCompileCache } from './compile-cache.ts';

useCompileCache();
const { runUvicorn } = await import('./uvicorn-command.ts');
process.exit(await runUvicorn(process.argv.slice(2)));
