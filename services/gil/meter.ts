/**
 * Counters of the calling thread, in ms, only ever growing; a thread has its own, since a module is loaded once a thread. Server-Timing
 * reads them for one request, the cost model to tell an application's own work from the server's.
 */
export const meter = {
  /** Waiting for the GIL. */
  gilWaitMs: 0,
  /** What gilWaitMs was when this thread turned to what it does now: it waits for the GIL before it can read a request. */
  gilWaitAtTakeMs: 0,
  /** In blocking calls. */
  ioMs: 0,
  /** CPU time that an application asked for by burn() and native(). */
  workMs: 0,
  /** CPU time that the cost model has spent, for what Python would have needed more than this server did. */
  pythonMs: 0,
};
