/** What the workers of an experiment are told and say, and the memory that those share which are threads. The workers are job.ts. */
import type { GilState } from '../gil/gil.ts';

/** What a worker is to do. */
export type JobOrder =
  | { readonly kind: 'cpu' | 'io'; readonly ms: number; readonly count: number }
  | { readonly kind: 'refcount'; readonly updates: number; readonly isAtomic: boolean };

/** How a worker is started; memory only when it is a thread. */
export interface JobStart {
  readonly order: JobOrder;
  readonly gil: GilState | null;
  readonly index: number;
  readonly workers: number;
  readonly shared: SharedArrayBuffer | null;
}

/** What a worker says. */
export type JobMessage = 'ready' | 'done';

/** The words of the memory that threads share. */
export const INSIDE = 0;
export const MOST_INSIDE = 1;
export const REFERENCES = 2;
/** How many workers have arrived at the start. */
export const ARRIVED = 3;
export const JOB_WORDS = 4;
