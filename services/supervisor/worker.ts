/**
 * The program of a worker under Uvicorn's supervisor: one serving process whose pings a thread answers, so that an event loop that is
 * blocked for long is no reason to replace it.
 */
import { showHeldGil } from '../gil/python.ts';
import { LISTENER_FD, ORDERS_VARIABLE, type WorkerOrders } from './multiprocess.ts';
import { startPong } from './pong.ts';
import { STARTUP_FAILURE, serveProcess } from './serve-process.ts';

const orders = JSON.parse(process.env[ORDERS_VARIABLE] ?? 'null') as WorkerOrders;
delete process.env[ORDERS_VARIABLE];
process.title = `uvicorn: worker [${orders.app}]`;

const pong = startPong();
showHeldGil(pong.heldGil);
process.on('SIGHUP', () => {});

const end = await serveProcess(orders.app, orders.settings, {
  inherited: { fd: LISTENER_FD, unixPath: orders.unixPath },
  onStarted: pong.setStarted,
});
process.exit(end.kind === 'failed' ? STARTUP_FAILURE : 0);
