// The real project, in a directory of its own and on ports from the kernel: the repository's docker-compose.yml, its
// nginx.conf and static files, with only the two port numbers changed; programs and apps are the repository's. So a test
// runs what a user runs, beside whatever else is up on the machine.
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, PORTICO, Running } from '../stack/portico-project.ts';

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));

export class LocalStack {
  readonly directory: string;
  readonly httpPort: number;
  readonly httpsPort: number;
  #up: Running | undefined;

  private constructor(httpPort: number, httpsPort: number) {
    this.directory = realpathSync(mkdtempSync(join(tmpdir(), 'portico-e2e-')));
    this.httpPort = httpPort;
    this.httpsPort = httpsPort;
    const repository = (path: string): string => join(REPOSITORY, path);
    const here = (path: string): string => join(this.directory, path);
    const withPorts = (path: string): void => {
      const text = readFileSync(repository(path), 'utf8');
      writeFileSync(here(path), text.replaceAll('8443', String(httpsPort)).replaceAll('8080', String(httpPort)));
    };
    for (const directory of ['proxy/temp', 'certs']) mkdirSync(here(directory), { recursive: true });
    for (const path of ['proxy/conf', 'proxy/html']) cpSync(repository(path), here(path), { recursive: true });
    for (const path of ['certs/main.ts', 'proxy/main.ts', 'services', 'stack'])
      symlinkSync(repository(path), here(path));
    withPorts('docker-compose.yml');
    withPorts('proxy/conf/nginx.conf');
  }

  /** Makes the directory; `ports` are those of another stack, for a test that wants them taken. */
  static async create(ports?: LocalStack): Promise<LocalStack> {
    return new LocalStack(ports?.httpPort ?? (await freePort()), ports?.httpsPort ?? (await freePort()));
  }

  /** Changes a file of the copy. */
  edit(path: string, from: string, to: string): void {
    const file = join(this.directory, path);
    const text = readFileSync(file, 'utf8');
    if (!text.includes(from)) throw new Error(`${path} has no ${from}`);
    writeFileSync(file, text.replace(from, to));
  }

  /** The authority that the run has made. */
  get authority(): string {
    return readFileSync(join(this.directory, 'certs/live/ca.pem'), 'utf8');
  }

  /** Where URLs of the proxy start. */
  get origin(): string {
    return `https://localhost:${this.httpsPort}`;
  }

  /** Runs `portico up` until all is healthy. */
  async up(...args: string[]): Promise<Running> {
    this.#up = new Running(process.execPath, [PORTICO, 'up', ...args], this.directory);
    await this.#up.says(/is up: \d+ process(?:es)? ready/);
    return this.#up;
  }

  /** Runs another subcommand to its end. */
  async run(...args: string[]): Promise<{ status: number | null; output: string }> {
    const running = new Running(process.execPath, [PORTICO, ...args], this.directory);
    const { status } = await running.ended;
    return { status, output: running.output };
  }

  /** Presses Ctrl-C; gives the exit status. */
  async interrupt(): Promise<number | null> {
    this.#up!.child.kill('SIGINT');
    return (await this.#up!.ended).status;
  }

  async dispose(): Promise<void> {
    await this.run('down');
    rmSync(this.directory, { recursive: true, force: true });
  }
}
