// A thread that makes load: gets its share of the plan, starts at the instant it is told, reports each second and its state,
// and gives all that it has measured at the end. run.ts starts it.
import { parentPort, workerData } from 'node:worker_threads';
import { encode } from '../measure/histogram.ts';
import { type Part, Recorder, SAMPLE_WIDTH } from '../measure/recorder.ts';
import { measuredMs } from '../plan.ts';
import { ClosedLoop } from './closed-loop.ts';
import type { FromThread, PartData, ThreadTask, ToThread } from './messages.ts';
import { OpenLoop } from './open-loop.ts';
import { Pacer } from './pacer.ts';

const GAUGES_MS = 250;
const TICK_MS = 10;

const port = parentPort!;
const { plan } = workerData as ThreadTask;
const tell = (message: FromThread): void => port.postMessage(message);

const pacer = plan.model === 'open' ? new Pacer() : undefined;
await pacer?.ready;
const h2 = plan.protocol === 'h2' ? (await import('../client/h2-channel.ts')).h2Channels : undefined;
const started = Promise.withResolvers<number>();
let loop: ClosedLoop | OpenLoop | undefined;
let isStopped = false;
port.on('message', (message: ToThread) => {
  if (message.kind === 'start') started.resolve(message.atEpochMs);
  else {
    isStopped = true;
    started.resolve(0);
    loop?.stop(message.isAtOnce);
  }
});
tell({ kind: 'ready' });

const countFromMs = (await started.promise) - performance.timeOrigin + plan.warmupMs;
const endMs = countFromMs + measuredMs(plan);
const recorder = new Recorder(plan, countFromMs, endMs, (report) => tell({ kind: 'second', report }));
// A timer can fire a fraction of a millisecond early, and what was sent then would be taken for warm-up and not be counted.
for (;;) {
  const waitMs = countFromMs - plan.warmupMs - performance.now();
  if (waitMs <= 0) break;
  await new Promise((done) => setTimeout(done, waitMs));
}
loop =
  pacer === undefined
    ? new ClosedLoop(plan, recorder, countFromMs, endMs, h2)
    : new OpenLoop(plan, recorder, countFromMs, endMs, h2, pacer);

const cpuAtStart = process.threadCpuUsage();
const startMs = performance.now();
const stopWatching = watch(loop);
if (isStopped) loop.stop(true);
await loop.run();
stopWatching();
recorder.finish();
const used = process.threadCpuUsage(cpuAtStart);
tell({
  kind: 'done',
  result: {
    ...partOf(recorder.all),
    service: encode(recorder.service),
    lateness: loop instanceof OpenLoop ? encode(loop.lateness) : undefined,
    stages: recorder.stages.map(partOf),
    kinds: [...recorder.kinds].map(([name, part]) => [name, partOf(part)] as const),
    warmup: recorder.warmup,
    inTime: recorder.inTime,
    elapsedMs: recorder.lastEndMs - countFromMs,
    samples: recorder.samples.slice(0, recorder.sampleCount * SAMPLE_WIDTH),
    cpuShare: (used.user + used.system) / 1000 / (performance.now() - startMs),
  },
});
port.close();

function partOf(part: Part): PartData {
  return { counts: part.counts, histogram: encode(part.latency) };
}

/** Tells the state of the loop regularly; gives the function that ends that. */
function watch(watched: ClosedLoop | OpenLoop): () => void {
  let cpu = process.threadCpuUsage();
  let lastMs = performance.now();
  let tickMs = lastMs;
  let lagMs = 0;
  const ticking = setInterval(() => {
    const now = performance.now();
    lagMs = Math.max(lagMs, now - tickMs - TICK_MS);
    tickMs = now;
  }, TICK_MS);
  const telling = setInterval(() => {
    const now = performance.now();
    const next = process.threadCpuUsage();
    const { requests, errors } = recorder;
    tell({
      kind: 'gauges',
      gauges: {
        requests,
        errors,
        inFlight: watched.inFlight,
        waiting: watched.waiting,
        level: watched.level,
        cpuShare: (next.user + next.system - cpu.user - cpu.system) / 1000 / (now - lastMs),
        lagMs,
      },
    });
    cpu = next;
    lastMs = now;
    lagMs = 0;
  }, GAUGES_MS);
  return () => {
    clearInterval(ticking);
    clearInterval(telling);
  };
}
