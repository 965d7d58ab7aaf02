/** A thread for gil.test.ts: enters a section that only the holder of the GIL may be in, and counts how many are there with it. */
import { parentPort, workerData } from 'node:worker_threads';
import { Gil, type GilState } from '../../services/gil/gil.ts';
import { burn, native, setGil } from '../../services/gil/python.ts';

const { state, index, shared, job, turns } = workerData as {
  state: GilState;
  index: number;
  shared: SharedArrayBuffer;
  job: 'section' | 'burn' | 'native' | 'release';
  turns: number;
};
const [INSIDE, MOST, READY, COUNTER] = [0, 1, 2, 3] as const;
const words = new Int32Array(shared);
const gil = new Gil(state, index + 1);
setGil(gil);

function enter(): void {
  const inside = Atomics.add(words, INSIDE, 1) + 1;
  if (inside > Atomics.load(words, MOST)) Atomics.store(words, MOST, inside);
}

function leave(): void {
  Atomics.sub(words, INSIDE, 1);
}

// All threads begin together, so that they really meet.
Atomics.sub(words, READY, 1);
Atomics.notify(words, READY);
for (let left = Atomics.load(words, READY); left > 0; left = Atomics.load(words, READY))
  Atomics.wait(words, READY, left, 100);

for (let turn = 0; turn < turns; turn++) {
  gil.acquire();
  if (job === 'burn') burn(20);
  else if (job === 'native') {
    gil.allowThreads(() => {
      enter();
      const end = performance.now() + 20;
      while (performance.now() < end);
      leave();
    });
    native(0);
  } else {
    enter();
    // Not atomic on purpose: under the lock no update is lost.
    words[COUNTER] = (words[COUNTER] ?? 0) + 1;
    const end = performance.now() + 0.2;
    while (performance.now() < end);
    leave();
  }
  gil.release();
}
parentPort?.postMessage(gil.switches);
