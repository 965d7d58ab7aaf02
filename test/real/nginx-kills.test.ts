// Ends a worker or the master of nginx and of our proxy in the middle of a request, each in each way, and compares what the
// client sees, whether the next one is served, how many workers there are then, and what the log says of it.
// Needs nginx 1.22 (install-peers.sh installs it); skipped elsewhere.
import { describe, expect, it } from 'vitest';
import { atEnd, children, open, start, statusFor, until, workerOf } from '../chaos/fire.ts';
import { isAlive } from '../services/server-process.ts';
import { findNginx, OURS, type Program } from './differential/twin.ts';

const nginx = findNginx();
if ('reason' in nginx) console.log(`nginx-kills: skipped, ${nginx.reason}`);

const FILE_BYTES = 30_000;
const CONF =
  'http { access_log off; server { listen 127.0.0.1:%%PORT_0%%; location / { root .; limit_rate 20000; limit_rate_after 1; } } }';

interface Seen {
  /** What came of the request that was under way. */
  readonly answer: 'complete' | 'cut' | 'nothing';
  readonly next: number;
  readonly workers: number;
  readonly log: readonly string[];
}

async function kill(program: Program, target: 'worker' | 'master', signal: NodeJS.Signals): Promise<Seen> {
  const proxy = await start(CONF, { program, files: { 'f.bin': 'x'.repeat(FILE_BYTES) } });
  const master = proxy.process.pid!;
  const worker = await workerOf(proxy);
  atEnd(() => isAlive(worker) && process.kill(worker, 'SIGKILL'));
  const wire = await open(proxy.port, 'GET /f.bin HTTP/1.0\r\n\r\n');
  await until(() => wire.text.includes('xxx'));
  process.kill(target === 'worker' ? worker : master, signal);
  const isKilledMaster = target === 'master' && signal === 'SIGKILL';
  if (isKilledMaster) await proxy.exited;
  else if (target === 'worker') await until(() => children(master).some((pid) => pid !== worker));
  await wire.over;
  const length = wire.text.length - wire.text.indexOf('\r\n\r\n') - 4;
  if (target === 'master' && !isKilledMaster) await proxy.exited;
  else if (target === 'worker') await until(() => !isAlive(worker));
  const next = await statusFor(proxy.port, '/none');
  const left = new Set([worker, ...children(master)]);
  return {
    answer: length === FILE_BYTES ? 'complete' : length > 0 ? 'cut' : 'nothing',
    next,
    workers: [...left].filter(isAlive).length,
    log: linesOf(proxy.read('error.log'), master, worker),
  };
}

/** What the log says of processes; sorted, since they write it in any order. */
function linesOf(log: string, master: number, worker: number): string[] {
  const lines = [...log.matchAll(/\[(\w+)\] (\d+)#\d+: (.*(?:exit|shutting|start worker process \d).*)$/gm)];
  const nameOf = (pid: string): string =>
    Number(pid) === master ? 'MASTER' : Number(pid) === worker ? 'WORKER' : 'NEW WORKER';
  return lines
    .map(([, level, pid, text]) => `${level} ${nameOf(pid!)}: ${text!.replace(/(?<=process )\d+/, nameOf)}`)
    .map((line) => line.replace(/ received from \d+/, ' received'))
    .sort();
}

describe.skipIf('reason' in nginx).each(['worker', 'master'] as const)('the %s in a request', (target) => {
  it.each(['SIGKILL', 'SIGTERM', 'SIGQUIT', 'SIGINT'] as const)('gets %s', async (signal) => {
    if ('reason' in nginx) return;
    const ours = await kill(OURS, target, signal);
    expect(ours).toEqual(await kill(nginx.program, target, signal));
  });
});
