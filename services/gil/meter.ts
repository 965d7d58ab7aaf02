/** Counters of the calling thread, read by Server-Timing and the gauges: how long it waited for the GIL, and in blocking calls. */

/** Milliseconds, only ever growing. A thread has its own, since a module is loaded once a thread. */
export const meter = { gilWaitMs: 0, ioMs: 0 };
