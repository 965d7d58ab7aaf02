/**
 * What a master tells a worker process when it starts it, and the descriptors that both agree on. The counterpart of what fork()
 * copies in the original: everything a worker needs is in here, or in the files that it inherits.
 */
import type { GunicornSettings } from '../settings/gunicorn-settings.ts';

/** The descriptors of a worker process, from 3 on; listeners follow in order. */
export const PARENT_FD = 3;
export const HEARTBEAT_FD = 4;
export const FIRST_LISTENER_FD = 5;

/** The environment variable that carries a WorkerStart, as JSON; a worker removes it before the application can see it. */
export const START_VARIABLE = 'PORTICO_WORKER_START';

/** One listener as a worker sees it; a null port is a unix socket. */
export interface ListenerStart {
  readonly name: string;
  readonly address: string;
  readonly port: number | null;
}

/** A worker's orders. */
export interface WorkerStart {
  readonly settings: GunicornSettings;
  readonly app: string;
  /** `sync`, `gthread` or `uvicorn`, after all aliases. */
  readonly workerClass: string;
  readonly age: number;
  readonly ppid: number;
  readonly listeners: readonly ListenerStart[];
  /** The config file to read server hooks from, since functions do not travel. */
  readonly configFile: string | null;
}
