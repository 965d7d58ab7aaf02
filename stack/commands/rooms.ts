// `portico nginx`, `portico gunicorn`, `portico uvicorn`, `portico certs`, `portico explain`, `portico lab` and the rest of the
// table below: the programs themselves, under the names people know, with their own command lines. This process becomes the
// program (same pid), so signals, exit status and terminal are the program's, and scripts that were written for the
// originals work.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from './command.ts';

/** Makes the subcommand for a program of ours; `entry` is its path in the repository, without the extension. */
function room(name: string, entry: string, summary: string): Command {
  return {
    name,
    summary,
    help: '',
    run: (argv) => {
      const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
      const path = fileURLToPath(new URL(`../../${entry}${extension}`, import.meta.url));
      if (!existsSync(path)) {
        process.stderr.write(`portico: ${path} is missing; reinstall portico\n`);
        return 1;
      }
      return process.execve!(process.execPath, [process.execPath, path, ...argv], process.env);
    },
  };
}

export const rooms: readonly Command[] = [
  room('load', 'load/main', 'put load on a URL and say what it holds, and where requests wait'),
  room('sweep', 'load/sweep/main', 'the same load over a grid of topologies: which is the cheapest that will do'),
  room('report', 'load/report/main', 'draw results of load and sweep as one HTML file'),
  room('certs', 'certs/main', 'make or renew the local authority and its certificate'),
  room('nginx', 'proxy/main', "Nginx's role, with nginx's command line"),
  room('gunicorn', 'services/gunicorn', "Gunicorn's role, with gunicorn's command line"),
  room('explain', 'proxy/explain', 'print what an nginx.conf does to a request'),
  room('lab', 'services/lab/main', 'three short experiments: the GIL, reference counts, the garbage collector'),
  room('calibrate', 'services/cost/calibrate', 'measure on a real Python what running Python costs'),
  room('uvicorn', 'services/uvicorn', "Uvicorn's role, with uvicorn's command line"),
];
