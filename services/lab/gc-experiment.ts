/**
 * `portico lab gc`: what reference counting frees and what it cannot. A chain goes with its last variable; a cycle keeps itself alive until
 * the collector finds that nothing outside refers to it. Then the same in numbers: a program that makes cycle after cycle.
 */
import { Heap, type HeapEvent } from './heap.ts';
import { bars, table } from './table.ts';

/** One step of the story, with the counts after it. */
export interface GcStep {
  readonly statement: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly events: readonly HeapEvent[];
  readonly alive: number;
}

/** What the experiment found. */
export interface GcResult {
  readonly steps: readonly GcStep[];
  /** After so many cycles were made and dropped. */
  readonly cycles: number;
  readonly countingOnly: { readonly alive: number; readonly mostAlive: number };
  readonly withCollector: { readonly alive: number; readonly mostAlive: number; readonly collections: number };
}

function story(): GcStep[] {
  const heap = new Heap({ isCollecting: false });
  const steps: GcStep[] = [];
  const named = new Map<string, { refcount: number }>();
  let seen = 0;
  const note = (statement: string): void => {
    const events = heap.events.slice(seen);
    seen = heap.events.length;
    for (const event of events) if (event.kind !== 'allocated') named.delete(event.name);
    const counts = Object.fromEntries([...named].map(([name, { refcount }]) => [name, refcount]));
    steps.push({ statement, counts, events, alive: heap.alive });
  };
  const make = (name: string): ReturnType<Heap['allocate']> => {
    const object = heap.allocate(name);
    named.set(name, object);
    return object;
  };
  const [a, b] = [make('A'), make('B')];
  note('a, b = A(), B()');
  heap.refer(a, b);
  note('a.next = b');
  heap.release(b);
  note('del b');
  heap.release(a);
  note('del a');
  const [c, d] = [make('C'), make('D')];
  heap.refer(c, d);
  heap.refer(d, c);
  note('c, d = C(), D(); c.next = d; d.next = c');
  heap.release(c);
  heap.release(d);
  note('del c, d');
  const found = heap.collect();
  note(`gc.collect() = ${found}`);
  return steps;
}

function churn(heap: Heap, cycles: number): void {
  for (let n = 0; n < cycles; n++) {
    const [one, other] = [heap.allocate('one'), heap.allocate('other')];
    heap.refer(one, other);
    heap.refer(other, one);
    heap.release(one);
    heap.release(other);
  }
}

/** Runs it: the story, and a program that makes so many cycles. */
export function gcExperiment({ cycles = 5000 } = {}): GcResult {
  const counting = new Heap({ isCollecting: false });
  const collecting = new Heap({ isCollecting: true });
  churn(counting, cycles);
  churn(collecting, cycles);
  return {
    steps: story(),
    cycles,
    countingOnly: { alive: counting.alive, mostAlive: counting.mostAlive },
    withCollector: {
      alive: collecting.alive,
      mostAlive: collecting.mostAlive,
      collections: collecting.collections,
    },
  };
}

/** The result as text. */
export function showGc({ steps, cycles, countingOnly, withCollector }: GcResult): string {
  const cells = steps.map(({ statement, counts, events, alive }) => [
    statement,
    Object.entries(counts)
      .map(([name, count]) => `${name}:${count}`)
      .join(' ') || '-',
    events
      .filter(({ kind }) => kind !== 'allocated')
      .map(({ kind, name }) => `${name} ${kind}`)
      .join(', ') || '-',
    alive,
  ]);
  return `References counted: a chain, then a cycle

${table(['statement', 'reference counts', 'what was freed', 'alive'], cells)}
${cycles.toLocaleString('en-US')} cycles of two objects, each made and dropped: the most that were alive at once
${bars(
  [
    ['counting only', countingOnly.mostAlive],
    ['with the collector', withCollector.mostAlive],
  ],
  'objects',
)}
The chain goes with its last variable. In the cycle each object keeps the other's count at one, so counting alone never frees it;
the collector, which ran ${withCollector.collections} times by itself, sees that nothing outside refers to it.
`;
}
