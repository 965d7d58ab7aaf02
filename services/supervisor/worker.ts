/**
 * The program of a worker under Uvicorn's supervisor: one serving process that answers pings, and goes when its parent has gone. Pings are
 * answered by a thread in the original, so a blocked event loop still answers; here too, as long as the process can run a thread.
 */
import net from 'node:net';
import { CONTROL_FD, LISTENER_FD, ORDERS_VARIABLE, type WorkerOrders } from './multiprocess.ts';
import { STARTUP_FAILURE, serveProcess } from './serve-process.ts';

const orders = JSON.parse(process.env[ORDERS_VARIABLE] ?? 'null') as WorkerOrders;
delete process.env[ORDERS_VARIABLE];
process.title = `uvicorn: worker [${orders.app}]`;

let isStarted = false;
const control = new net.Socket({ fd: CONTROL_FD, readable: true, writable: true });
control.on('data', () => control.write(isStarted ? 'started\n' : 'starting\n'));
control.on('error', () => {});
control.on('close', () => process.kill(process.pid, 'SIGTERM'));
control.unref();
process.on('SIGHUP', () => {});

const end = await serveProcess(orders.app, orders.settings, {
  inherited: { fd: LISTENER_FD, unixPath: orders.unixPath },
  onStarted: () => {
    isStarted = true;
  },
});
process.exit(end.kind === 'failed' ? STARTUP_FAILURE : 0);
