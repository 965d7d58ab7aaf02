// `portico load`: puts load on a URL and says what it holds. This process reads the command line, shows and prints; the load is
// made by threads (engine/). It sees only URLs: any server will do.
import { writeFileSync } from 'node:fs';
import { HELP, type LoadCommand, type OutputOptions, parseLoadCommand } from './command-line.ts';
import { PreflightError, preflight } from './engine/preflight.ts';
import { runLoad } from './engine/run.ts';
import { AccessLogTail } from './measure/access-log.ts';
import type { LoadResult } from './measure/result.ts';
import { checkFailures } from './measure/thresholds.ts';
import type { LoadPlan } from './plan.ts';
import { ProgramError } from './rig/program.ts';
import { SCENARIOS } from './scenarios/catalog.ts';
import { runScenario } from './scenarios/workbench.ts';
import { LiveView } from './view/live.ts';
import { interruptedText, listText, outcomeText } from './view/scenario-text.ts';
import { resultText } from './view/text.ts';

const INTERRUPTED = 130;

/** Runs a plan with a live view on stderr and its result on stdout; gives the exit status. */
async function loadUrls(plan: LoadPlan, output: OutputOptions): Promise<number> {
  const tail = output.accessLog === undefined ? undefined : new AccessLogTail(output.accessLog);
  await preflight(plan);
  const view = new LiveView(plan, process.stderr, output.isQuiet);
  const stop = stopOnSignal();
  const measured = await runLoad(plan, { signal: stop, onProgress: (progress) => view.update(progress) });
  view.clear();
  const logged = await tail?.read(measured.requests + measured.warmupRequests);
  const result: LoadResult = {
    ...measured,
    accessLog: logged?.hops,
    lanes: measured.lanes ?? logged?.lanes,
    thresholds: checkFailures(output.failIf, measured),
  };
  if (output.out !== undefined) writeFileSync(output.out, `${JSON.stringify(result, null, 1)}\n`);
  process.stdout.write(output.isJson ? `${JSON.stringify(result, null, 1)}\n` : resultText(result));
  if (result.isInterrupted) return INTERRUPTED;
  return result.thresholds.every(({ isMet }) => isMet) ? 0 : 1;
}

/** Runs a ready scenario and explains it; gives 0 when it came out as expected. */
async function loadScenario(command: Extract<LoadCommand, { kind: 'scenario' }>): Promise<number> {
  const scenario = SCENARIOS.find(({ name }) => name === command.name)!;
  const stop = stopOnSignal();
  const results: LoadResult[] = [];
  const give = (text: string, more: object): void => {
    const written = `${JSON.stringify({ scenario: scenario.name, ...more, results }, null, 1)}\n`;
    if (command.out !== undefined) writeFileSync(command.out, written);
    process.stdout.write(command.isJson ? written : text);
  };
  try {
    const outcome = await runScenario(scenario, {
      isQuick: command.isQuick,
      isQuiet: command.isQuiet || command.isJson,
      terminal: process.stderr,
      signal: stop,
      say: (line) => void process.stderr.write(`${scenario.name}: ${line}\n`),
      onResult: (result) => results.push(result),
    });
    give(outcomeText(scenario, outcome), outcome);
    return outcome.checks.every(({ holds }) => holds) ? 0 : 1;
  } catch (error) {
    if (!stop.aborted) throw error;
    give(interruptedText(scenario, results), { isInterrupted: true });
    return INTERRUPTED;
  }
}

/** Aborts at the first Ctrl-C or TERM; the second ends the process as usual. */
function stopOnSignal(): AbortSignal {
  const stop = new AbortController();
  const onSignal = (): void => {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
    stop.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return stop.signal;
}

/** Runs the command line (without node and the file); gives the exit status. */
export async function loadCommand(argv: readonly string[]): Promise<number> {
  let command: LoadCommand;
  try {
    command = parseLoadCommand(argv, (name) => SCENARIOS.some((one) => one.name === name));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    process.stderr.write(`portico load: ${error.message}\nTry 'portico load --help'.\n`);
    return 2;
  }
  if (command.kind === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  if (command.kind === 'list') {
    process.stdout.write(listText(SCENARIOS));
    return 0;
  }
  try {
    return command.kind === 'run' ? await loadUrls(command.plan, command.output) : await loadScenario(command);
  } catch (error) {
    if (
      !(error instanceof PreflightError || error instanceof ProgramError) &&
      (error as NodeJS.ErrnoException).syscall === undefined
    )
      throw error;
    process.stderr.write(`portico load: ${(error as Error).message}\n`);
    return 1;
  }
}
