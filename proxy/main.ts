// The program `nginx`: everything else is imported once the compile cache is on. See start.ts for what it does and
// command-line.ts for its options.
import { useCompileCache } from './compile-cache.ts';

useCompileCache();
const { start } = await import('./start.ts');
await start(process.argv.slice(2));
