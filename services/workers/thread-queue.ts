/**
 * The queue between the main thread of a gthread worker and its threads: connections by slot number, in memory that all threads share.
 * A thread that has finished takes the next connection itself; the main thread is not asked, and may be waiting for the GIL.
 * Per slot it also holds what a thread must know: descriptor, peer, and the first bytes that the main thread has read.
 */

const LOCK = 0;
const HEAD = 1;
const TAIL = 2;
const ALIVE = 3;
const REQUESTS = 4;
const KEPT_ALIVE = 5;
const HEADER = 6;

const SLOT_FIELDS = 5;
const FD = 0;
const NUMBER = 1;
const DATA = 2;
const PEER_PORT = 3;
const PEER_BYTES = 4;

const ADDRESS_BYTES = 64;
/** How many bytes the main thread reads ahead, as one recv() of Gunicorn's does. */
export const FIRST_READ_BYTES = 8192;
const SLAB_BYTES = ADDRESS_BYTES + FIRST_READ_BYTES;

/** What is in a slot's data field when it is not a number of bytes. */
export const NO_DATA = -1;
export const END_OF_DATA = -2;

/** The shared memory, as it is sent to a thread. */
export interface ThreadQueueMemory {
  readonly words: SharedArrayBuffer;
  readonly slabs: SharedArrayBuffer;
  readonly threads: number;
  readonly slots: number;
}

/** Memory for a queue; slabs are only touched, and so only cost memory, when their slot is used. */
export function threadQueueMemory(threads: number, slots: number): ThreadQueueMemory {
  const words = HEADER + threads + slots + 1 + slots * SLOT_FIELDS;
  return {
    words: new SharedArrayBuffer(words * 4),
    slabs: new SharedArrayBuffer(slots * SLAB_BYTES),
    threads,
    slots,
  };
}

/** One thread's view of the queue. */
export class ThreadQueue {
  readonly #words: Int32Array;
  readonly #slabs: Buffer;
  readonly #threads: number;
  readonly #capacity: number;

  constructor(memory: ThreadQueueMemory) {
    this.#words = new Int32Array(memory.words);
    this.#slabs = Buffer.from(memory.slabs);
    this.#threads = memory.threads;
    this.#capacity = memory.slots + 1;
  }

  get isAlive(): boolean {
    return Atomics.load(this.#words, ALIVE) === 0;
  }

  /** From now on no connection is kept alive. */
  markStopping(): void {
    Atomics.store(this.#words, ALIVE, 1);
  }

  /** Counts a request; gives its number in the worker. */
  countRequest(): number {
    return Atomics.add(this.#words, REQUESTS, 1) + 1;
  }

  get keptAlive(): number {
    return Atomics.load(this.#words, KEPT_ALIVE);
  }

  set keptAlive(count: number) {
    Atomics.store(this.#words, KEPT_ALIVE, count);
  }

  /** Describes a fresh connection in its slot. */
  open(slot: number, fd: number, peer: { address: string; port: number | null }): void {
    const at = this.#slot(slot);
    this.#words[at + FD] = fd;
    this.#words[at + NUMBER] = 0;
    this.#words[at + PEER_PORT] = peer.port ?? -1;
    this.#words[at + PEER_BYTES] = this.#slabs.write(peer.address, slot * SLAB_BYTES, ADDRESS_BYTES, 'latin1');
    Atomics.store(this.#words, at + DATA, NO_DATA);
  }

  fd(slot: number): number {
    return this.#words[this.#slot(slot) + FD] ?? -1;
  }

  peer(slot: number): { address: string; port: number | null } {
    const at = this.#slot(slot);
    const port = this.#words[at + PEER_PORT] ?? -1;
    const start = slot * SLAB_BYTES;
    const address = this.#slabs.toString('latin1', start, start + (this.#words[at + PEER_BYTES] ?? 0));
    return { address, port: port < 0 ? null : port };
  }

  /** Counts a request of the connection; gives its number, from 1. */
  nextNumber(slot: number): number {
    const at = this.#slot(slot) + NUMBER;
    return (this.#words[at] = (this.#words[at] ?? 0) + 1);
  }

  /** Hands over the first bytes of a request, and wakes a thread that waits for them. */
  setData(slot: number, bytes: Uint8Array): void {
    this.#slabs.set(bytes, slot * SLAB_BYTES + ADDRESS_BYTES);
    this.#announce(slot, bytes.length);
  }

  /** There will be no more bytes. */
  setEnd(slot: number): void {
    this.#announce(slot, END_OF_DATA);
  }

  #announce(slot: number, value: number): void {
    const at = this.#slot(slot) + DATA;
    Atomics.store(this.#words, at, value);
    Atomics.notify(this.#words, at);
  }

  hasData(slot: number): boolean {
    return Atomics.load(this.#words, this.#slot(slot) + DATA) !== NO_DATA;
  }

  /** Waits for the first bytes and takes them; null when the time is over, an empty buffer at the end of the connection. */
  takeData(slot: number, timeoutMs: number): Buffer | null {
    const at = this.#slot(slot) + DATA;
    if (Atomics.wait(this.#words, at, NO_DATA, timeoutMs) === 'timed-out') return null;
    const length = Atomics.exchange(this.#words, at, NO_DATA);
    if (length < 0) return Buffer.alloc(0);
    const start = slot * SLAB_BYTES + ADDRESS_BYTES;
    return Buffer.from(this.#slabs.subarray(start, start + length));
  }

  /** Adds a connection. Gives the thread to wake, or -1 when all are busy and one will come by itself. */
  push(slot: number): number {
    this.#lock();
    const tail = this.#words[TAIL] ?? 0;
    this.#words[this.#ring(tail)] = slot;
    this.#words[TAIL] = (tail + 1) % this.#capacity;
    let idle = -1;
    for (let thread = 0; thread < this.#threads && idle < 0; thread++) {
      if (this.#words[HEADER + thread] === 1) idle = thread;
    }
    if (idle >= 0) this.#words[HEADER + idle] = 0;
    this.#unlock();
    return idle;
  }

  /** Takes the oldest connection; -1 when there is none, and `thread` is then marked idle until push() picks it. */
  pop(thread: number): number {
    this.#lock();
    const head = this.#words[HEAD] ?? 0;
    let slot = -1;
    if (head === this.#words[TAIL]) this.#words[HEADER + thread] = 1;
    else {
      slot = this.#words[this.#ring(head)] ?? -1;
      this.#words[HEAD] = (head + 1) % this.#capacity;
    }
    this.#unlock();
    return slot;
  }

  /** Connections that wait for a thread. */
  get waiting(): number {
    return ((this.#words[TAIL] ?? 0) - (this.#words[HEAD] ?? 0) + this.#capacity) % this.#capacity;
  }

  #ring(index: number): number {
    return HEADER + this.#threads + index;
  }

  #slot(slot: number): number {
    return HEADER + this.#threads + this.#capacity + slot * SLOT_FIELDS;
  }

  #lock(): void {
    while (Atomics.compareExchange(this.#words, LOCK, 0, 1) !== 0) Atomics.wait(this.#words, LOCK, 1, 1);
  }

  #unlock(): void {
    Atomics.store(this.#words, LOCK, 0);
    Atomics.notify(this.#words, LOCK, 1);
  }
}
