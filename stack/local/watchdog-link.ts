// Portico's end of the pipe to its watchdog: starts it, and tells it of each process before anything else can go wrong.
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Leftover } from './leftovers.ts';
import type { WatchdogMessage } from './watchdog.ts';

// The watchdog's file has this module's own extension: .ts in the repository, .js in the published package.
const WATCHDOG = fileURLToPath(
  new URL(`./watchdog${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url),
);

export class WatchdogLink {
  readonly #child: ChildProcess;
  readonly #gone: Promise<void>;

  constructor(projectDirectory: string) {
    this.#child = spawn(process.execPath, [WATCHDOG, projectDirectory], {
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#gone = new Promise((resolve) => {
      this.#child.once('exit', () => resolve());
      this.#child.once('error', () => resolve());
    });
    // Without a watchdog a stack still runs; only a kill -9 of Portico would then leave work for the next up or down.
    this.#child.stdin!.on('error', () => {});
    this.#child.unref();
  }

  started(leftover: Leftover): void {
    this.#tell({ started: leftover });
  }

  ended(pid: number): void {
    this.#tell({ ended: pid });
  }

  /** Sends the watchdog home; resolves when it is gone. */
  async dismiss(): Promise<void> {
    this.#tell({ farewell: true });
    this.#child.stdin!.end();
    this.#child.ref();
    await this.#gone;
  }

  #tell(message: WatchdogMessage): void {
    this.#child.stdin!.write(`${JSON.stringify(message)}\n`);
  }
}
