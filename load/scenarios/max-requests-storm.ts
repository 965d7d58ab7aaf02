// Workers that are replaced after so many requests, all at the same time.
import { showMs, showNumber } from '../units.ts';
import type { Scenario } from './scenario.ts';
import { users } from './workbench.ts';

const CELLS = [
  { title: 'no --max-requests', flags: [] },
  { title: '--max-requests 10', flags: ['--max-requests', '10'] },
] as const;

export const maxRequestsStorm: Scenario = {
  name: 'max-requests-storm',
  question: 'What do --max-requests restarts cost, and who sees them?',
  asked: 'gunicorn#3038, #2567, #511; netbox-community/netbox#14691',
  expected:
    'workers restart over and over, throughput falls and the slowest requests wait for a boot; GETs are not lost',
  async run({ rig, load, seconds }) {
    const rows = [['2 sync workers, 8 connections', 'requests/s', 'p50', 'p99', 'errors', 'workers booted']];
    const rates: number[] = [];
    const boots: number[] = [];
    const failed: number[] = [];
    const stacks = [];
    for (const { title, flags } of CELLS) {
      const server = await rig.gunicorn('-w', '2', '-k', 'sync', ...flags);
      stacks.push({ title, server, proxy: await rig.proxy({ peers: [`127.0.0.1:${server.port} max_fails=0`] }) });
    }
    // At the same time, so that whatever else the machine does, it does to both.
    const length = Math.max(4, seconds(5));
    const results = await Promise.all(
      stacks.map(({ title, proxy }) => load(title, `${proxy.url}/io?ms=10`, users(8, length))),
    );
    for (const [index, { title, server, proxy }] of stacks.entries()) {
      const result = results[index]!;
      const booted = server.program.count(/Booting worker/);
      await proxy.program.stop();
      await server.program.stop();
      rates.push(result.requestsPerSecond);
      boots.push(booted);
      failed.push(result.errors);
      rows.push([
        title,
        showNumber(result.requestsPerSecond),
        showMs(result.latency!.p50),
        showMs(result.latency!.p99),
        showNumber(result.errors),
        showNumber(booted),
      ]);
    }
    return {
      table: rows,
      checks: [
        { text: 'workers are replaced again and again', holds: boots[0] === 2 && boots[1]! > 4 },
        { text: 'throughput falls by a fifth at least', holds: rates[1]! < rates[0]! * 0.8 },
        { text: 'no GET is lost', holds: failed[1] === 0 },
      ],
      explanation:
        'Both workers began together and serve equally, so they reach their limit together, and for as long as a boot takes nobody serves. What waits in the listen queue is served by the successors, so nothing is lost here; with threads and kept-alive connections a few requests find theirs closed.',
      advice:
        'Use --max-requests only against a leak that you cannot find, in the thousands, with --max-requests-jitter of the same order, and with one worker more than you need.',
    };
  },
};
