/**
 * `portico lab`: three short experiments in the terminal, with the machinery that the servers run on. Each takes seconds, prints a table and
 * bars, or the figures as JSON.
 */
import { parseArgs } from 'node:util';
import { gcExperiment, showGc } from './gc-experiment.ts';
import { gilExperiment, showGil } from './gil-experiment.ts';
import { refcountExperiment, showRefcount } from './refcount-experiment.ts';

const HELP = `Usage: portico lab EXPERIMENT [--json]

  gil        threads and processes at work that computes and at work that waits, with the GIL and without
  refcount   a reference count that loses updates without the lock, and not with it
  gc         a reference cycle that counting never frees, and the collector does

      --json   the figures as JSON
  -h, --help   this text

Examples:
  portico lab gil
  portico lab refcount --json | jq '.rows[].lost'
`;

interface Outcome {
  readonly result: unknown;
  readonly text: string;
}

const EXPERIMENTS: Readonly<Record<string, () => Promise<Outcome>>> = {
  gil: async () => {
    const result = await gilExperiment();
    return { result, text: showGil(result) };
  },
  refcount: async () => {
    const result = await refcountExperiment();
    return { result, text: showRefcount(result) };
  },
  gc: async () => {
    const result = gcExperiment();
    return { result, text: showGc(result) };
  },
};

function refuse(message: string): number {
  process.stderr.write(`portico lab: ${message}\nTry 'portico lab --help'.\n`);
  return 2;
}

async function lab(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const [name, ...more] = positionals;
  const names = Object.keys(EXPERIMENTS).join(', ');
  if (name === undefined) return refuse(`which experiment? ${names}`);
  const experiment = EXPERIMENTS[name];
  if (!experiment) return refuse(`no such experiment: ${name}; there are ${names}`);
  if (more.length > 0) return refuse(`one experiment at a time, and not also ${more.join(' ')}`);
  const { result, text } = await experiment();
  process.stdout.write(values.json ? `${JSON.stringify(result, null, 2)}\n` : text);
  return 0;
}

try {
  process.exitCode = await lab(process.argv.slice(2));
} catch (error) {
  if (!(error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS')) throw error;
  process.exitCode = refuse((error as Error).message);
}
