// What the program does with its options: print, test, signal, or start. Mirrors main() in nginx.c.
import { OptionError, type Options, parseOptions, USAGE, VERSION_LINE } from './command-line.ts';
import { ConfigError } from './config/error.ts';
import { type Cycle, type CycleOptions, coreOf, openCycle, pidFileOf } from './cycle.ts';
import { daemonize, isDaemon, tellLauncher } from './daemon.ts';
import { ListenSockets, planSockets } from './listen/sockets.ts';
import { inheritSockets } from './new-binary.ts';
import { testPidFile } from './pid-file.ts';
import { sendSignal } from './signals.ts';
import { StartupLog, toStderr } from './startup-log.ts';

/** Runs the program. It ends through process.exit, or lives on as master or single process. */
export async function start(argv: readonly string[]): Promise<void> {
  let options: Options;
  try {
    options = parseOptions(argv);
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    toStderr(`nginx: ${error.message}\n`);
    process.exit(1);
  }
  if (options.showsVersion) {
    toStderr(VERSION_LINE + (options.showsHelp ? USAGE : ''));
    if (options.showsConfigure) toStderr((await import('./build-info.ts')).buildInfo());
    if (!options.isTest) return;
  }
  const startup = new StartupLog(options.errorLog, options.isTest);
  const fail = (message: string, level: 'emerg' | 'alert' = 'emerg'): never => {
    if (message !== '') startup.write(level, message);
    if (options.isTest) toStderr(`nginx: configuration file ${options.confFile} test failed\n`);
    process.exit(1);
  };
  const cycleOptions: CycleOptions = {
    prefix: options.prefix,
    confFile: options.confFile,
    errorLog: options.errorLog,
    ...(options.globals === undefined ? {} : { globals: options.globals }),
    warn: (message) => startup.write('warn', message),
    onSyntaxOk: () => {
      if (options.isTest && !options.isQuiet) {
        toStderr(`nginx: the configuration file ${options.confFile} syntax is ok\n`);
      }
    },
  };
  const sockets = new ListenSockets();
  let cycle: Cycle;
  try {
    cycle = await openCycle(cycleOptions);
    if (options.signal !== undefined) {
      process.exit(sendSignal(options.signal, pidFileOf(cycle), (level, message) => startup.write(level, message)));
    }
    if (options.isTest) testPidFile(pidFileOf(cycle));
  } catch (error) {
    if (error instanceof ConfigError) return fail(error.message, error.level);
    throw error;
  }
  const core = coreOf(cycle);
  if (core.daemon && !options.isTest && !isDaemon()) return daemonize(argv);
  const plans = planSockets(cycle.config.listens);
  const workers = core.master_process ? core.worker_processes : 1;
  const write: StartupLog['write'] = (level, message) => startup.write(level, message);
  if (!options.isTest) inheritSockets(sockets, (level, message) => cycle.log.write(level, message));
  if (!(await sockets.open(plans, workers, write, options.isTest))) return fail('');
  sockets.close(plans);
  if (options.isTest) {
    if (!options.isQuiet) toStderr(`nginx: configuration file ${options.confFile} test is successful\n`);
    if (options.isDump) dump(cycle);
    process.exit(0);
  }
  try {
    if (core.master_process) {
      const { Master } = await import('./master.ts');
      await new Master(cycle, sockets, cycleOptions, startup).run(tellLauncher);
    } else {
      const { runSingle } = await import('./single.ts');
      await runSingle(cycle, sockets, cycleOptions, startup, tellLauncher);
    }
  } catch (error) {
    if (error instanceof ConfigError) return fail(error.message, error.level);
    throw error;
  }
}

/** `-T`: every file of the configuration, to stdout. */
function dump(cycle: Cycle): void {
  for (const [name, text] of cycle.config.files) {
    process.stdout.write(Buffer.from(`# configuration file ${name}:\n${text}\n`, 'latin1'));
  }
}
