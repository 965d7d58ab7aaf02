/**
 * `portico calibrate`: measures on a real Python what running Python costs, and writes it as a profile for PORTICO_COST_PROFILE. Needs a
 * Python with gunicorn, uvicorn, flask and fastapi; touches nothing but a temporary directory and the file it is told to write.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { CLIENTS, measureFigures } from './measure.ts';
import { type CostProfile, FIGURES, type FigureName } from './profile.ts';
import { TWINS, VERSIONS_PROGRAM } from './twins.ts';

const HELP = `Usage: portico calibrate [--python PROGRAM] [--output FILE]

Measures what running Python costs on this machine (a request in Flask and in FastAPI, a switch of the GIL, a boot) on
the real stack, and writes a cost profile. Takes about a minute; other work on the machine makes the figures larger.

  -p, --python PROGRAM   a Python that has gunicorn, uvicorn, flask and fastapi (default: python3)
  -o, --output FILE      where to write the profile (default: standard output)
      --name NAME        the profile's name (default: the name of this machine's processor)
      --note TEXT        something to remember about the circumstances; may be given again
      --rounds N         how often to measure each figure (default: 5)
      --requests N       requests a round and server (default: 1500)
  -h, --help             this text

Examples:
  portico calibrate --python .venv/bin/python -o cost.json
  PORTICO_COST_PROFILE=cost.json portico up
`;

const run = promisify(execFile);

/** Something the user can mend; printed as one line, exit status 1. */
class CalibrationError extends Error {}

async function versionsOf(python: string): Promise<Record<string, string>> {
  let output: string;
  try {
    output = (await run(python, ['-c', VERSIONS_PROGRAM])).stdout;
  } catch (error) {
    throw new CalibrationError(`cannot run ${python}: ${(error as Error).message.trim().split('\n').at(-1)}`);
  }
  const { versions, missing } = JSON.parse(output) as { versions: Record<string, string>; missing: string[] };
  if (missing.length > 0) {
    const install = `${python} -m pip install gunicorn 'uvicorn[standard]' flask fastapi`;
    throw new CalibrationError(`${python} lacks ${missing.join(', ')}; try: ${install}`);
  }
  return versions;
}

function count(text: string | undefined, flag: string, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new CalibrationError(`${flag} ${text}: not a number from 1`);
  return value;
}

function show(profile: CostProfile): string {
  const names = Object.keys(FIGURES) as FigureName[];
  const width = Math.max(...names.map((name) => name.length));
  const lines = names.map((name) => {
    const { us, low, high } = profile.figures[name];
    return `${name.padEnd(width)}  ${us.toFixed(1).padStart(10)} us  (${low.toFixed(1)} to ${high.toFixed(1)})  ${FIGURES[name]}`;
  });
  return `${lines.join('\n')}\n`;
}

async function calibrate(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      python: { type: 'string', short: 'p', default: 'python3' },
      output: { type: 'string', short: 'o' },
      name: { type: 'string' },
      note: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string' },
      requests: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const rounds = count(values.rounds, '--rounds', 5);
  const requests = count(values.requests, '--requests', 1500);
  const versions = await versionsOf(values.python);
  const directory = await mkdtemp(path.join(os.tmpdir(), 'portico-calibrate-'));
  const busyBefore = os.loadavg()[0] ?? 0;
  try {
    for (const [name, text] of Object.entries(TWINS)) await writeFile(path.join(directory, name), text);
    const progress = (line: string): void => void process.stderr.write(`${line}\n`);
    const { figures, idleCores } = await measureFigures({
      python: values.python,
      directory,
      rounds,
      requests,
      progress,
    });
    const cpus = os.cpus();
    const model = cpus[0]?.model.trim() || 'unknown processor';
    const profile: CostProfile = {
      name: values.name ?? model,
      measured: {
        date: new Date().toISOString().slice(0, 10),
        machine: `${model}, ${cpus.length} cores, ${os.type()} ${os.release()}`,
        versions,
        how: `process_time() of the application's process, or the time that passed if that was less, over ${requests} requests from ${CLIENTS} clients, loopback; median, lowest and highest of ${rounds} rounds; Connection: close with Gunicorn, kept alive with Uvicorn`,
        idleCores,
        notes: [`load average before it began: ${busyBefore.toFixed(1)}`, ...values.note],
      },
      figures,
    };
    const text = `${JSON.stringify(profile, null, 2)}\n`;
    process.stderr.write(show(profile));
    if (values.output === undefined) process.stdout.write(text);
    else {
      await writeFile(values.output, text);
      process.stderr.write(`\nwritten to ${values.output}; use it with PORTICO_COST_PROFILE=${values.output}\n`);
    }
    return 0;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

try {
  process.exitCode = await calibrate(process.argv.slice(2));
} catch (error) {
  const isUsage = (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS') ?? false;
  process.stderr.write(`portico calibrate: ${(error as Error).message}\n`);
  if (isUsage) process.stderr.write("Try 'portico calibrate --help'.\n");
  process.exitCode = isUsage ? 2 : 1;
}
