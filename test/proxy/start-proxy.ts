// Starts the proxy as its users do (a process of its own, an nginx.conf in a directory of its own) on ports that the
// kernel gave, and speaks raw HTTP to it. `%%PORT_0%%` … in the configuration stand for the ports, `%%DIR%%` for the
// directory. Every test file that starts one must stop it.
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../proxy/main.ts', import.meta.url));

/** PORTICO_TEST_NGINX=/usr/sbin/nginx runs a test against the original, to see by hand what it does. */
const ORIGINAL = process.env['PORTICO_TEST_NGINX'];

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}

export interface RunningProxy {
  readonly ports: readonly number[];
  /** First port. */
  readonly port: number;
  readonly url: string;
  readonly dir: string;
  readonly process: ChildProcess;
  /** Text of a file in its directory; '' when it is not there. */
  read(name: string): string;
  /** Waits until `name` (a log) matches. */
  waitFor(name: string, pattern: RegExp): Promise<string>;
  signal(name: NodeJS.Signals): void;
  /** Stops it (TERM) and removes its directory; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** Waits for its end. */
  exited: Promise<number | null>;
}

export interface StartOptions {
  /** Files to put beside the configuration. */
  readonly files?: Readonly<Record<string, string | Buffer>>;
  /** Put in front of the configuration; default: `daemon off; master_process off;` and an empty events block. */
  readonly preamble?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Command line of another program that takes nginx's arguments. */
  readonly program?: readonly string[];
}

/** Starts the proxy on `conf` and waits until it listens. Rejects with its stderr when it does not. */
export async function startProxy(conf: string, options: StartOptions = {}): Promise<RunningProxy> {
  const dir = mkdtempSync(join(tmpdir(), 'portico-proxy-'));
  // Workers may run as another user than root.
  chmodSync(dir, 0o755);
  const ports: number[] = [];
  const count = Math.max(1, ...[...conf.matchAll(/%%PORT_(\d)%%/g)].map((m) => Number(m[1]) + 1));
  for (let i = 0; i < count; i++) ports.push(await freePort());
  const fill = (text: string): string =>
    text.replace(/%%PORT_(\d)%%/g, (_, i: string) => String(ports[Number(i)])).replaceAll('%%DIR%%', dir);
  for (const [name, content] of Object.entries(options.files ?? {})) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), typeof content === 'string' ? fill(content) : content);
  }
  const preamble = options.preamble ?? 'daemon off;\nmaster_process off;\nevents { }\n';
  writeFileSync(join(dir, 'nginx.conf'), `pid nginx.pid;\n${preamble}\n${fill(conf)}\n`);

  const words = ['-p', `${dir}/`, '-c', 'nginx.conf', '-e', 'error.log'];
  const [file, ...before] = options.program ?? (ORIGINAL ? [ORIGINAL] : [process.execPath, MAIN]);
  const child = spawn(file!, [...before, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('latin1');
  });
  child.stdout.resume();
  const exited = new Promise<number | null>((done) => child.on('exit', (code) => done(code)));
  const pidFile = join(dir, 'nginx.pid');
  const read = (name: string): string => (existsSync(join(dir, name)) ? readFileSync(join(dir, name), 'latin1') : '');

  const up = await new Promise<boolean>((done) => {
    const watcher = watch(dir, () => check());
    const check = (): void => {
      if (!existsSync(pidFile)) return;
      watcher.close();
      done(true);
    };
    check();
    void exited.then(() => {
      watcher.close();
      done(false);
    });
  });
  if (!up) {
    const log = read('error.log');
    rmSync(dir, { recursive: true, force: true });
    throw new Error(`the proxy did not start: ${stderr || log}`);
  }
  return {
    ports,
    port: ports[0]!,
    url: `http://127.0.0.1:${ports[0]}`,
    dir,
    process: child,
    read,
    exited,
    waitFor(name, pattern) {
      return new Promise((done) => {
        const check = (): boolean => {
          const text = read(name);
          if (!pattern.test(text)) return false;
          watcher.close();
          done(text);
          return true;
        };
        const watcher = watch(dir, () => check());
        check();
      });
    },
    signal: (name) => void child.kill(name),
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      const code = await exited;
      rmSync(dir, { recursive: true, force: true });
      return code;
    },
  };
}

/** Sends bytes and returns everything that comes back until the server closes. */
export function raw(port: number, request: string | Buffer, host = '127.0.0.1'): Promise<string> {
  return new Promise((done, fail) => {
    const socket = connect(port, host);
    let answer = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      answer += chunk;
    });
    socket.on('end', () => socket.end());
    socket.on('close', () => done(answer));
    socket.on('error', fail);
    socket.write(typeof request === 'string' ? Buffer.from(request, 'latin1') : request);
  });
}

/** A GET over HTTP/1.0, closed after the answer. `headers` are whole lines. */
export function get(port: number, uri: string, ...headers: string[]): Promise<string> {
  return raw(port, [`GET ${uri} HTTP/1.0`, 'Host: localhost', ...headers, '', ''].join('\r\n'));
}

/** Status code of a raw answer. */
export function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.[01] (\d{3})/.exec(answer)?.[1] ?? 0);
}

/** Value of a header of a raw answer. */
export function headerOf(answer: string, name: string): string | undefined {
  const head = answer.slice(0, answer.indexOf('\r\n\r\n') + 2);
  return new RegExp(`^${name}: (.*)\r$`, 'im').exec(head)?.[1];
}

/** Body of a raw answer. */
export function bodyOf(answer: string): string {
  return answer.slice(answer.indexOf('\r\n\r\n') + 4);
}

/** Runs the proxy to its end (`-t`, a bad configuration). */
export async function runProxy(
  conf: string,
  args: readonly string[] = ['-t'],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number | null; stderr: string; stdout: string; dir: string }> {
  const dir = mkdtempSync(join(tmpdir(), 'portico-proxy-'));
  writeFileSync(join(dir, 'nginx.conf'), conf);
  const child = spawn(process.execPath, [MAIN, '-p', `${dir}/`, '-c', 'nginx.conf', '-e', 'error.log', ...args], {
    env: { ...process.env, ...env },
  });
  let stderr = '';
  let stdout = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('latin1');
  });
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString('latin1');
  });
  const code = await new Promise<number | null>((done) => child.on('close', (c) => done(c)));
  rmSync(dir, { recursive: true, force: true });
  return { code, stderr: stderr.replaceAll(dir, 'DIR'), stdout: stdout.replaceAll(dir, 'DIR'), dir };
}

export type { Socket };
