// `portico report`: results of load, sweep and scenarios as one HTML file that needs no network.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { reportPage } from './page.ts';
import { readResults } from './read-results.ts';

const HELP = `Usage: portico report [--out FILE.html] RESULT.json...

Draws what portico load --out, portico sweep and portico load SCENARIO --out have written: throughput and latency against
concurrency or rate, the distribution, where the time went, workers and errors over time. Several results are compared, the
first is what the others are held against.

  -o, --out FILE   the page (default: report.html)
  -h, --help       this text

Exit status: 0, 1 when a file cannot be read or is no result, 2 for a wrong command line.

Examples:
  portico load --out before.json -r 100:10s,200:10s,400:10s https://localhost:8443/ && portico report before.json
  portico report before.json after.json --out compared.html
  portico report sweep.json
`;

function main(argv: readonly string[]): number {
  let values: { out?: string; help?: boolean };
  let positionals: string[];
  try {
    ({ values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { out: { type: 'string', short: 'o' }, help: { type: 'boolean', short: 'h' } },
    }));
    if (!values.help && positionals.length === 0)
      throw new RangeError('which results? Give the files that --out wrote');
  } catch (error) {
    process.stderr.write(`portico report: ${(error as Error).message.split('. ')[0]}\nTry 'portico report --help'.\n`);
    return 2;
  }
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const out = values.out ?? 'report.html';
  try {
    const runs = readResults(positionals);
    if (runs.length === 0) throw new RangeError(`${positionals.join(', ')}: no finished run in it`);
    writeFileSync(out, reportPage(runs));
  } catch (error) {
    if (!(error instanceof RangeError) && (error as NodeJS.ErrnoException).syscall === undefined) throw error;
    process.stderr.write(`portico report: ${(error as Error).message}\n`);
    return 1;
  }
  process.stdout.write(`${out}\n`);
  return 0;
}

process.exitCode = main(process.argv.slice(2));
