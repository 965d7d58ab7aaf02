// What a scenario or one cell of a sweep needs, brought up in a directory of its own and taken down again, whatever happens:
// app servers, a proxy in front of them, relays.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nginxConf, type ProxySettings } from './nginx-conf.ts';
import { freePort, PROJECT, Program, programPath } from './program.ts';
import { Relay } from './relay.ts';

/** A program that serves. */
export interface Served {
  readonly program: Program;
  /** Without a slash at its end. */
  readonly url: string;
  readonly port: number;
}

export interface ServedProxy extends Served {
  readonly accessLog: string;
  readonly errorLog: string;
}

const FLASK = 'services/apps/flask.ts:app';
const FASTAPI = 'services/apps/fastapi.ts:app';

export class Rig {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'portico-rig-'));
  readonly #programs: Program[] = [];
  readonly #relays: Relay[] = [];
  #proxies = 0;

  /** Gunicorn's role with the Flask-style app, listening on a port of the kernel. */
  async gunicorn(...flags: string[]): Promise<Served> {
    return await this.#listener(
      'gunicorn',
      [programPath('services/gunicorn'), '-b', '127.0.0.1:0', ...flags, appPath(FLASK)],
      /Listening at: (http:\/\/127\.0\.0\.1:(\d+))/,
      /Booting worker/,
    );
  }

  /** Uvicorn's role with the FastAPI-style app. */
  async uvicorn(...flags: string[]): Promise<Served> {
    const command = [
      programPath('services/uvicorn'),
      '--host',
      '127.0.0.1',
      '--port',
      '0',
      '--no-access-log',
      ...flags,
      appPath(FASTAPI),
    ];
    const listening = /Uvicorn running on (http:\/\/127\.0\.0\.1:(\d+))/;
    return await this.#listener('uvicorn', command, listening, /Started server process/);
  }

  /** The proxy, in front of peers. */
  async proxy(settings: Omit<ProxySettings, 'port'>): Promise<ServedProxy> {
    const port = await freePort();
    const prefix = join(this.directory, `proxy-${++this.#proxies}`);
    mkdirSync(prefix);
    writeFileSync(join(prefix, 'nginx.conf'), nginxConf({ ...settings, port }));
    const program = this.#start('proxy', [
      programPath('proxy/main'),
      '-p',
      prefix,
      '-c',
      'nginx.conf',
      '-e',
      'error.log',
    ]);
    const url = `http://127.0.0.1:${port}`;
    // A request that the proxy refuses itself (400): the app is not asked.
    await program.answers(`${url}/..%2f..`);
    const accessLog = join(prefix, 'access.log');
    return { program, url, port, accessLog, errorLog: join(prefix, 'error.log') };
  }

  /** A network of so many ms (one way) in front of a port; gives its address. */
  async relay(port: number, delayMs: number): Promise<string> {
    const relay = new Relay(port, delayMs);
    this.#relays.push(relay);
    return await relay.open();
  }

  /** An address at which nothing listens. */
  async deadAddress(): Promise<string> {
    return `127.0.0.1:${await freePort()}`;
  }

  read(path: string): string {
    return readFileSync(path, 'latin1');
  }

  /** Ends everything, the last first, and removes the directory. */
  async close(): Promise<void> {
    for (const relay of this.#relays) relay.close();
    for (const program of this.#programs.toReversed()) await program.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Up when it listens, all of its workers are there (they come one after another), and one answers. */
  async #listener(name: string, command: readonly string[], listening: RegExp, worker: RegExp): Promise<Served> {
    const program = this.#start(name, command);
    const [, url, port] = await program.said(listening);
    const at = command.findIndex((word) => word === '-w' || word === '--workers');
    await program.said(worker, at < 0 ? 1 : Number(command[at + 1]));
    await program.answers(`${url}/`);
    return { program, url: url!, port: Number(port) };
  }

  #start(name: string, command: readonly string[]): Program {
    const program = new Program(name, [process.execPath, ...command], PROJECT);
    this.#programs.push(program);
    return program;
  }
}

/** An app's path with the extension of this build. */
function appPath(app: string): string {
  return app.replace('.ts:', `${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}:`);
}
