/** System calls that Node does not offer, of the C library that this process has loaded anyway. */
import { createRequire } from 'node:module';

/** As the manual has them: 0 or above, or -1 for an error. */
export interface SystemCalls {
  shutdown(fd: number, how: number): number;
  poll(descriptors: Int32Array, count: number, timeoutMs: number): number;
  /** Absent where the system has no epoll. */
  readonly epollCtl?: (epoll: number, operation: number, fd: number, event: Uint32Array) => number;
}

function load(): SystemCalls | null {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const library = koffi.load(null);
    const calls: SystemCalls = {
      shutdown: library.func('int shutdown(int fd, int how)'),
      poll: library.func('int poll(void *descriptors, unsigned long count, int timeout)'),
    };
    if (process.platform !== 'linux') return calls;
    return { ...calls, epollCtl: library.func('int epoll_ctl(int epoll, int operation, int fd, void *event)') };
  } catch {
    return null;
  }
}

/** Null where koffi has no binary for this system, or is not installed. */
export const systemCalls = load();
