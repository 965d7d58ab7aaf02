// The table and the lock under everything that workers share: no update is lost between processes, and a process that
// dies with the lock in its hands holds nobody up for good.
import { execFile, execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SharedLock } from '../../proxy/shared-lock.ts';
import { SharedTable } from '../../proxy/shared-table.ts';

const dir = mkdtempSync(join(tmpdir(), 'portico-table-'));
const fifo = join(dir, 'lock');
let lock: SharedLock;

beforeAll(() => {
  execFileSync('mkfifo', [fifo]);
  lock = new SharedLock(fifo);
  lock.give();
});
afterAll(() => rmSync(dir, { recursive: true }));

const key = (n: number): Buffer => {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32LE(n, 8);
  return bytes;
};

const url = (name: string): string => JSON.stringify(new URL(`../../proxy/${name}`, import.meta.url).href);
const run = (code: string) =>
  promisify(execFile)(process.execPath, [
    '--input-type=module',
    '-e',
    `import { SharedLock } from ${url('shared-lock.ts')};
     import { SharedTable } from ${url('shared-table.ts')};
     const lock = new SharedLock(${JSON.stringify(fifo)});
     ${code}`,
  ]);

test('three processes that count lose nothing', async () => {
  const path = join(dir, 'count');
  const count = `
    const table = new SharedTable(${JSON.stringify(path)}, lock, { records: 8, numbers: 2 });
    for (let i = 0; i < 3000; i++) table.update(Buffer.alloc(16, 7), (record) => {
      record[1]++;
      table.addToTotal(2);
      return true;
    });`;
  await Promise.all([run(count), run(count), run(count)]);
  const table = new SharedTable(path, lock, { records: 8, numbers: 2 });
  let found = 0;
  table.update(Buffer.alloc(16, 7), (record) => {
    found = record[1]!;
    return false;
  });
  expect(found).toBe(9000);
  expect(table.total).toBe(18_000);
});

test('the lock of a process that was killed comes back', async () => {
  await expect(run(`lock.take(); process.kill(process.pid, 'SIGKILL');`)).rejects.toThrow();
  const other = new SharedLock(fifo);
  // Both find it lost, and both go on; from then on there is one again.
  lock.take();
  other.take();
  lock.give();
  other.give();
  lock.take();
  const fd = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
  expect(() => readSync(fd, Buffer.alloc(1))).toThrow('EAGAIN');
  closeSync(fd);
  lock.give();
});

test('a full bucket gives up what was touched longest ago and is not in use', () => {
  const gone: number[] = [];
  const table = new SharedTable(join(dir, 'full'), lock, {
    records: 8,
    numbers: 2,
    evicted: (old, record) => gone.push(old.readUInt32LE(8), record[1]!),
  });
  const put = (n: number, inUse = 0): boolean =>
    table.update(key(n), (record, isNew) => {
      record.set([inUse, n * 10]);
      return isNew;
    });
  put(1, 1);
  for (let n = 2; n <= 8; n++) put(n);
  expect(gone).toEqual([]);
  expect(put(9)).toBe(true);
  expect(gone).toEqual([2, 20]);
  expect(put(2)).toBe(true);
  expect(table.remove(key(1), (record) => record[0] === 0)).toBe(false);
  expect(table.remove(key(1), (record) => record[0] === 1)).toBe(true);
  const left: number[] = [];
  table.scan((found) => left.push(found.readUInt32LE(8)));
  expect(left.sort()).toEqual([2, 4, 5, 6, 7, 8, 9]);
});
