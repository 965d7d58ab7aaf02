// The program behind `portico load`. It only turns Node's compile cache on, for itself and the threads that it starts, before
// anything else is loaded; load-command.ts is what it does.
import { useCompileCache } from './compile-cache.ts';

useCompileCache();
const { loadCommand } = await import('./load-command.ts');
process.exitCode = await loadCommand(process.argv.slice(2));
