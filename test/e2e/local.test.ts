// End to end without Docker: `portico up` on the repository's own compose file, and the README's tour through it; then
// Ctrl-C, after which no process, no socket and no file of the run is left.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isAlive } from '../services/server-process.ts';
import { type Running, until } from '../stack/portico-project.ts';
import { http1 } from './http-client.ts';
import { LocalStack } from './local-stack.ts';
import {
  checkBothApps,
  checkCrash,
  checkForwarded,
  checkRedirect,
  checkStaticFiles,
  checkWebSocket,
  type Entrance,
} from './walkthrough.ts';

let stack: LocalStack;
let up: Running;
let entrance: Entrance;

beforeAll(async () => {
  stack = await LocalStack.create();
  up = await stack.up('--scale', 'wsgi=3');
  entrance = {
    origin: stack.origin,
    httpOrigin: `http://localhost:${stack.httpPort}`,
    authority: stack.authority,
    httpsTarget: stack.httpsPort,
  };
});

afterAll(async () => {
  await stack.dispose();
});

describe('the tour', () => {
  test('the banner names what can be tried, and its curl line works', (context) => {
    for (const path of ['/', '/api/', '/static/']) expect(up.output).toContain(`  ${stack.origin}${path}`);
    const line = /^ {2}curl (--cacert \S+ \S+)$/m.exec(up.output);
    expect(line).not.toBeNull();
    const hasCurl = spawnSync('curl', ['--version']).status === 0;
    if (!hasCurl) context.skip('no curl on this machine');
    for (const version of ['--http1.1', '--http2']) {
      const args = ['-sS', version, '-o', '/dev/null', '-w', '%{http_code} %{http_version}', ...line![1]!.split(' ')];
      const { stdout } = spawnSync('curl', args, { cwd: stack.directory, encoding: 'utf8' });
      expect(stdout).toBe(version === '--http2' ? '200 2' : '200 1.1');
    }
  });
  test('both apps, over HTTP/1.1 and HTTP/2', () => checkBothApps(entrance));
  test('static files: 200, 304, 206, 404', () => checkStaticFiles(entrance));
  test('HTTP redirects to HTTPS', () => checkRedirect(entrance));
  test('WebSocket echo', () => checkWebSocket(entrance));
  test('the apps see scheme, host and client as the proxy tells them', () => checkForwarded(entrance));
  test('--scale wsgi=3 is seen in /headers: all three replicas answer', async () => {
    const servers = new Set<number>();
    const ports = new Set<string>();
    while (ports.size < 3) {
      const { body } = await http1(`${stack.origin}/headers`, stack.authority);
      const { pid, server } = JSON.parse(body) as { pid: number; server: [string, number] };
      servers.add(pid);
      ports.add(server[0]);
    }
    expect(servers.size).toBeGreaterThanOrEqual(3);
  });
  test('the access log shows each request once, with its upstream', async () => {
    await http1(`${stack.origin}/?mark=once`, stack.authority);
    const [line] = await up.says(/^proxy-1 \| .*"GET \/\?mark=once HTTP\/1\.1" 200 .*$/m);
    expect(line).toMatch(/ ua=127\.0\.\d+\.\d+:8000 us=200$/);
    expect(up.output.split('?mark=once').length).toBe(2);
  });
  // Last, because it costs workers.
  test('/crash is a 502, and the next request is served', () => checkCrash(entrance));
});

test('Ctrl-C leaves no process, no socket and no file', async () => {
  const { output } = await stack.run('ps');
  const pids = [...output.matchAll(/ (\d+) +127\.0\./g)].map((match) => Number(match[1]));
  expect(pids).toHaveLength(5);
  const family = pids.flatMap((pid) => [pid, ...descendants(pid)]);
  expect(family.length).toBeGreaterThan(pids.length);
  expect(await stack.interrupt()).toBe(0);
  await until(() => !family.some(isAlive));
  for (const port of [stack.httpPort, stack.httpsPort]) expect(await isRefused(port)).toBe(true);
  expect(existsSync(join(stack.directory, '.portico'))).toBe(false);
  // nginx keeps its temporary directories; nothing may be in them, and no pid file.
  expect(
    readdirSync(join(stack.directory, 'proxy/temp'), { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    ),
  ).toEqual([]);
});

function descendants(pid: number): number[] {
  const { stdout } = spawnSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' });
  return stdout
    .split('\n')
    .filter(Boolean)
    .map(Number)
    .flatMap((child) => [child, ...descendants(child)]);
}

function isRefused(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', () => resolve(true));
  });
}
