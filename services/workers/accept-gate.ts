/**
 * Whether the event loop accepts connections at this moment. A worker that serves one at a time must leave the next in the kernel while
 * it is busy, for whichever worker is free, and still see its signals.
 *
 * DESIGN. Node cannot stop a listener and let it go on: the loop's epoll is told itself not to look at the listeners, behind the loop's
 * back, which finds again what it left. Where that cannot be done the loop accepts one connection in each turn that it takes.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { NetHandle } from '../net-handle.ts';
import { systemCalls } from './system-calls.ts';

const EPOLL_CTL_MOD = 3;
const EPOLLIN = 1;
// struct epoll_event, which is packed on x86-64 only, as libuv fills it in: what to look for, and the descriptor.
const event = new Uint32Array(4);
const FD_AT = process.arch === 'x64' ? 1 : 2;

/** Opens and shuts the way to some listeners. It is first shut once one of them has accepted, for then the loop looks at them. */
export class AcceptGate {
  #fds: readonly number[];
  #epoll: number | undefined;
  #isOpen = true;

  constructor(listeners: readonly NetHandle[]) {
    this.#fds = listeners.map(({ fd }) => fd);
  }

  /** From now on connections wait in the kernel, or no longer. */
  set isOpen(isOpen: boolean) {
    if (isOpen === this.#isOpen) return;
    this.#isOpen = isOpen;
    const control = systemCalls?.epollCtl;
    const [first] = this.#fds;
    if (!control || first === undefined) return;
    this.#epoll ??= epollOf(first);
    event[0] = isOpen ? EPOLLIN : 0;
    for (const fd of this.#fds) {
      event[FD_AT] = fd;
      control(this.#epoll, EPOLL_CTL_MOD, fd, event);
    }
  }

  /** The listeners are closed: their descriptors may soon be something else's. */
  remove(): void {
    this.#fds = [];
  }
}

/** The descriptor of the epoll that looks at another descriptor; -1, which no call takes, if there is none. */
function epollOf(fd: number): number {
  const target = new RegExp(`^tfd: +${fd} `, 'm');
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      const isEpoll = readlinkSync(`/proc/self/fd/${name}`) === 'anon_inode:[eventpoll]';
      if (isEpoll && target.test(readFileSync(`/proc/self/fdinfo/${name}`, 'latin1'))) return Number(name);
    } catch {
      // It was the descriptor of the list itself.
    }
  }
  return -1;
}
