// What a user gets to see when something is wrong with the real programs: the original's own words, one line on where to
// look, a non-zero status, and nothing left running.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../stack/portico-project.ts';
import { LocalStack } from './local-stack.ts';

let stack: LocalStack;

beforeEach(async () => {
  stack = await LocalStack.create();
});

afterEach(async () => {
  await stack.dispose();
});

/** Runs `portico up`, which must fail and clean up; gives what it said. */
async function failedUp(...args: string[]): Promise<string> {
  const { status, output } = await stack.run('up', ...args);
  expect({ status, output }).toMatchObject({ status: 1 });
  expect(output).not.toContain(' is up: ');
  expect(existsSync(join(stack.directory, '.portico'))).toBe(false);
  return output;
}

test("a port in use: nginx's bind() error, and the process that holds it", async () => {
  const holder: Server = createServer();
  await new Promise<void>((resolve) => holder.listen(stack.httpsPort, '127.0.0.1', resolve));
  try {
    const output = await failedUp();
    expect(output).toMatch(
      new RegExp(
        `\\[emerg\\] .*bind\\(\\) to \\S+:${stack.httpsPort} failed \\(98: (?:Unknown error|Address already in use)\\)`,
      ),
    );
    expect(output).toContain(`port ${stack.httpsPort} is held by process ${process.pid} (`);
  } finally {
    await new Promise((resolve) => holder.close(resolve));
  }
});

test('a missing app module', async () => {
  stack.edit('docker-compose.yml', 'services/apps/flask.ts:app', 'services/apps/nothing.ts:app');
  const output = await failedUp('wsgi');
  expect(output).toMatch(/wsgi-1 +\| .*nothing/);
  expect(output).toMatch(/wsgi-1 ended with status [1-9]/);
});

test('a bad flag', async () => {
  stack.edit('docker-compose.yml', '--workers=2', '--wrokers=2');
  const output = await failedUp('wsgi');
  expect(output).toContain('--wrokers');
  expect(output).toContain('wsgi-1 ended with status 2');
});

test('a broken nginx.conf', async () => {
  stack.edit('proxy/conf/nginx.conf', 'sendfile ', 'send_file ');
  const output = await failedUp();
  expect(output).toMatch(/\[emerg\] .*unknown directive "send_file" in .*proxy\/conf\/nginx\.conf:\d+/);
  expect(output).toContain('proxy-1 ended with status 1');
});

test('a broken certificate', async () => {
  mkdirSync(join(stack.directory, 'certs/live'));
  writeFileSync(join(stack.directory, 'certs/live/leaf-key.pem'), 'nonsense');
  const output = await failedUp('certs');
  expect(output).toMatch(/certs-1 +\| certs: certs\/live\/leaf-key\.pem: not a PEM private key; remove /);
});

// Their workers would serve on without them, and keep the ports.
test.each(['asgi', 'proxy'])('%s, when it is killed, is reported and comes back', async (service) => {
  const up = await stack.up(service);
  const { output } = await stack.run('ps');
  const pid = Number(new RegExp(`^${service}-1 .* (\\d+) +127\\.`, 'm').exec(output)![1]);
  process.kill(pid, 'SIGKILL');
  await up.says(new RegExp(`${service}-1 ended with signal SIGKILL after \\S+ s; it will be restarted`));
  const isBack = new RegExp(`^${service}-1 +running \\(healthy\\)`, 'm');
  await until(async () => isBack.test((await stack.run('ps')).output));
  expect(await stack.interrupt()).toBe(0);
});
