// What waits for the end of the event that is being handled: a head that is held back until its body has come, too. Events that reach us
// through a callback of our own are told of here; after any other, the runtime's tick queue does the same and costs more.

/** Something that is held back. */
export interface HeldBack {
  flushQueued(): void;
}

let depth = 0;
let count = 0;
const waiting: HeldBack[] = [];

/** An event begins; `endEvent` must follow, whatever happens. */
export function beginEvent(): void {
  depth++;
}

export function endEvent(): void {
  if (--depth > 0 || count === 0) return;
  for (let i = 0; i < count; i++) waiting[i]!.flushQueued();
  count = 0;
}

/** Calls `held.flushQueued` when the event is over. */
export function atEventEnd(held: HeldBack): void {
  if (depth > 0) waiting[count++] = held;
  else process.nextTick(flushQueued, held);
}

function flushQueued(held: HeldBack): void {
  held.flushQueued();
}
