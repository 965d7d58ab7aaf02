import { defineConfig } from 'vitest/config';

export default defineConfig({
  // The examples import the package as its users do.
  resolve: { alias: { portico: new URL('./proxy/testing/index.ts', import.meta.url).pathname } },
  test: {
    include: ['test/**/*.test.ts', 'examples/**/*.test.ts'],
    pool: 'forks',
    // Tests start real processes on a two-core machine: two files at a time keep them fast and fair.
    maxWorkers: 2,
    // CI's machine is shared: one more try tells a starved process from a broken one, and is printed.
    retry: process.env['CI'] ? 1 : 0,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Test files run in the pinned Node (see package.json, "node"), as do the processes that they start.
    execArgv: [],
  },
});
