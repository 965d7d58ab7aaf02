// Zones are one for all worker processes, outlive a worker and a reload, and leave nothing behind.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { get, type RunningProxy, raw, startProxy, statusOf } from './start-proxy.ts';

const CONF = `http {
  access_log off;
  limit_req_zone $arg_key zone=one:1m rate=1r/m;
  server {
    listen 127.0.0.1:%%PORT_0%%;
    location / { limit_req zone=one; root html; }
    location /pid { return 200 $pid; }
  }
}`;

function start(): Promise<RunningProxy> {
  return startProxy(CONF, {
    files: { 'html/index.html': 'x' },
    preamble: 'daemon off;\nworker_processes 2;\nevents { }\n',
  });
}

/** Statuses of requests that are spread over both workers by new connections. */
async function statuses(proxy: RunningProxy, count: number, key: string): Promise<number[]> {
  const answers: string[] = [];
  for (let i = 0; i < count; i++) answers.push(await get(proxy.port, `/?key=${key}`));
  return answers.map(statusOf);
}

async function workerPid(proxy: RunningProxy): Promise<number> {
  const answer = await raw(proxy.port, 'GET /pid HTTP/1.0\r\n\r\n');
  return Number(answer.split('\r\n\r\n')[1]);
}

const leftovers = (pid: number): string[] => {
  try {
    return readdirSync('/dev/shm').filter((name) => name.startsWith(`portico-zones-${pid}-`));
  } catch {
    return [];
  }
};

test('one request a minute is one for all workers, also after a worker died and after a reload', async () => {
  const proxy = await start();
  const pid = proxy.process.pid!;
  expect((await statuses(proxy, 12, 'a')).filter((status) => status === 200)).toHaveLength(1);

  process.kill(await workerPid(proxy), 'SIGKILL');
  await proxy.waitFor('error.log', /exited on signal 9/);
  expect((await statuses(proxy, 6, 'a')).filter((status) => status === 200)).toHaveLength(0);

  const old = new Set<number>();
  for (let i = 0; i < 10; i++) old.add(await workerPid(proxy));
  proxy.signal('SIGHUP');
  while (old.has(await workerPid(proxy)));
  expect((await statuses(proxy, 6, 'a')).filter((status) => status === 200)).toHaveLength(0);
  expect((await statuses(proxy, 3, 'b')).filter((status) => status === 200)).toHaveLength(1);
  await proxy.stop();
  expect(leftovers(pid)).toEqual([]);
});

test('a reload that gives a zone another key is refused, and the old configuration goes on', async () => {
  const proxy = await startProxy(CONF, { files: { 'html/index.html': 'x' } });
  await statuses(proxy, 1, 'a');
  const file = join(proxy.dir, 'nginx.conf');
  writeFileSync(file, readFileSync(file, 'utf8').replace('limit_req_zone $arg_key', 'limit_req_zone $arg_other'));
  proxy.signal('SIGHUP');
  expect(await proxy.waitFor('error.log', /emerg/)).toContain(
    'limit_req "one" uses the "$arg_other" key while previously it used the "$arg_key" key',
  );
  expect(await statuses(proxy, 1, 'a')).toEqual([503]);
  await proxy.stop();
});
