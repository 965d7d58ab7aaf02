// What a peer costs before and beside requests: the time from its start until it answers, and the memory of an idle client.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { RunningPeer } from './peers.ts';
import { family, pinned, residentBytes } from './processes.ts';
import type { StandingRow } from './results.ts';

const IDLE = fileURLToPath(new URL('./idle.ts', import.meta.url));

/** Opens `count` idle connections to a peer and tells what they cost it. */
export async function standing(running: RunningPeer, count: number): Promise<StandingRow> {
  const pids = family(running.process.pid!);
  const before = residentBytes(pids);
  const [program, ...args] = pinned(1, [process.execPath, IDLE, String(running.httpPort), String(count)]);
  const child = spawn(program!, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const gone = once(child, 'exit');
  await Promise.race([once(child.stdout, 'data'), gone]);
  const isOpen = child.exitCode === null;
  const grown = residentBytes(pids) - before;
  child.stdin.end();
  await gone;
  return { peer: running.name, startMs: running.startMs, idleKb: isOpen ? grown / 1024 / count : Number.NaN };
}
