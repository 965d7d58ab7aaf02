// Which worker this process is, among those that share zones: the master says it before the configuration is read. A
// process without a master is the only one.

export interface WorkerPlace {
  /** Number of the configuration in force, from 1; zones of upstreams belong to one. */
  readonly cycle: number;
  /** Among the workers of that configuration; a worker that died leaves its slot to the one that replaces it. */
  readonly slot: number;
  /** How many they are. */
  readonly workers: number;
  /** Among all workers that live, those of earlier configurations too; from 1. */
  readonly row: number;
}

let current: WorkerPlace = { cycle: 0, slot: 0, workers: 1, row: 1 };

export function workerPlace(): WorkerPlace {
  return current;
}

export function setWorkerPlace(place: WorkerPlace): void {
  current = place;
}
