/** Starts the workers of an experiment, lets them begin together when all are ready, and tells how long it took until the last was done. */
import { fork } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker as Thread } from 'node:worker_threads';
import type { JobMessage, JobStart } from './job-order.ts';

const extension = path.extname(fileURLToPath(import.meta.url));
const PROGRAM = new URL(`./job${extension}`, import.meta.url);

/** One worker: resolves `ready` and `done` in this order. */
interface Member {
  readonly ready: Promise<void>;
  readonly done: Promise<void>;
  readonly go: () => void;
}

function member(
  listen: (onMessage: (message: JobMessage) => void, onFailure: (error: Error) => void) => void,
  go: () => void,
): Member {
  const ready = Promise.withResolvers<void>();
  const done = Promise.withResolvers<void>();
  listen(
    (message) => (message === 'ready' ? ready : done).resolve(),
    (error) => {
      ready.reject(error);
      done.reject(error);
    },
  );
  // Whoever awaits the other one hears of it; this one must not count as unhandled.
  done.promise.catch(() => {});
  return { ready: ready.promise, done: done.promise, go };
}

function thread(start: JobStart): Member {
  const worker = new Thread(PROGRAM, { workerData: start });
  return member(
    (onMessage, onFailure) => {
      worker.on('message', onMessage);
      worker.on('error', onFailure);
    },
    () => worker.postMessage('go'),
  );
}

function childProcess(start: JobStart): Member {
  const child = fork(PROGRAM);
  child.send(start);
  return member(
    (onMessage, onFailure) => {
      child.on('message', (message) => onMessage(message as JobMessage));
      child.on('error', onFailure);
      child.on('exit', (status) => onFailure(new Error(`a process of the experiment ended with ${status}`)));
    },
    () => void child.send('go'),
  );
}

/** Runs all workers; gives the time from the word to the last one's end, in ms. Starting them is not counted. */
export async function runCrew(kind: 'threads' | 'processes', starts: readonly JobStart[]): Promise<number> {
  const crew = starts.map(kind === 'threads' ? thread : childProcess);
  await Promise.all(crew.map(({ ready }) => ready));
  const begin = performance.now();
  for (const { go } of crew) go();
  await Promise.all(crew.map(({ done }) => done));
  return performance.now() - begin;
}
