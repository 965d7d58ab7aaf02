// Runs `-t` of our proxy on many configurations in one process, as a process each would take minutes: the program's
// entry, with the end of the process caught. Arguments: the directories. Writes a line `=DIRECTORY` before what each
// says on stderr, and `=exit CODE` behind it.
import { start } from '../../../proxy/start.ts';

class Exit extends Error {
  readonly code: number;

  constructor(code: number) {
    super('exit');
    this.code = code;
  }
}

const leave = process.exit;
process.exit = (code) => {
  throw new Exit(Number(code ?? 0));
};
for (const dir of process.argv.slice(2)) {
  process.stderr.write(`=${dir}\n`);
  let code = 0;
  try {
    await start(['-p', `${dir}/`, '-c', 'nginx.conf', '-e', 'error.log', '-t']);
  } catch (error) {
    if (error instanceof Exit) code = error.code;
    else process.stderr.write(`${(error as Error).stack}\n`);
  }
  process.stderr.write(`=exit ${code}\n`);
}
leave(0);
