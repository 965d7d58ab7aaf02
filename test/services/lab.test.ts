import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { gcExperiment, showGc } from '../../services/lab/gc-experiment.ts';
import { type GilRow, gilExperiment, showGil, type Topology } from '../../services/lab/gil-experiment.ts';
import { GC_THRESHOLD, Heap } from '../../services/lab/heap.ts';
import { refcountExperiment, showRefcount } from '../../services/lab/refcount-experiment.ts';
import { bars, table } from '../../services/lab/table.ts';
import { ROOT } from './server-process.ts';

const run = promisify(execFile);

describe('lab gil', () => {
  it('finds that threads compute one at a time under the GIL and together without it, and wait together', async () => {
    const result = await gilExperiment({ jobs: 3, jobMs: 200 });
    const row = (work: 'cpu' | 'io', topology: Topology): GilRow =>
      result.rows.find((each) => each.work === work && each.topology === topology)!;
    expect(row('cpu', 'one thread').mostAtOnce).toBe(1);
    expect(row('cpu', 'threads, GIL').mostAtOnce).toBe(1);
    expect(row('cpu', 'threads, GIL').gil!.switches).toBeGreaterThan(3);
    expect(row('cpu', 'threads, GIL').gil!.forced).toBeGreaterThan(0);
    expect(row('cpu', 'threads, GIL').gil!.waitMs).toBeGreaterThan(row('cpu', 'one thread').gil!.waitMs);
    expect(row('cpu', 'threads, no GIL').mostAtOnce).toBeGreaterThan(1);
    expect(row('cpu', 'threads, no GIL').gil!.switches).toBe(0);
    // 600 ms of waiting one after the other against 200 at the same time.
    expect(row('io', 'threads, GIL').wallMs).toBeLessThan(row('io', 'one thread').wallMs);
    expect(result.rows.map(({ workers }) => workers)).toEqual([1, 3, 3, 3, 1, 3, 3, 3]);
    expect(showGil(result)).toContain('threads, no GIL');
  });
});

describe('lab refcount', () => {
  it('loses updates without the lock, and none under it or with atomic additions', async () => {
    const result = await refcountExperiment({ updates: 5_000_000 });
    const lost = Object.fromEntries(result.rows.map((row) => [row.protection, row.lost]));
    expect(lost['none']).toBeGreaterThan(0);
    expect(lost).toMatchObject({ GIL: 0, atomic: 0 });
    expect(showRefcount(result)).toContain('under the GIL');
  });
});

describe('lab gc', () => {
  it('frees a chain by counting and a cycle only by the collector', () => {
    const { steps } = gcExperiment({ cycles: 1 });
    const step = (statement: string): (typeof steps)[number] => steps.find((each) => each.statement === statement)!;
    expect(step('a.next = b').counts).toEqual({ A: 1, B: 2 });
    expect(step('del a')).toMatchObject({ alive: 0, counts: {} });
    expect(step('del a').events.map(({ kind }) => kind)).toEqual(['freed by counting', 'freed by counting']);
    expect(step('del c, d')).toMatchObject({ alive: 2, counts: { C: 1, D: 1 }, events: [] });
    expect(step('gc.collect() = 2')).toMatchObject({ alive: 0 });
  });

  it('piles up garbage without the collector, and no more than its threshold with it', () => {
    const result = gcExperiment({ cycles: 3000 });
    expect(result.countingOnly.mostAlive).toBe(6000);
    expect(result.withCollector.mostAlive).toBeLessThanOrEqual(GC_THRESHOLD + 2);
    expect(result.withCollector.collections).toBe(Math.floor((6000 - 1) / GC_THRESHOLD));
    expect(showGc(result)).toContain('gc.collect() = 2');
  });

  it('keeps a cycle that a variable still leads to', () => {
    const heap = new Heap({ isCollecting: false });
    const [root, one, other] = [heap.allocate('root'), heap.allocate('one'), heap.allocate('other')];
    heap.refer(root, one);
    heap.refer(one, other);
    heap.refer(other, one);
    heap.release(one);
    heap.release(other);
    expect(heap.collect()).toBe(0);
    heap.release(root);
    expect(heap.alive).toBe(2);
    expect(heap.collect()).toBe(2);
    expect(heap.alive).toBe(0);
  });
});

describe('portico lab', () => {
  it('prints JSON when asked', async () => {
    const { stdout } = await run(process.execPath, ['services/lab/main.ts', 'gc', '--json'], { cwd: ROOT });
    expect(JSON.parse(stdout)).toMatchObject({ cycles: 5000, countingOnly: { alive: 10000 } });
  });

  it('refuses what it does not know', async () => {
    const lab = (...args: string[]): Promise<unknown> =>
      run(process.execPath, ['services/lab/main.ts', ...args], { cwd: ROOT });
    const refusal = (text: string): object => ({ code: 2, stderr: expect.stringContaining(text) });
    await expect(lab()).rejects.toMatchObject(refusal('which experiment? gil, refcount, gc'));
    await expect(lab('gli')).rejects.toMatchObject(refusal('no such experiment: gli'));
    await expect(lab('gc', '--jsn')).rejects.toMatchObject(refusal("Unknown option '--jsn'"));
  });

  it('aligns tables and scales bars', () => {
    expect(
      table(
        ['what', 'n'],
        [
          ['one', 1],
          ['ten', 10],
        ],
      ),
    ).toBe('what    n\n----   --\none     1\nten    10\n');
    expect(
      bars(
        [
          ['a', 4],
          ['bb', 2],
          ['c', 0],
        ],
        'ms',
      ),
    ).toBe(`a   ${'█'.repeat(40)} 4 ms\nbb  ${'█'.repeat(20)} 2 ms\nc    0 ms\n`);
  });
});
