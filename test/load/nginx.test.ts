// The generator against the real nginx: it counts exactly what nginx's access log counts, finds in it where the time went, and
// where the server is the bottleneck it gets as many requests answered as wrk does.
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { freePort } from '../../load/rig/program.ts';
import { load, startProgram, stopAll, temporaryDirectory } from './load-command.ts';

const has = (name: string): boolean => spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
const NGINX = has('nginx');

afterEach(stopAll);

async function startNginx(http: string, location: string): Promise<{ url: string; log: string }> {
  const directory = temporaryDirectory();
  chmodSync(directory, 0o755);
  const port = await freePort();
  const log = join(directory, 'access.log');
  writeFileSync(
    join(directory, 'nginx.conf'),
    `daemon off; worker_processes 1; pid nginx.pid; events { worker_connections 1024; }
http { client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  log_format timed '$remote_addr - - [$time_local] "$request" $status $body_bytes_sent rt=$request_time uct=$upstream_connect_time uht=$upstream_header_time urt=$upstream_response_time ua=$upstream_addr';
  access_log access.log timed; keepalive_requests 1000000; ${http}
  server { listen 127.0.0.1:${port}; location / { ${location} } location = /ready { access_log off; return 204; } } }
`,
  );
  startProgram('nginx', ['-p', `${directory}/`, '-c', 'nginx.conf', '-e', 'error.log']);
  const url = `http://127.0.0.1:${port}/`;
  for (let tries = 0; ; tries++) {
    const isUp = await fetch(`${url}ready`, { headers: { connection: 'close' } }).then(
      () => true,
      () => false,
    );
    if (isUp) return { url, log };
    if (tries === 200) throw new Error('nginx does not come up');
    await new Promise((done) => setTimeout(done, 25));
  }
}

describe.skipIf(!NGINX)(`against nginx${NGINX ? '' : ' (skipped: it is not installed)'}`, () => {
  test('counts agree exactly with the access log', async () => {
    const { url, log } = await startNginx('', 'return 200 "hello\\n";');
    const lines = (): number => readFileSync(log, 'latin1').split('\n').length - 1;
    const closed = await load('-c', '8', '-d', '1s', '--warmup', '200ms', url);
    expect(closed.errors).toBe(0);
    // nginx answers first and logs then.
    await vi.waitUntil(() => lines() >= closed.requests + closed.warmupRequests, 10_000);
    expect(lines()).toBe(closed.requests + closed.warmupRequests);
    const before = lines();
    const open = await load('-r', '300', '-d', '1s', '--close', url);
    expect(open.requests).toBe(300);
    await vi.waitUntil(() => lines() - before >= 300, 10_000);
    expect(lines() - before).toBe(300);
  });

  test('the access log tells where the time went', async () => {
    const app = createServer((_request, response) => setTimeout(() => response.end('hello'), 40)).listen(
      0,
      '127.0.0.1',
    );
    await once(app, 'listening');
    const peer = `127.0.0.1:${(app.address() as AddressInfo).port}`;
    const { url, log } = await startNginx(`upstream app { server ${peer}; }`, 'proxy_pass http://app;');
    const result = await load('-c', '4', '-n', '40', '--access-log', log, url);
    app.close();
    app.closeAllConnections();
    expect(result.accessLog!.count).toBe(40);
    const header = result.accessLog!.rows.find(({ hop }) => hop === 'header')!;
    expect(header.all.p50).toBeGreaterThanOrEqual(39);
    expect(header.all.share).toBeGreaterThan(0.8);
    expect(result.lanes).toMatchObject({ source: 'peer', names: [peer] });
    expect(result.lanes!.values.flat().reduce((sum, count) => sum + count, 0)).toBe(40);
  });

  test.skipIf(!has('wrk'))('gets as much from a server at its limit as wrk', { retry: 2 }, async () => {
    // nginx lets 400 through a second, and keeps the others waiting.
    const { url } = await startNginx(
      'limit_req_zone all zone=one:64k rate=400r/s;',
      'limit_req zone=one burst=1000; try_files /none @hello; } location @hello { return 200 "hello\\n";',
    );
    const { requestsPerSecond, errors } = await load('-c', '16', '-d', '2s', url);
    const out = execFileSync('wrk', ['-t1', '-c16', '-d2s', url], { encoding: 'utf8' });
    const wrk = Number(/Requests\/sec:\s+([\d.]+)/.exec(out)![1]);
    expect(errors).toBe(0);
    expect(Math.abs(requestsPerSecond / wrk - 1)).toBeLessThan(0.1);
  });
});
