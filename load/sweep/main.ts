// The program behind `portico sweep`. It only turns Node's compile cache on, for itself and all that it starts, before anything
// else is loaded; sweep-command.ts is what it does.
import { useCompileCache } from '../compile-cache.ts';

useCompileCache();
const { sweepCommand } = await import('./sweep-command.ts');
process.exitCode = await sweepCommand(process.argv.slice(2));
