// `portico up --detach`, `ps` and `down`, and what they find after the worst: portico and its watchdog both killed.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isAlive } from '../services/server-process.ts';
import { freePort, PorticoProject, SERVICE } from './portico-project.ts';

let project: PorticoProject;

beforeEach(async () => {
  project = new PorticoProject(`services: {web: {command: [node, ${SERVICE}, web, "${await freePort()}"]}}`);
});

afterEach(async () => {
  await project.dispose();
});

test('up --detach comes back when all is up; a second up is refused; down stops it', async () => {
  const up = await project.run('up', '--detach');
  expect(up.status).toBe(0);
  expect(up.output).toContain('is up: 1 process ready');
  const { supervisor } = project.state()!;
  const pids = [supervisor.pid, ...project.pids()];
  expect(pids).toHaveLength(2);
  expect(pids.every(isAlive)).toBe(true);
  expect(readFileSync(join(project.directory, '.portico/up.log'), 'utf8')).toContain('web-1 ');

  const second = await project.run('up');
  expect(second).toMatchObject({ status: 1 });
  expect(second.output).toContain(`is up already (process ${supervisor.pid})`);

  expect((await project.run('down')).status).toBe(0);
  expect(pids.some(isAlive)).toBe(false);
  expect(existsSync(join(project.directory, '.portico'))).toBe(false);
  expect(await project.run('down')).toEqual({ status: 0, output: 'portico: nothing is up\n' });
});

test('up --detach that fails says why, with the status', async () => {
  project.write('docker-compose.yml', 'services: {web: {command: [node, -e, "throw new Error(\'broken app\')"]}}');
  const up = await project.run('up', '-d');
  expect(up.status).toBe(1);
  expect(up.output).toContain('broken app');
  expect(up.output).toContain('did not come up');
  expect(project.state()).toBeUndefined();
});

/** Kills portico and its watchdog at once, so that only the record is left. */
function killBoth(): number[] {
  const { supervisor } = project.state()!;
  const children = readFileSync(`/proc/${supervisor.pid}/task/${supervisor.pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .map(Number);
  const watchdog = children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('watchdog'))!;
  const pids = project.pids();
  execFileSync('kill', ['-9', String(watchdog), String(supervisor.pid)]);
  return pids;
}

test('what is left after portico and its watchdog were killed is seen by ps and ended by down', async () => {
  await project.run('up', '-d');
  const pids = killBoth();
  expect(pids.every(isAlive)).toBe(true);
  expect((await project.run('ps')).output).toContain('The portico up that started them is gone');
  expect((await project.run('down')).status).toBe(0);
  expect(pids.some(isAlive)).toBe(false);
});

test('the next up ends it as well', async () => {
  await project.run('up', '-d');
  const pids = killBoth();
  expect((await project.run('up', '-d')).status).toBe(0);
  expect(pids.some(isAlive)).toBe(false);
  expect(readFileSync(join(project.directory, '.portico/up.log'), 'utf8')).toContain(
    'stopped what an earlier run had left: web-1',
  );
});

test('a pid on record that now is another process is left alone', async () => {
  await project.run('up', '-d');
  const [pid] = killBoth();
  const path = join(project.directory, '.portico/state.json');
  const record = readFileSync(path, 'utf8');
  // The record of a process that started at another time under the pid of one that is alive.
  writeFileSync(path, record.replace(/("process":\{"pid":\d+,"startTime":")\d+/, '$11'));
  expect((await project.run('down')).status).toBe(0);
  expect(isAlive(pid!)).toBe(true);
  process.kill(pid!, 'SIGKILL');
});
