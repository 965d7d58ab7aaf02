/**
 * The sync worker: one connection at a time, accepted, served with blocking calls, closed. While it is busy it cannot
 * accept, send a heartbeat or run a signal handler, and what it has not taken waits in the kernel for any worker that is free.
 * Everything that users see of Gunicorn's default worker follows from that.
 */
import { owe, settle } from '../cost/bill.ts';
import { BlockingSocket } from '../http/blocking-socket.ts';
import type { EnvironBase } from '../http/environ.ts';
import { requestRules } from '../http/rules.ts';
import { serveRequest, type WsgiServer } from '../http/serve.ts';
import { type EngineLine, startTlsEngine, TlsBlockingSocket } from '../http/tls-socket.ts';
import type { NetHandle, SocketName } from '../net-handle.ts';
import { gunicornTls } from '../settings/gunicorn-tls-rows.ts';
import { versionProfile } from '../versions.ts';
import type { WsgiApp } from '../wsgi.ts';
import { AcceptGate } from './accept-gate.ts';
import { closeGracefully } from './graceful-close.ts';
import type { Worker, WorkerListener } from './worker.ts';

/** The share of a request that Python's worker does between its response and the half-close. */
const AFTER_RESPONSE = 1 / 3;

/** What every environ of this worker begins with. */
export function environBase(worker: Worker, isMultithread: boolean): EnvironBase {
  return {
    serverSoftware: `gunicorn/${versionProfile().gunicorn}`,
    isMultithread,
    isMultiprocess: worker.settings.workers > 1,
    errors: { write: (text) => worker.log.write(text), flush: () => {} },
  };
}

/** The peer of an accepted connection; a unix socket's has no name. */
export function peerOf(client: NetHandle): { address: string; port: number | null } {
  const name: SocketName = {};
  client.getpeername?.(name);
  return { address: name.address ?? '', port: name.port ?? null };
}

/** Accepts and serves until the worker is told to stop. */
export async function runSync(worker: Worker, app: WsgiApp): Promise<void> {
  const files = gunicornTls(worker.settings);
  const [line] = files ? await startTlsEngine(files, 1) : [];
  const server: WsgiServer = {
    app,
    rules: requestRules(worker.settings),
    environ: environBase(worker, false),
    log: worker.log,
    settings: worker.settings,
    oweBefore: () => owe('sync.request', 1 - AFTER_RESPONSE),
    spendAfter: () => {
      owe('sync.request', AFTER_RESPONSE);
      settle();
    },
    countRequest: () => {
      worker.countRequest();
      // Nothing is kept alive: a client that sends nothing more would hold the whole worker.
      return true;
    },
  };
  const idle = setInterval(() => worker.notify(), Math.max(500, (worker.settings.timeout * 1000) / 2));
  // One at a time. Where the gate cannot be shut, what the loop accepts while another connection closes waits behind it.
  const accepted: ((done: () => void) => void)[] = [];
  let isBusy = false;
  let isStopping = false;
  const gate = new AcceptGate(worker.listeners.map(({ handle }) => handle));
  const serveNext = (): void => {
    if (isBusy) return;
    const serve = accepted.shift();
    isBusy = serve !== undefined;
    gate.isOpen = !isBusy;
    if (!serve) {
      if (isStopping) worker.exit(0);
      return;
    }
    serve(() => {
      isBusy = false;
      serveNext();
    });
  };

  worker.onStop = () => {
    clearInterval(idle);
    gate.remove();
    for (const { handle } of worker.listeners) handle.close();
    // After the callback: a stop may come from inside a request.
    setImmediate(() => {
      isStopping = true;
      serveNext();
    });
  };
  for (const listener of worker.listeners) {
    listener.handle.onconnection = (status, client) => {
      if (status < 0 || !client) return;
      accepted.push((done) => serveConnection(worker, server, listener, client, line, done));
      setImmediate(serveNext);
    };
    const status = listener.handle.listen(worker.settings.backlog);
    if (status < 0) throw new Error(`cannot listen at ${listener.name}: errno ${-status}`);
  }
}

const directly = <Result>(call: () => Result): Result => call();

function serveConnection(
  worker: Worker,
  server: WsgiServer,
  listener: WorkerListener,
  client: NetHandle,
  line: EngineLine | undefined,
  done: () => void,
): void {
  worker.notify();
  client.setBlocking(true);
  client.setNoDelay?.(true);
  const local = { address: listener.address, port: listener.port };
  const connection = { fd: client.fd, peer: peerOf(client), local, id: 0 };
  const socket = line
    ? new TlsBlockingSocket(connection, line, directly, null, true)
    : new BlockingSocket(connection.fd, connection.peer, local, directly);
  try {
    serveRequest(server, socket, 1);
  } catch (error) {
    worker.log.exception('Socket error processing request.', error);
  } finally {
    const closed = (): void => {
      worker.notify();
      if (worker.heartbeat.isAborted) worker.stop();
      done();
    };
    // The loop looks for events before this closes, so that a signal that came during the request is obeyed before the next connection
    // is served, although closing can take as long as the client likes.
    setImmediate(() => {
      if (versionProfile().closesGracefully) closeGracefully(client, directly, closed);
      else {
        client.close();
        closed();
      }
    });
  }
}
