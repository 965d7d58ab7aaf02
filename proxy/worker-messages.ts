// What master and workers say to each other over IPC. Handles of listening sockets travel beside a `socket` message.
import type { CycleOptions } from './cycle.ts';
import type { WorkerUser } from './modules/process.ts';
import type { WorkerPlace } from './worker-place.ts';

/** The first message to a worker: all that it needs to become one. */
export interface StartMessage {
  readonly kind: 'start';
  readonly options: Pick<CycleOptions, 'prefix' | 'confFile' | 'globals' | 'errorLog'>;
  /** The configuration's files as the master read them: a worker that is replaced runs what the others run. */
  readonly files: readonly (readonly [string, string])[];
  readonly user: WorkerUser | undefined;
  readonly place: WorkerPlace;
  /** Session ticket keys that all workers share. */
  readonly ticketKeys: Uint8Array;
  /** Contents of password files. */
  readonly passwords: readonly (readonly [string, string])[];
  readonly isDaemon: boolean;
}

export type ToWorker =
  | StartMessage
  | { readonly kind: 'socket'; readonly key: string }
  | { readonly kind: 'listen' | 'resume' | 'quit' | 'terminate' | 'reopen' }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown };

export type ToMaster =
  | { readonly kind: 'ready' }
  /** The worker gave its sockets up for a while and wants them back: they come, and `resume`. */
  | { readonly kind: 'sockets' }
  | { readonly kind: 'ask'; readonly id: number; readonly topic: string; readonly value: unknown }
  | { readonly kind: 'tell'; readonly topic: string; readonly value: unknown };

/** Exit status of a worker that cannot start and must not be tried again (nginx's fatal code). */
export const FATAL = 2;
