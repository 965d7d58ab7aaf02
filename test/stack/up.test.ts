// `portico up` in the foreground, as a user runs it: order, addresses, names, scale, restarts, deaths, and that nothing is
// left when it ends, however it ends. The services are stand-ins; the processes, signals and sockets are real.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { isAlive } from '../services/server-process.ts';
import { freePort, PorticoProject, SERVICE, until } from './portico-project.ts';

let project: PorticoProject;

afterEach(async () => {
  await project.dispose();
});

const HEALTHY = (url: string): string =>
  `{test: [CMD, node, -e, "fetch('${url}').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"], interval: 1s}`;

interface Answer {
  name: string;
  address: string;
  pid: number;
  hosts: string;
  cwd: string;
  environment: Record<string, string>;
}

async function ask(address: string, port: number, path = '/'): Promise<Answer> {
  return (await (await fetch(`http://${address}:${port}${path}`)).json()) as Answer;
}

test('services start in order, know each other by name, and stop in reverse', async () => {
  const [inner, outer] = [await freePort(), await freePort()];
  project = new PorticoProject(`
services:
  front:
    command: [node, ${SERVICE}, front, "${outer}"]
    ports: ["127.0.0.1:${outer}:${outer}"]
    environment: {TINT: "\${NO_SUCH_TINT:-blue}"}
    depends_on: {back: {condition: service_healthy}}
  back:
    command: [node, ${SERVICE}, back, "${inner}"]
    working_dir: /app
    healthcheck: ${HEALTHY(`http://'+process.env.PORTICO_ADDRESS+':${inner}/`)}
    depends_on: {first: {condition: service_completed_successfully}}
  first:
    command: node -e 'console.log("first is done")'
`);
  const up = project.start('up');
  await up.says(/is up: 3 processes ready/);
  expect(up.output).toContain(`http://localhost:${outer}/`);
  const said = up.output.split('\n').filter((line) => line.includes(' | '));
  expect(said[0]).toBe('first-1 | first is done');
  expect(said[1]).toMatch(new RegExp(`^back-1  \\| back listens on 127\\.0\\.\\d+\\.\\d+:${inner}$`));
  expect(said[2]).toBe(`front-1 | front listens on 127.0.0.1:${outer}`);

  const front = await ask('127.0.0.1', outer);
  const address = /^(\S+)\tback back-1$/m.exec(front.hosts)?.[1];
  const back = await ask(address!, inner);
  expect(back).toMatchObject({ name: 'back', address, cwd: project.directory });
  expect(front.hosts).toContain('127.0.0.1\tfront front-1');
  expect(front.hosts).not.toContain('first');
  expect(front.environment['TINT']).toBe('blue');
  // The caller's variables stay outside, as they do with a container.
  expect(Object.keys(front.environment)).not.toContain('NO_COLOR');

  const ps = await project.run('ps');
  expect(ps.status).toBe(0);
  expect(ps.output).toMatch(/^first-1 {3}exited \(status 0\)/m);
  expect(ps.output).toMatch(new RegExp(`^back-1 +running \\(healthy\\) .* ${back.pid} +${address}$`, 'm'));
  expect(ps.output).toMatch(new RegExp(`^front-1 +running .* 127\\.0\\.0\\.1:${outer}$`, 'm'));

  up.child.kill('SIGINT');
  expect(await up.ended).toEqual({ status: 0, signal: null });
  expect(up.output.indexOf('front got TERM')).toBeGreaterThan(0);
  expect(up.output.indexOf('back got TERM')).toBeGreaterThan(up.output.indexOf('front got TERM'));
  expect(existsSync(join(project.directory, '.portico'))).toBe(false);
  expect([front.pid, back.pid].some(isAlive)).toBe(false);
  expect(await project.run('ps')).toEqual({ status: 1, output: 'portico: nothing is up\n' });
});

test('--scale gives each replica an address, and all of them the name', async () => {
  const port = await freePort();
  project = new PorticoProject(`services: {web: {command: [node, ${SERVICE}, web, "${port}"]}}`);
  const up = project.start('up', '--scale', 'web=3');
  await up.says(/is up: 3 processes/);
  await until(() => (up.output.match(/web listens/g) ?? []).length === 3);
  const addresses = [...up.output.matchAll(/web listens on (\S+):/g)].map((match) => match[1]!).sort();
  expect(new Set(addresses).size).toBe(3);
  const { hosts } = await ask(addresses[0]!, port);
  expect([...hosts.matchAll(/^(\S+)\tweb web-[123]$/gm)].map((match) => match[1]).sort()).toEqual(addresses);
});

test('a service that dies is reported with its last words and restarted by its policy, and its name follows', async () => {
  const port = await freePort();
  project = new PorticoProject(`
services:
  again: {command: [node, ${SERVICE}, again, "${port}"], restart: unless-stopped}
  never: {command: [node, ${SERVICE}, never, "${port}"]}
`);
  const up = project.start('up');
  await up.says(/is up/);
  const again = (await up.says(/again listens on (\S+):/))[1]!;
  const never = (await up.says(/never listens on (\S+):/))[1]!;
  const { pid } = await ask(again, port);
  const from = up.output.length;
  await ask(again, port, '/exit?status=7').catch(() => {});
  await up.says(/again-1 ended with status 7 after \S+ s; it will be restarted\. Its last lines:/, from);
  await up.says(/portico \| {5}again leaves with 7/, from);
  // The report repeats its last lines, behind portico's own name.
  await up.says(/^again-1 \| again listens on/m, from);
  expect((await ask(again, port)).pid).not.toBe(pid);

  await ask(never, port, '/exit?status=1').catch(() => {});
  await up.says(/never-1 ended with status 1 after \S+ s\. Its last lines:/);
  expect((await ask(again, port)).hosts).not.toContain('never');
  expect((await project.run('ps')).output).toMatch(/^never-1 +exited \(status 1\)/m);
});

test('on-failure:N gives up after N, and when nothing runs any more up ends with 1', async () => {
  const port = await freePort();
  project = new PorticoProject(`services: {web: {command: [node, ${SERVICE}, web, "${port}"], restart: on-failure:1}}`);
  const up = project.start('up');
  await up.says(/is up/);
  const address = (await up.says(/web listens on (\S+):/))[1]!;
  await ask(address, port, '/exit?status=1').catch(() => {});
  await until(() => (up.output.match(/^web-1 {3}\| web listens/gm) ?? []).length === 2);
  await ask(address, port, '/exit?status=2').catch(() => {});
  expect((await up.ended).status).toBe(1);
  expect(up.output).toContain('every service has ended');
});

test('a death before the stack is up ends the attempt and stops the rest', async () => {
  const port = await freePort();
  project = new PorticoProject(`
services:
  good: {command: [node, ${SERVICE}, good, "${port}"], healthcheck: ${HEALTHY(`http://'+process.env.PORTICO_ADDRESS+':${port}/`)}}
  bad: {command: [node, -e, "console.error('no module named app'); process.exit(3)"], restart: always, depends_on: {good: {condition: service_healthy}}}
`);
  const up = project.start('up');
  expect((await up.ended).status).toBe(1);
  expect(up.output).toMatch(/bad-1 ended with status 3 after \S+ s\. Its last lines:\n.*no module named app/);
  expect(up.output).toContain('good got TERM');
  expect(up.output).not.toContain('is up');
  expect(existsSync(join(project.directory, '.portico'))).toBe(false);
});

test('a program that is not there, and a service that never gets healthy', async () => {
  project = new PorticoProject('services: {web: {command: [no-such-program-here]}}');
  const missing = await project.run('up');
  expect(missing.status).toBe(1);
  expect(missing.output).toContain('web-1 ended with no-such-program-here: no such program');

  project.write(
    'docker-compose.yml',
    `services: {web: {command: [sleep, "60"], healthcheck: {test: "echo still booting; false", interval: 100ms, retries: 2}}}`,
  );
  const sick = await project.run('up');
  expect(sick.status).toBe(1);
  expect(sick.output).toContain('web-1 is unhealthy: still booting');
});

test('a port in use comes with the process that holds it', async () => {
  const port = await freePort();
  project = new PorticoProject(
    `services: {web: {command: [node, ${SERVICE}, web, "${port}"], ports: ["${port}:${port}"]}}`,
  );
  const up = project.start('up');
  await up.says(/is up/);
  const other = new PorticoProject(
    `services: {web: {command: [node, ${SERVICE}, web, "${port}"], ports: ["${port}:${port}"]}}`,
  );
  try {
    const second = await other.run('up');
    expect(second.status).toBe(1);
    expect(second.output).toContain('EADDRINUSE');
    expect(second.output).toContain(
      `port ${port} is held by process ${project.pids()[0]} (node ${SERVICE} web ${port})`,
    );
  } finally {
    await other.dispose();
  }
});

test('a service that ignores TERM is killed after its grace; what it started is killed with it', async () => {
  const port = await freePort();
  project = new PorticoProject(`
services:
  deaf: {command: [node, ${SERVICE}, deaf, "${port}", ignore-term], stop_grace_period: 200ms}
  parent: {command: [node, ${SERVICE}, parent, "${port}", orphan]}
`);
  const up = project.start('up');
  await up.says(/is up/);
  const child = Number((await up.says(/has a child: (\d+)/))[1]);
  const pids = [child, ...project.pids()];
  expect(pids.every(isAlive)).toBe(true);
  up.child.kill('SIGTERM');
  expect((await up.ended).status).toBe(0);
  expect(up.output).toContain('deaf got TERM');
  await until(() => !pids.some(isAlive));
});

test('a second Ctrl-C kills', async () => {
  const port = await freePort();
  project = new PorticoProject(
    `services: {deaf: {command: [node, ${SERVICE}, deaf, "${port}", ignore-term], stop_grace_period: 1h}}`,
  );
  const up = project.start('up');
  await up.says(/is up/);
  const pids = project.pids();
  up.child.kill('SIGINT');
  await up.says(/deaf got TERM/);
  // Two signals close together are one wish (npm repeats a Ctrl-C), so it is asked again until it is heard.
  const again = setInterval(() => up.child.kill('SIGINT'), 50);
  await up.says(/killing what is left/);
  clearInterval(again);
  expect((await up.ended).status).toBe(130);
  expect(pids.some(isAlive)).toBe(false);
});

test('kill -9 of portico leaves nothing behind', async () => {
  const port = await freePort();
  project = new PorticoProject(`services: {web: {command: [node, ${SERVICE}, web, "${port}", orphan]}}`);
  const up = project.start('up');
  await up.says(/is up/);
  const pids = [Number((await up.says(/has a child: (\d+)/))[1]), ...project.pids()];
  up.child.kill('SIGKILL');
  await until(() => !pids.some(isAlive));
  await until(() => !existsSync(join(project.directory, '.portico')));
});
