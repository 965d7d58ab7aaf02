import { configDefaults, defineConfig } from 'vitest/config';

const ALL = ['test/**/*.test.ts', 'examples/**/*.test.ts'];
/** They hold figures of ms against each other when they run in full size, and then have the machine to themselves. */
const MEASURING = ['test/load/accuracy.test.ts', 'test/chaos/slow-clients.test.ts'];
const isFull = process.env['PORTICO_TEST_FULL'] === '1';

export default defineConfig({
  // The examples import the package as its users do.
  resolve: { alias: { portico: new URL('./proxy/testing/index.ts', import.meta.url).pathname } },
  test: {
    ...(isFull
      ? {
          projects: [
            // Not 0: vitest runs what has that order and one worker last.
            {
              extends: true as const,
              test: { name: 'measuring', include: MEASURING, maxWorkers: 1, sequence: { groupOrder: 1 } },
            },
            {
              extends: true as const,
              test: {
                name: 'the rest',
                include: ALL,
                exclude: [...configDefaults.exclude, ...MEASURING],
                sequence: { groupOrder: 2 },
              },
            },
          ],
        }
      : { include: ALL }),
    pool: 'forks',
    // Tests start real processes on a two-core machine: two files at a time keep them fast and fair.
    maxWorkers: 2,
    // CI's machine is shared: one more try tells a starved process from a broken one, and is printed.
    retry: process.env['CI'] ? 1 : 0,
    // When something has failed, not how long it may take: a starved machine needs 20 s to start ten servers at once.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Test files run in the pinned Node (see package.json, "node"), as do the processes that they start.
    execArgv: [],
  },
});
