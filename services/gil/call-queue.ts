/**
 * The calls that wait for a thread of the pool, in memory that the event loop and all threads share. A thread that has ended a call takes
 * the next one itself, and another is woken only when that one would have the GIL: when its holder blocks, or has computed for long. In
 * CPython each call has its own thread at once, which then waits for the lock; a thread of ours that was woken just to wait would cost
 * two changes of context a call, and caches and compiled code of its own.
 *
 * `active` counts the threads that will look for a call without being woken. Whoever adds a call looks at it afterwards, whoever stops
 * being active looks for calls afterwards, so one of the two sees the other.
 */
import { deserialize, serialize } from 'node:v8';

const HEAD = 0;
const TAIL = 1;
const ACTIVE = 2;
const HAS_DIRECT = 3;
const HEADER = 4;

const RUNNING = 0;
const PARKED = 1;
const ASLEEP = 2;

// A power of two, so that numbers may wrap, and more than there are threads.
const RING = 64;
const SLOT_BYTES = 8192;
// How long a thread stays where another thread can wake it. Its own event loop stands still meanwhile.
const PARK_MS = 50;

/** Shared memory, as it is sent to a thread. */
export interface CallQueueMemory {
  readonly words: SharedArrayBuffer;
  readonly slabs: SharedArrayBuffer;
  readonly threads: number;
}

/** Memory for as many calls as threads. */
export function callQueueMemory(threads: number): CallQueueMemory {
  return {
    words: new SharedArrayBuffer((HEADER + RING + threads * 2) * 4),
    slabs: new SharedArrayBuffer(threads * SLOT_BYTES),
    threads,
  };
}

/** One thread's view of the queue. */
export class CallQueue {
  readonly #words: Int32Array;
  readonly #slabs: Buffer;
  readonly #threads: number;

  constructor(memory: CallQueueMemory) {
    this.#words = new Int32Array(memory.words);
    this.#slabs = Buffer.from(memory.slabs);
    this.#threads = memory.threads;
  }

  /** Calls that no thread has taken. */
  get length(): number {
    return (Atomics.load(this.#words, TAIL) - Atomics.load(this.#words, HEAD)) | 0;
  }

  /** Whether a call waits that cannot travel this way: threads that end a call then wait to be chosen. */
  get hasDirect(): boolean {
    return Atomics.load(this.#words, HAS_DIRECT) === 1;
  }

  set hasDirect(has: boolean) {
    Atomics.store(this.#words, HAS_DIRECT, has ? 1 : 0);
  }

  /** Adds a call in a slot that nobody uses; false when it is too large, or can only be copied by a port. Only the event loop adds. */
  push(slot: number, call: unknown): boolean {
    let bytes: Buffer;
    try {
      bytes = serialize(call);
    } catch {
      return false;
    }
    if (bytes.length > SLOT_BYTES) return false;
    this.#slabs.set(bytes, slot * SLOT_BYTES);
    this.#words[this.#lengthOf(slot)] = bytes.length;
    const tail = Atomics.load(this.#words, TAIL);
    Atomics.store(this.#words, this.#ring(tail), slot);
    Atomics.store(this.#words, TAIL, (tail + 1) | 0);
    return true;
  }

  /** Takes the oldest call; undefined when there is none. */
  pop(): unknown {
    for (;;) {
      const head = Atomics.load(this.#words, HEAD);
      if (head === Atomics.load(this.#words, TAIL)) return undefined;
      const slot = Atomics.load(this.#words, this.#ring(head));
      if (Atomics.compareExchange(this.#words, HEAD, head, (head + 1) | 0) !== head) continue;
      const start = slot * SLOT_BYTES;
      const end = start + (this.#words[this.#lengthOf(slot)] ?? 0);
      // A copy: bytes among the arguments stay views of what they are read from.
      return deserialize(Buffer.from(this.#slabs.subarray(start, end)));
    }
  }

  /** The calling thread will not look for calls for a while, or will again. */
  retire(): void {
    Atomics.sub(this.#words, ACTIVE, 1);
  }

  activate(): void {
    Atomics.add(this.#words, ACTIVE, 1);
  }

  /** Sees to it that somebody looks for the calls that wait; false when there are calls and nobody can be woken from here. */
  rouse(): boolean {
    return this.length === 0 || Atomics.load(this.#words, ACTIVE) > 0 || this.claim() >= 0;
  }

  /** Wakes one thread for each call that waits; false when there are too few. */
  rouseAll(): boolean {
    for (let count = this.length; count > 0; count--) if (this.claim() < 0) return false;
    return true;
  }

  /** Wakes a parked thread; -1 when none is parked. */
  claim(): number {
    const thread = this.#choose(PARKED);
    if (thread >= 0) Atomics.notify(this.#words, this.#state(thread));
    return thread;
  }

  /** Chooses a thread that sleeps in its event loop, which a message will wake; -1 when there is none. */
  claimAsleep(): number {
    return this.#choose(ASLEEP);
  }

  // The first that fits: the lower a thread's number, the warmer its caches.
  #choose(from: number): number {
    for (let thread = 0; thread < this.#threads; thread++) {
      const at = this.#state(thread);
      if (Atomics.load(this.#words, at) !== from) continue;
      if (Atomics.compareExchange(this.#words, at, from, RUNNING) !== from) continue;
      this.activate();
      return thread;
    }
    return -1;
  }

  /** Waits until the thread is woken or there is a call; false when it is to wait in its event loop, for a message. */
  park(thread: number): boolean {
    const at = this.#state(thread);
    Atomics.store(this.#words, at, PARKED);
    this.retire();
    if (this.length > 0) return this.#resume(at, PARKED);
    if (!this.hasDirect && Atomics.wait(this.#words, at, PARKED, PARK_MS) !== 'timed-out') return true;
    if (Atomics.compareExchange(this.#words, at, PARKED, ASLEEP) !== PARKED) return true;
    // Once asleep and chosen, a message is on its way: that must be waited for.
    return this.length > 0 && this.#resume(at, ASLEEP);
  }

  /** False when another thread has chosen this one first. */
  #resume(at: number, from: number): boolean {
    const isOurs = Atomics.compareExchange(this.#words, at, from, RUNNING) === from;
    if (isOurs) this.activate();
    return isOurs || from === PARKED;
  }

  #state(thread: number): number {
    return HEADER + RING + thread;
  }

  #lengthOf(slot: number): number {
    return HEADER + RING + this.#threads + slot;
  }

  #ring(index: number): number {
    return HEADER + (index & (RING - 1));
  }
}
