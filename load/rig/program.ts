// Programs that a scenario or a sweep brings up: started as a user would, by their command lines, on ports of the kernel, and
// ended by their pid. The generator itself knows nothing of them but their URLs.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const READY_MS = 20_000;
const GRACE_MS = 10_000;
const KEPT_OUTPUT_CHARACTERS = 200_000;

/** The path of a program of the project (`proxy/main`), in the repository or in the published build. */
export function programPath(entry: string): string {
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
  return fileURLToPath(new URL(`../../${entry}${extension}`, import.meta.url));
}

/** The project's directory. */
export const PROJECT = fileURLToPath(new URL('../..', import.meta.url));

/** A program that did not come up; the message has its last lines. */
export class ProgramError extends Error {
  override name = 'ProgramError';
}

export class Program {
  readonly name: string;
  readonly process: ChildProcess;
  output = '';
  #changed = Promise.withResolvers<void>();

  constructor(name: string, command: readonly string[], directory: string) {
    this.name = name;
    // A program that prints nothing to us would go on after us; a pipe that is gone ends it at its next line at the latest.
    this.process = spawn(command[0]!, command.slice(1), { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] });
    const take = (text: string): void => {
      this.output = (this.output + text).slice(-KEPT_OUTPUT_CHARACTERS);
      this.#wake();
    };
    this.process.stdout!.setEncoding('utf8').on('data', take);
    this.process.stderr!.setEncoding('utf8').on('data', take);
    this.process.once('exit', () => this.#wake());
    this.process.once('error', (error) => take(error.message));
  }

  get pid(): number {
    return this.process.pid!;
  }

  get hasEnded(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null || this.process.pid === undefined;
  }

  /** Waits for a line of output, until there are so `many`; gives the first match. Throws ProgramError when the program ends before, or says nothing. */
  async said(pattern: RegExp, many = 1): Promise<RegExpExecArray> {
    const until = performance.now() + READY_MS;
    for (;;) {
      const match = pattern.exec(this.output);
      if (match !== null && this.count(pattern) >= many) return match;
      if (this.hasEnded || performance.now() > until) throw this.#failure(`did not say ${pattern.source}`);
      await Promise.race([this.#changed.promise, delay(200)]);
    }
  }

  /** Waits until a GET of the URL is answered, whatever the status. */
  async answers(url: string): Promise<void> {
    const until = performance.now() + READY_MS;
    while (!(await isAnswered(url))) {
      if (this.hasEnded || performance.now() > until) throw this.#failure(`does not answer on ${url}`);
      await delay(20);
    }
  }

  /** How often something stands in the output. */
  count(pattern: RegExp): number {
    return [...this.output.matchAll(new RegExp(pattern, 'g'))].length;
  }

  signal(name: NodeJS.Signals): void {
    if (!this.hasEnded) this.process.kill(name);
  }

  /** Ends it: with TERM, and after a grace with KILL. */
  async stop(): Promise<void> {
    if (this.hasEnded) return;
    const gone = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    const timer = setTimeout(() => this.process.kill('SIGKILL'), GRACE_MS);
    await gone;
    clearTimeout(timer);
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  #failure(what: string): ProgramError {
    const lines = this.output.trimEnd().split('\n').slice(-8).join('\n');
    return new ProgramError(`${this.name} ${what}${lines === '' ? '' : `; its last lines:\n${lines}`}`);
  }
}

function isAnswered(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const sent = request(url, { agent: false, timeout: 5000 }, (response) => {
      response.resume();
      response.once('close', () => resolve(true));
    });
    sent.once('timeout', () => sent.destroy());
    sent.once('error', () => resolve(false));
    sent.end();
  });
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
