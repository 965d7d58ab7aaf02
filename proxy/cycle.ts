// A cycle, as nginx calls a configuration in force: the Config with its logs opened and its TLS contexts made. Master,
// worker and single process each hold one, and go over to the next one on HUP.
import { ConfigError, errnoText } from './config/error.ts';
import { type Config, type LoadOptions, loadConfig } from './config/load.ts';
import { prepareTls } from './listen/tls-context.ts';
import { ErrorLog, LogFile, processLog } from './log.ts';
import { eventsModule } from './modules/events.ts';
import { defaultUser, processModule, type WorkerUser } from './modules/process.ts';

export interface Cycle {
  readonly config: Config;
  /** The process's error log. */
  readonly log: ErrorLog;
  /** Files of the configuration and the process's own log. */
  readonly files: readonly LogFile[];
}

export interface CycleOptions extends LoadOptions {
  /** Log of a process whose configuration names none; '' for stderr. */
  readonly errorLog: string;
  /** Called when the text was understood and nothing was opened yet. */
  readonly onSyntaxOk?: () => void;
}

/** Loads a configuration and opens its logs. Throws ConfigError; then nothing stays open. */
export async function openCycle(options: CycleOptions): Promise<Cycle> {
  let config: Config;
  try {
    config = await loadConfig(options);
    prepareTls(config);
  } catch (error) {
    if (error instanceof ConfigError && error.isSyntaxOk) options.onSyntaxOk?.();
    throw error;
  }
  options.onSyntaxOk?.();
  const files = [...config.logFiles];
  let log = processModule.core(config).error_log;
  if (!log) {
    const file = new LogFile(options.errorLog === '' ? 'stderr' : options.errorLog);
    files.push(file);
    log = new ErrorLog([{ file, level: 'error' }]);
  }
  const opened: LogFile[] = [];
  try {
    for (const file of files) {
      file.open();
      opened.push(file);
    }
  } catch (error) {
    for (const file of opened) file.close();
    throw error;
  }
  return { config, log, files };
}

/** Makes `cycle` the one whose log takes the messages of the process. */
export function useCycle(cycle: Cycle): void {
  processLog.log = cycle.log;
}

export function closeCycle(cycle: Cycle): void {
  for (const file of cycle.files) file.close();
}

/** Values of the main context, and of the events block. */
export function coreOf(cycle: Cycle) {
  return processModule.core(cycle.config);
}

export function eventsOf(cycle: Cycle) {
  return eventsModule.core(cycle.config);
}

/** Path of the pid file. */
export function pidFileOf(cycle: Cycle): string {
  return coreOf(cycle).pid ?? `${cycle.config.prefix}logs/nginx.pid`;
}

/** Whom workers run as; undefined: as the master. */
export function workerUserOf(cycle: Cycle): WorkerUser | undefined {
  return coreOf(cycle).user ?? defaultUser();
}

/** Reopens the files of a cycle, and hands them to the workers' user so that these can, too. */
export function reopenFiles(cycle: Cycle, chown: (path: string) => void): void {
  for (const file of cycle.files) {
    file.reopen();
    if (!file.isOnDisk) continue;
    try {
      chown(file.path);
    } catch (error) {
      cycle.log.write('emerg', `chown("${file.path}") failed ${errnoText(error)}`);
    }
  }
}
