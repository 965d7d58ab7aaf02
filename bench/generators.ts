// The programs that make the load, one run each, on the core that the server does not have. Latencies are the generator's
// own; null where it does not tell them.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Case } from './cases.ts';
import { hasProgram, pinned } from './processes.ts';

export interface Load {
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly errors: number;
}

export interface Run {
  readonly test: Case;
  readonly url: string;
  readonly seconds: number;
  readonly connections: number;
  /** A directory for scratch files. */
  readonly dir: string;
}

const MESSAGES = fileURLToPath(new URL('./messages.ts', import.meta.url));
const RESUME = fileURLToPath(new URL('./resume.ts', import.meta.url));
/** A generator that has not ended that long after its time is ended, and the run fails. */
const GRACE_MS = 30_000;

/** Why the generator of a case cannot run here; undefined when it can. */
export function whyNot(test: Case): string | undefined {
  if (test.generator === 'h2load' && !hasProgram('h2load'))
    return 'h2load is not installed (apt-get install nghttp2-client)';
  if (test.generator === 'resume' && !hasProgram('openssl'))
    return 'openssl is not installed (apt-get install openssl)';
  return undefined;
}

/** Makes the load of a case once. */
export function generate(run: Run): Load {
  switch (run.test.generator) {
    case 'h2load':
      return h2load(run);
    case 'resume':
      return script(RESUME, run);
    case 'messages':
      return script(MESSAGES, run);
    case 'upload':
      return wrk(run, ['-s', uploadScript(run.dir)]);
    default:
      return wrk(run, []);
  }
}

function output(command: readonly string[], seconds: number): string {
  const [program, ...args] = pinned(1, command);
  const timeout = seconds * 1000 + GRACE_MS;
  return execFileSync(program!, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout });
}

/** A program of ours, which prints a Load. */
function script(file: string, { url, seconds, connections }: Run): Load {
  const command = [process.execPath, file, url, String(seconds), String(connections)];
  return JSON.parse(output(command, seconds)) as Load;
}

function milliseconds(text: string | undefined): number | null {
  if (text === undefined) return null;
  const value = Number.parseFloat(text);
  return text.endsWith('us') ? value / 1000 : text.endsWith('ms') ? value : value * 1000;
}

function wrk({ test, url, seconds, connections }: Run, more: readonly string[]): Load {
  const headers = [...(test.headers ?? []), ...(test.isClosing ? ['Connection: close'] : [])];
  const out = output(
    [
      'wrk',
      '-t1',
      `-c${connections}`,
      `-d${seconds}s`,
      '--timeout',
      '10s',
      '--latency',
      ...headers.flatMap((header) => ['-H', header]),
      ...more,
      url,
    ],
    seconds,
  );
  const broken = [...(/Socket errors:.*/.exec(out)?.[0] ?? '').matchAll(/(?:connect|read|write|timeout) (\d+)/g)];
  return {
    requests: Number(/(\d+) requests in/.exec(out)?.[1] ?? 0),
    requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(out)?.[1] ?? 0),
    p50Ms: milliseconds(/^\s+50%\s+(\S+)/m.exec(out)?.[1]),
    p99Ms: milliseconds(/^\s+99%\s+(\S+)/m.exec(out)?.[1]),
    errors: broken.reduce((sum, m) => sum + Number(m[1]), 0) + Number(/Non-2xx.*: (\d+)/.exec(out)?.[1] ?? 0),
  };
}

function uploadScript(dir: string): string {
  const file = join(dir, 'upload.lua');
  writeFileSync(file, 'wrk.method = "POST"\nwrk.body = string.rep("x", 65536)\n');
  return file;
}

function h2load({ url, seconds, connections }: Run): Load {
  const clients = Math.max(1, Math.floor(connections / 4));
  const out = output(['h2load', '-t1', '-c', String(clients), '-m', '4', '-D', String(seconds), url], seconds);
  return {
    requests: Number(/(\d+) succeeded/.exec(out)?.[1] ?? 0),
    requestsPerSecond: Number(/finished in .*?, ([\d.]+) req\/s/.exec(out)?.[1] ?? 0),
    p50Ms: null,
    p99Ms: null,
    errors: Number(/(\d+) failed/.exec(out)?.[1] ?? 0) + Number(/(\d+) errored/.exec(out)?.[1] ?? 0),
  };
}
