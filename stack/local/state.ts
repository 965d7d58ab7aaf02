// What `up` leaves on disk for `ps`, `down` and the next `up`: .portico/state.json in the project, written whole and
// renamed into place at every change, for the user's eyes only. It exists exactly while a stack is up or was killed; creating
// it is also the lock that keeps two `up` of one project apart.
import { chmodSync, linkSync, mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Leftover } from './leftovers.ts';
import type { ProcessIdentity } from './process-identity.ts';

/** How a replica stands; the words are Docker's. */
export type ReplicaStatus = 'created' | 'running' | 'restarting' | 'exited';
export type HealthStatus = 'none' | 'starting' | 'healthy' | 'unhealthy';

/** One replica on record. */
export interface ReplicaRecord {
  name: string;
  service: string;
  status: ReplicaStatus;
  health: HealthStatus;
  address: string;
  ports: number[];
  process?: ProcessIdentity;
  startedAt?: number;
  exit?: string;
  stopSignal: NodeJS.Signals;
  stopGraceMs: number;
}

/** The whole record of a stack. Replicas stand in starting order. */
export interface StackState {
  version: 1;
  project: string;
  file: string;
  supervisor: ProcessIdentity;
  startedAt: number;
  isUp: boolean;
  replicas: ReplicaRecord[];
}

/** The private directory of a project; every path in it is made here. */
export class StateDirectory {
  readonly path: string;

  constructor(projectDirectory: string) {
    this.path = join(projectDirectory, '.portico');
  }

  /** A path inside the directory. */
  at(name: string): string {
    return join(this.path, name);
  }

  /** Makes the directory. Its files are private; only the hosts file must be within reach of workers of another user. */
  create(): void {
    mkdirSync(this.path, { recursive: true, mode: 0o711 });
    chmodSync(this.path, 0o711);
  }

  /** Writes the first state; false when one is there already. */
  claim(state: StackState): boolean {
    const aside = this.at(`state.json.${process.pid}`);
    writeFileSync(aside, JSON.stringify(state), { mode: 0o600 });
    try {
      linkSync(aside, this.at('state.json'));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    } finally {
      rmSync(aside, { force: true });
    }
  }

  /** Replaces the state. */
  write(state: StackState): void {
    const aside = this.at(`state.json.${process.pid}`);
    writeFileSync(aside, JSON.stringify(state), { mode: 0o600 });
    renameSync(aside, this.at('state.json'));
  }

  /** The state on record; undefined when nothing is up, or when the file is not of this version. */
  read(): StackState | undefined {
    try {
      const state = JSON.parse(readFileSync(this.at('state.json'), 'utf8')) as StackState;
      return state.version === 1 ? state : undefined;
    } catch {
      return undefined;
    }
  }

  /** Removes what `up` made, and the directory itself once it is empty. */
  clear(): void {
    rmSync(this.at('state.json'), { force: true });
    rmSync(this.at('hosts'), { force: true });
    try {
      rmdirSync(this.path);
    } catch {
      // Something of the user's, or a log that is still wanted, is in it.
    }
  }
}

/** The processes on record, in the form in which they are ended. */
export function leftoversOf(state: StackState): Leftover[] {
  return state.replicas.flatMap(({ name, process, stopSignal, stopGraceMs }) =>
    process === undefined ? [] : [{ name, process, stopSignal, stopGraceMs }],
  );
}
