/**
 * The lifespan protocol: the application is told when the process starts and stops, and may refuse to start. Mirrors Uvicorn's
 * lifespan/on.py; `auto` treats an application that raises as one that does not speak it.
 */
import type { AsgiApp, ReceiveMessage, SendMessage } from '../asgi.ts';
import { traceback } from '../python-repr.ts';
import { Flag } from './flow.ts';

/** How the messages of a server are written. */
export interface ServerLog {
  info(message: string): void;
  warning(message: string): void;
  error(message: string): void;
}

/** What a server logs of a lifespan that failed: as lines, from what the application has said or thrown. */
export type LifespanWords = (phase: 'startup' | 'shutdown', message: string, error: unknown) => readonly string[];

/** Uvicorn's words. */
export const uvicornLifespan: LifespanWords = (phase, message, error) => {
  const why = error === null ? message : `Exception in 'lifespan' protocol\n${traceback(error)}`;
  return [...(why === '' ? [] : [why]), `Application ${phase} failed. Exiting.`];
};

/** One application's lifespan. */
export class Lifespan {
  readonly state: Record<string, unknown> = {};
  /** The application did not come up, or did not go down properly. */
  hasFailed = false;
  readonly #app: AsgiApp;
  readonly #mode: string;
  readonly #log: ServerLog;
  readonly #words: LifespanWords;
  #message = '';
  #error: unknown = null;
  readonly #started = new Flag();
  readonly #stopped = new Flag();
  readonly #messages: ReceiveMessage[] = [];
  readonly #hasMessage = new Flag();
  #hasRaised = false;
  #hasRefused = false;

  constructor(app: AsgiApp, mode: 'auto' | 'on' | 'off', log: ServerLog, words: LifespanWords) {
    this.#app = app;
    this.#mode = mode;
    this.#log = log;
    this.#words = words;
  }

  async startup(): Promise<void> {
    if (this.#mode === 'off') return;
    this.#log.info('Waiting for application startup.');
    void this.#run();
    this.#put({ type: 'lifespan.startup' });
    await this.#started.wait();
    if (this.#hasRefused || (this.#hasRaised && this.#mode === 'on')) {
      this.#fail('startup');
    } else this.#log.info('Application startup complete.');
  }

  async shutdown(): Promise<void> {
    if (this.#mode === 'off' || this.#hasRaised) return;
    this.#log.info('Waiting for application shutdown.');
    this.#put({ type: 'lifespan.shutdown' });
    await this.#stopped.wait();
    if (this.#hasRefused || (this.#hasRaised && this.#mode === 'on')) {
      this.#fail('shutdown');
    } else this.#log.info('Application shutdown complete.');
  }

  #fail(phase: 'startup' | 'shutdown'): void {
    for (const line of this.#words(phase, this.#message, this.#error)) this.#log.error(line);
    this.hasFailed = true;
  }

  #put(message: ReceiveMessage): void {
    this.#messages.push(message);
    this.#hasMessage.set();
  }

  async #run(): Promise<void> {
    const scope = { type: 'lifespan', asgi: { version: '3.0', spec_version: '2.0' }, state: this.state } as const;
    try {
      await this.#app(scope, this.#receive, this.#send);
    } catch (error) {
      this.#hasRaised = true;
      if (!this.#hasRefused) {
        if (this.#mode === 'auto') this.#log.info("ASGI 'lifespan' protocol appears unsupported.");
        else this.#error = error;
      }
    } finally {
      this.#started.set();
      this.#stopped.set();
    }
  }

  readonly #receive = async (): Promise<ReceiveMessage> => {
    while (this.#messages.length === 0) {
      this.#hasMessage.clear();
      await this.#hasMessage.wait();
    }
    return this.#messages.shift() as ReceiveMessage;
  };

  readonly #send = async (message: SendMessage): Promise<void> => {
    const isStartup = message.type.startsWith('lifespan.startup.');
    if (!message.type.startsWith('lifespan.')) throw new Error(`unexpected ASGI message '${message.type}'`);
    if (isStartup === this.#started.isSet || this.#stopped.isSet) {
      throw new Error('Got invalid state transition on lifespan protocol.');
    }
    if (message.type === 'lifespan.startup.failed' || message.type === 'lifespan.shutdown.failed') {
      this.#hasRefused = true;
      this.#message = message.message ?? '';
    }
    (isStartup ? this.#started : this.#stopped).set();
  };
}
