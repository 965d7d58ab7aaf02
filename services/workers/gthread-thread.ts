/**
 * One thread of a gthread worker: takes connections from the queue, serves one request of each under the GIL, and tells the main thread
 * what became of it. Between two requests it lets its event loop turn once, so that what an application prints gets out.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { AppImportError, importGunicornApp } from '../app-import.ts';
import { owe, settleBoot, spend, useCreditAccount, usePythonCost } from '../cost/bill.ts';
import { idleShare } from '../cost/idle-cores.ts';
import { pythonCostFactor } from '../cost/profile.ts';
import { Gil } from '../gil/gil.ts';
import { meter } from '../gil/meter.ts';
import { setGil } from '../gil/python.ts';
import { BlockingSocket } from '../http/blocking-socket.ts';
import { requestRules } from '../http/rules.ts';
import { serveRequest, type WsgiServer } from '../http/serve.ts';
import { type EngineLine, TlsBlockingSocket } from '../http/tls-socket.ts';
import { GunicornLog } from '../log/gunicorn-log.ts';
import { setRuntime } from '../runtime.ts';
import { readHooks } from '../settings/gunicorn-settings.ts';
import { versionProfile } from '../versions.ts';
import type { WsgiApp } from '../wsgi.ts';
import type { ThreadMessage, ThreadStart } from './gthread.ts';
import { ThreadQueue } from './thread-queue.ts';

// How long a thread waits for the first bytes before it gives the connection back to the main thread.
const DATA_TIMEOUT_MS = 5000;
const DRAIN_BYTES = 65536;

const { start, gil: gilState, credit, idle, queue: memory, tls, index } = workerData as ThreadStart;
const port = parentPort!;
const tell = (message: ThreadMessage): void => port.postMessage(message);
const name = `ThreadPoolExecutor-0_${index}`;

const gil = new Gil(gilState, index + 1);
const queue = new ThreadQueue(memory);
const settings = { ...start.settings, ...(await readHooks(start.configFile)) };
const log = new GunicornLog(settings);
const [listener] = start.listeners;
const maxRequests = settings.max_requests + Math.floor(Math.random() * (settings.max_requests_jitter + 1));
const maxKept = settings.worker_connections - settings.threads;

setGil(gil);
usePythonCost(pythonCostFactor(settings.python_cost));
useCreditAccount(credit);
gil.onForcedSwitch = () => spend('gil.switch');
setRuntime({
  workerClass: start.workerClass,
  thread: name,
  exit: (status) => {
    tell({ kind: 'exit', status });
    return Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0) as never;
  },
});

function countRequest(): boolean {
  const count = queue.countRequest();
  if (settings.max_requests > 0 && count >= maxRequests && queue.isAlive) {
    queue.markStopping();
    log.info('Autorestarting worker after current request.');
    tell({ kind: 'stop' });
  }
  return !queue.isAlive || settings.keepalive === 0 || queue.keptAlive >= maxKept;
}

type Outcome = Extract<ThreadMessage, { kind: 'done' }>['outcome'];

function serve(server: WsgiServer, slot: number): Outcome {
  const first = gil.allowThreads(() => queue.takeData(slot, DATA_TIMEOUT_MS));
  if (first === null) return 'defer';
  if (first.length === 0) return 'close';
  const local = { address: listener?.address ?? '', port: listener?.port ?? null };
  const number = queue.nextNumber(slot);
  if (tls) return serveOverTls(server, slot, number, tls, first);
  const socket = new BlockingSocket(queue.fd(slot), queue.peer(slot), local, gil.allowThreads, first);
  if (serveRequest(server, socket, number, DRAIN_BYTES) === 'close') return 'close';
  const rest = socket.pending;
  if (!rest) return 'keep-alive';
  // A pipelined request that was read already would not make the socket readable again.
  queue.setData(slot, rest);
  return 'pipelined';
}

function serveOverTls(server: WsgiServer, slot: number, number: number, line: EngineLine, first: Buffer): Outcome {
  const local = { address: listener?.address ?? '', port: listener?.port ?? null };
  const connection = { fd: queue.fd(slot), peer: queue.peer(slot), local, id: slot };
  const socket = new TlsBlockingSocket(connection, line, gil.allowThreads, first, number === 1);
  if (serveRequest(server, socket, number, DRAIN_BYTES) === 'close') return 'close';
  if (!socket.keepPending()) return 'keep-alive';
  // The decrypted rest is with the engine; this only says that there is one.
  queue.setData(slot, Buffer.alloc(1));
  return 'pipelined';
}

async function main(): Promise<void> {
  const directories = [process.cwd(), ...(settings.pythonpath?.split(',') ?? [])];
  let app: WsgiApp;
  try {
    app = (await importGunicornApp(start.app, directories)) as WsgiApp;
  } catch (error) {
    const isImport = error instanceof AppImportError;
    if (!isImport) log.exception('Exception in worker process', error);
    log.write(error instanceof Error ? error.message : String(error));
    tell({ kind: 'failed', status: isImport ? 4 : 3 });
    return;
  }
  const server: WsgiServer = {
    app,
    rules: requestRules(settings),
    environ: {
      serverSoftware: `gunicorn/${versionProfile().gunicorn}`,
      isMultithread: true,
      isMultiprocess: settings.workers > 1,
      errors: { write: (text) => log.write(text), flush: () => {} },
    },
    log,
    settings,
    countRequest,
    oweBefore: () => {
      const share = idleShare(idle);
      owe('gthread.request', share);
      owe('gthread.busy', 1 - share);
    },
    spendAfter: () => {},
  };
  // All threads load the application here; in Python one import serves them all.
  if (index === 0) settleBoot();
  const turn = (): void => {
    const slot = queue.pop(index);
    if (slot < 0) return;
    meter.gilWaitAtTakeMs = meter.gilWaitMs;
    gil.acquire();
    let outcome: ReturnType<typeof serve> = 'close';
    try {
      outcome = serve(server, slot);
    } catch (error) {
      log.exception('Socket error processing request.', error);
    } finally {
      gil.release();
    }
    tell({ kind: 'done', slot, outcome });
    setImmediate(turn);
  };
  port.on('message', turn);
  tell({ kind: 'ready' });
  turn();
}

await main();
