// What a worker does when it runs out of file descriptors. The runtime would accept the connections that wait and close
// them without a word; nginx says so in its log, lets them wait in the system's queue, and tries again half a second
// later. So here a worker stops to listen a few descriptors before the last one, and gets its sockets back from the
// master when there is room. Mirrors ngx_event_accept and ngx_disable_accept_events.
import { readdirSync, readFileSync } from 'node:fs';
import { limits } from './listen/listener.ts';
import type { Serving } from './serving.ts';

/** Kept for files, upstreams and the sockets to come back. */
const RESERVE = 8;
/** nginx's accept_mutex_delay. */
const AGAIN_MS = 500;

/** Watches over the descriptors of a worker that serves; `askSockets` makes the master send the sockets and `resume`. */
export function watchDescriptors(serving: Serving, isQuitting: () => boolean, askSockets: () => void): void {
  const limit = descriptorLimit();
  if (limit === undefined) return;
  limits.lastDescriptor = limit - RESERVE;
  const isRoom = (): boolean => {
    try {
      return readdirSync('/proc/self/fd').length < limits.lastDescriptor;
    } catch {
      return false;
    }
  };
  const again = (): void => {
    if (isQuitting()) return;
    if (isRoom()) askSockets();
    else sayFull();
  };
  const sayFull = (): void => {
    serving.cycle.log.write('crit', 'accept4() failed (24: Too many open files)');
    setTimeout(again, AGAIN_MS).unref();
  };
  limits.onNoDescriptors = (): void => {
    if (!serving.isAccepting) return;
    serving.pause();
    sayFull();
  };
}

/** The limit that the system sets; undefined where it does not tell. */
function descriptorLimit(): number | undefined {
  try {
    const found = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'));
    return found ? Number(found[1]) : undefined;
  } catch {
    return undefined;
  }
}
