// `portico load`: puts load on a URL and says what it holds. This process reads the command line, shows and prints; the load is
// made by threads (engine/). It sees only URLs: any server will do.
import { writeFileSync } from 'node:fs';
import { HELP, type OutputOptions, parseLoadCommand } from './command-line.ts';
import { PreflightError, preflight } from './engine/preflight.ts';
import { runLoad } from './engine/run.ts';
import { AccessLogTail } from './measure/access-log.ts';
import type { LoadResult } from './measure/result.ts';
import { checkFailures } from './measure/thresholds.ts';
import type { LoadPlan } from './plan.ts';
import { LiveView } from './view/live.ts';
import { resultText } from './view/text.ts';

const INTERRUPTED = 130;

/** Runs a plan with a live view on stderr and its result on stdout; gives the exit status. */
async function loadUrls(plan: LoadPlan, output: OutputOptions): Promise<number> {
  const tail = output.accessLog === undefined ? undefined : new AccessLogTail(output.accessLog);
  await preflight(plan);
  const view = new LiveView(plan, process.stderr, output.isQuiet);
  const stop = new AbortController();
  const onSignal = (): void => {
    // The second one ends the process at once.
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
    stop.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const measured = await runLoad(plan, { signal: stop.signal, onProgress: (progress) => view.update(progress) });
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

async function main(argv: readonly string[]): Promise<number> {
  let command: ReturnType<typeof parseLoadCommand>;
  try {
    command = parseLoadCommand(argv, () => false);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    process.stderr.write(`portico load: ${error.message}\nTry 'portico load --help'.\n`);
    return 2;
  }
  if (command.kind === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  if (command.kind !== 'run') return 0;
  try {
    return await loadUrls(command.plan, command.output);
  } catch (error) {
    if (!(error instanceof PreflightError) && (error as NodeJS.ErrnoException).syscall === undefined) throw error;
    process.stderr.write(`portico load: ${(error as Error).message}\n`);
    return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
