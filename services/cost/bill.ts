/**
 * Spends what Python would have cost. A server and a framework say what a request owes (`owe`), and before the response leaves the rest of
 * it is spent (`settle`): real CPU time of the thread that serves, under the GIL where there is one.
 *
 * What this program itself has used since the last settlement counts towards it, accepting and logging included, so that a request costs
 * what it costs in Python and not that on top of what it costs here. What the application asked for by burn() and native() does not count.
 * One bill a thread; off until a worker turns it on.
 */
import { meter } from '../gil/meter.ts';
import { interpretUntil, threadCpuMs } from '../gil/python.ts';
import { type FigureName, readCostProfile } from './profile.ts';

let figuresMs: Partial<Record<FigureName, number>> | null = null;
let owedMs = 0;
let creditMs = 0;
let account: Int32Array | null = null;
let markMs = 0;
let markWorkMs = 0;
/**
 * How much of what was used beyond what is owed counts for the requests that come next, in ms. One turn of an event loop reads many requests
 * before it answers the first, and a collection of garbage is not the doing of the request that it meets; but what a start has cost is
 * not paid back by the requests after it.
 */
const CARRIED_MS = 5;

const boots = new Set<FigureName>();

/** Turns the bill of this thread on, at so many times the profile's figures; 0 turns it off. Throws CostProfileError. */
export function usePythonCost(factor: number): void {
  figuresMs = null;
  owedMs = 0;
  creditMs = 0;
  if (factor === 0) return;
  const { figures } = readCostProfile();
  figuresMs = Object.fromEntries(Object.entries(figures).map(([name, { us }]) => [name, (us * factor) / 1000]));
}

/** Adds a figure, or a share of it, to what the request in hand will have cost. */
export function owe(name: FigureName, share = 1): void {
  if (figuresMs) owedMs += (figuresMs[name] ?? 0) * share;
}

/** CPU time that another thread of this process has used for this thread's requests counts as used, too. */
export function credit(ms: number): void {
  if (figuresMs) creditMs += ms;
}

/** Memory in which one thread leaves credit for whichever other settles next. */
export function creditAccount(): SharedArrayBuffer {
  return new SharedArrayBuffer(4);
}

/** This thread settles with what is in the account. */
export function useCreditAccount(memory: SharedArrayBuffer): void {
  account = new Int32Array(memory);
}

/** A function that puts into the account what CPU time the calling thread has used since it was last called. */
export function creditor(memory: SharedArrayBuffer, isOn: boolean): () => void {
  if (!isOn) return () => {};
  const words = new Int32Array(memory);
  let before = threadCpuMs();
  return () => {
    const now = threadCpuMs();
    Atomics.add(words, 0, Math.round((now - before) * 1000));
    before = now;
  };
}

/** Spends what is owed and not yet used. Call it under the GIL. */
export function settle(): void {
  if (!figuresMs) return;
  const now = threadCpuMs();
  const used = now - markMs - (meter.workMs - markWorkMs);
  markWorkMs = meter.workMs;
  markMs = now;
  const others = creditMs + (account ? Atomics.exchange(account, 0, 0) / 1000 : 0);
  const rest = owedMs - Math.max(0, used) - others;
  owedMs = 0;
  creditMs = Math.min(Math.max(0, -rest), CARRIED_MS);
  if (rest <= 0) return;
  interpretUntil(now + rest);
  // What went beyond it, if only for looking at the clock, is the next request's.
  markMs = now + rest;
  meter.pythonMs += rest;
}

/** Spends one figure at once and on top, whatever else was used; for costs outside requests. */
export function spend(name: FigureName): void {
  const ms = figuresMs?.[name] ?? 0;
  if (ms === 0) return;
  const start = threadCpuMs();
  interpretUntil(start + ms);
  const spent = threadCpuMs() - start;
  meter.pythonMs += spent;
  // The request that is in hand has not paid for it.
  markMs += spent;
}

/** A framework says that importing it costs something, once a process. */
export function oweBoot(name: FigureName): void {
  boots.add(name);
}

/** After the application was loaded: makes this thread's start as dear as Python's. Requests are charged from now on. */
export function settleBoot(): void {
  if (figuresMs) interpretUntil(Math.max(0, ...[...boots].map((name) => figuresMs?.[name] ?? 0)));
  markMs = threadCpuMs();
  markWorkMs = meter.workMs;
  creditMs = 0;
}
