// Runs the bench as its users do, for the tests of bench/.
import { type ChildProcess, execFile } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hasProgram } from '../../bench/processes.ts';
import type { BenchResults } from '../../bench/results.ts';

const MAIN = fileURLToPath(new URL('../../bench/main.ts', import.meta.url));

/** What the bench needs and this machine lacks; undefined where it can run. */
export const LACKS: string | undefined = ['wrk', 'nginx', 'openssl'].find((program) => !hasProgram(program));

/** `npm run bench -- ARGS` in its shortest form, to its end; the figures are read from `json`. */
export async function bench(
  json: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ readonly out: string; readonly results: BenchResults }> {
  const short = ['--duration', '1', '--rounds', '1', '--connections', '4', '--idle', '0', '--peers', 'portico'];
  const out = await new Promise<string>((done, fail) => {
    const all = [MAIN, ...short, '--json', json, ...args];
    const child: ChildProcess = execFile(
      process.execPath,
      all,
      { env: { ...process.env, PORTICO_REAL_VENV: '', ...env } },
      (error, stdout, stderr) => (error ? fail(new Error(`${error.message}\n${stdout}`)) : done(stdout + stderr)),
    );
    child.stdin?.end();
  });
  return { out, results: JSON.parse(readFileSync(json, 'utf8')) as BenchResults };
}

/**
 * A directory like a Python environment, whose gunicorn and uvicorn answer every request with `head` and `body`, and tell no
 * version but "fake".
 */
export function fakeEnvironment(dir: string, head: readonly string[], body: string): string {
  const bin = join(dir, 'bin');
  mkdirSync(bin, { recursive: true });
  const answer = JSON.stringify(`${head.join('\r\n')}\r\n\r\n${body}`);
  const code = `#!${process.execPath}
const args = process.argv.slice(2);
if (args.includes('--version')) return console.log('fake');
const port = args[args.indexOf('-b') + 1].split(':')[1];
require('node:net').createServer((socket) => socket.on('error', () => {}).once('data', () => socket.end(${answer}))).listen(port, '127.0.0.1');
`;
  for (const program of ['gunicorn', 'uvicorn']) {
    writeFileSync(join(bin, program), code);
    chmodSync(join(bin, program), 0o755);
  }
  return dir;
}
