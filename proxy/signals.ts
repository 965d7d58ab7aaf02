// Signals: their numbers and nginx's words for them, what `-s` sends, and the log line that every received one leaves.
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import type { SignalName } from './command-line.ts';
import { errnoText } from './config/error.ts';
import type { ErrorLog, LogLevel } from './log.ts';

export type Signal = 'SIGHUP' | 'SIGUSR1' | 'SIGWINCH' | 'SIGTERM' | 'SIGQUIT' | 'SIGUSR2' | 'SIGINT';

const SENT: Readonly<Record<SignalName, Signal>> = {
  stop: 'SIGTERM',
  quit: 'SIGQUIT',
  reopen: 'SIGUSR1',
  reload: 'SIGHUP',
};

/** What a received signal makes the process do, in nginx's words. */
const ACTIONS: Readonly<Record<Signal, string>> = {
  SIGQUIT: ', shutting down',
  SIGTERM: ', exiting',
  SIGINT: ', exiting',
  SIGWINCH: ', stop accepting connections',
  SIGHUP: ', reconfiguring',
  SIGUSR1: ', reopening logs',
  SIGUSR2: ', changing binary',
};

/**
 * Handles each signal of `actions`, with nginx's notice in the log first; `log` is asked for each time. `words` says what
 * the process does with a signal where that is not the usual thing (`, ignoring`); then undefined stands for the usual one.
 */
export function handleSignals(
  log: () => ErrorLog,
  actions: Readonly<Partial<Record<Signal, () => void>>>,
  words: Readonly<Partial<Record<Signal, string | (() => string | undefined)>>> = {},
): void {
  for (const name of Object.keys(ACTIONS) as Signal[]) {
    process.on(name, () => {
      const word = words[name];
      const act = (typeof word === 'function' ? word() : word) ?? ACTIONS[name];
      log().write('notice', `signal ${constants.signals[name]} (${name}) received${act}`);
      actions[name]?.();
    });
  }
}

/** `-s`: sends a signal to the process of the pid file. Returns the exit status. */
export function sendSignal(
  name: SignalName,
  pidFile: string,
  write: (level: LogLevel, message: string) => void,
): number {
  let text: string;
  try {
    text = readFileSync(pidFile, 'latin1');
  } catch (error) {
    write('error', `open() "${pidFile}" failed ${errnoText(error)}`);
    return 1;
  }
  const digits = text.replace(/[\r\n]+$/, '');
  if (!/^\d+$/.test(digits)) {
    write('error', `invalid PID number "${digits}" in "${pidFile}"`);
    return 1;
  }
  const signal = SENT[name];
  try {
    process.kill(Number(digits), signal);
  } catch (error) {
    write('alert', `kill(${digits}, ${constants.signals[signal]}) failed ${errnoText(error)}`);
    return 1;
  }
  return 0;
}
