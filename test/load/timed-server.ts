// A server whose service times are known, in a process of its own: constant, bimodal (every tenth request is slow), or a stall
// (answers at once, but for a second in which it answers nothing, a while after the first request). Answers at the due instant,
// not a timer's millisecond later.
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const [schedule = 'constant', first = '0', second = '0'] = process.argv.slice(2);
const waiting: Array<{ dueMs: number; response: ServerResponse }> = [];
let count = 0;
let startMs = Number.NaN;

/** When the request that arrives now is answered. */
function dueOf(nowMs: number): number {
  count++;
  if (Number.isNaN(startMs)) startMs = nowMs;
  if (schedule === 'constant') return nowMs + Number(first);
  if (schedule === 'bimodal') return nowMs + Number(count % 10 === 0 ? second : first);
  const from = startMs + Number(first);
  const to = from + Number(second);
  return nowMs >= from && nowMs < to ? to : nowMs;
}

function answerDue(): void {
  const now = performance.now();
  while (waiting.length > 0 && waiting[0]!.dueMs <= now) waiting.shift()!.response.end('ok\n');
  arm();
}

let isArmed = false;
function arm(): void {
  if (waiting.length === 0 || isArmed) return;
  isArmed = true;
  const leftMs = waiting[0]!.dueMs - performance.now();
  const fire = (): void => {
    isArmed = false;
    answerDue();
  };
  if (leftMs > 2.5) setTimeout(fire, leftMs - 2);
  else setImmediate(fire);
}

const server = createServer((_request, response) => {
  const dueMs = dueOf(performance.now());
  if (dueMs <= performance.now()) {
    response.end('ok\n');
    return;
  }
  const at = waiting.findIndex((other) => other.dueMs > dueMs);
  waiting.splice(at === -1 ? waiting.length : at, 0, { dueMs, response });
  arm();
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
process.on('disconnect', () => process.exit());
