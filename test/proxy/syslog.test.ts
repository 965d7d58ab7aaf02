// error_log and access_log to syslog servers.
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { get, type RunningProxy, runProxy, startProxy } from './start-proxy.ts';

let server: Socket;
let proxy: RunningProxy;
const unixPath = join(tmpdir(), `portico-syslog-${process.pid}`);

/** Prints each datagram that comes to a unix socket as a line of its own; Node cannot receive them either. */
const RECEIVER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('up', flush=True)
while True: print(s.recv(70000).decode(), flush=True)`;

const canReceive = spawnSync('python3', ['--version']).status === 0;
const canSend = spawnSync('logger', ['--version']).stdout?.includes('util-linux') === true;
let receiver: ChildProcessByStdio<null, Readable, null> | undefined;

/** Starts the receiver; the function that it resolves with waits for the next line. */
async function receive(): Promise<() => Promise<string>> {
  rmSync(unixPath, { force: true });
  receiver = spawn('python3', ['-c', RECEIVER, unixPath], { stdio: ['ignore', 'pipe', 'inherit'] });
  const received = createInterface({ input: receiver.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => (await received.next()).value as string;
  expect(await next()).toBe('up');
  return next;
}

async function stopReceiving(): Promise<void> {
  if (!receiver) return;
  const gone = once(receiver, 'exit');
  receiver.kill('SIGKILL');
  await gone;
  receiver = undefined;
}

beforeAll(async () => {
  server = createSocket('udp4');
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  const to = `syslog:server=127.0.0.1:${server.address().port}`;
  proxy = await startProxy(`
http {
  log_format short '$uri $status';
  access_log off;
  server {
    listen 127.0.0.1:%%PORT_0%%;
    location /access { access_log ${to},facility=user,severity=alert,tag=seen short; return 204; }
    location /bare { access_log ${to},nohostname short if=$arg_log; return 204; }
    location /error { error_log ${to} warn; error_log ${to},tag=twice; root /nonexistent; }
    ${canSend ? `location /unix { access_log syslog:server=unix:${unixPath},tag=seen short; return 204; }` : ''}
    ${canSend ? `location /bare-unix { access_log syslog:server=unix:${unixPath},nohostname,severity=warn short; return 204; }` : ''}
    location /nobody { access_log syslog:server=127.0.0.1:%%PORT_1%% short; return 204; }
  }
}`);
});

afterAll(async () => {
  await proxy?.stop();
  server.close();
  await stopReceiving();
  rmSync(unixPath, { force: true });
});

async function lines(count: number, send: () => Promise<unknown>): Promise<string[]> {
  const received: string[] = [];
  const all = new Promise<void>((done) => {
    server.on('message', (bytes) => {
      received.push(bytes.toString('latin1'));
      if (received.length === count) done();
    });
  });
  await send();
  await all;
  server.removeAllListeners('message');
  return received;
}

const TIME = '[A-Z][a-z]{2} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d';
const HOST = hostname().toLowerCase().replaceAll('.', '\\.');

it('sends each line of an access log in a datagram, with priority, time, host and tag', async () => {
  const [line] = await lines(1, () => get(proxy.port, '/access/1'));
  expect(line).toMatch(new RegExp(`^<9>${TIME} ${HOST} seen: /access/1 204$`));
  const [bare] = await lines(1, async () => {
    await get(proxy.port, '/bare/no');
    await get(proxy.port, '/bare/yes?log=1');
  });
  expect(bare).toMatch(new RegExp(`^<190>${TIME} nginx: /bare/yes 204$`));
});

it('sends lines of error logs with their own severity', async () => {
  const [first, second] = await lines(2, () => get(proxy.port, '/error'));
  const message =
    '\\d{4}/\\d\\d/\\d\\d \\d\\d:\\d\\d:\\d\\d \\[error\\] \\d+#\\d+: \\*\\d+ open\\(\\) "/nonexistent/error" failed';
  expect(first).toMatch(new RegExp(`^<187>${TIME} ${HOST} nginx: ${message}`));
  expect(second).toMatch(new RegExp(`^<187>${TIME} ${HOST} twice: ${message}`));
});

it.skipIf(!canReceive || !canSend)('sends datagrams to unix sockets, also when the server was away', async () => {
  const host = hostname().toLowerCase().split('.')[0];
  let next = await receive();
  for (const round of ['1', '2']) {
    await get(proxy.port, `/unix/${round}`);
    expect(await next()).toMatch(new RegExp(`^<190>${TIME} ${host} seen: /unix/${round} 204$`));
    await get(proxy.port, `/bare-unix/${round}`);
    expect(await next()).toMatch(new RegExp(`^<188>${TIME} nginx: /bare-unix/${round} 204$`));
    if (round === '2') break;
    await stopReceiving();
    rmSync(unixPath);
    await get(proxy.port, '/unix/lost');
    await proxy.waitFor('error.log', /\[error\] \d+#\d+: send\(\) failed \(logger: /);
    await get(proxy.port, '/bare-unix/lost');
    await proxy.waitFor('error.log', /(?:send\(\) failed \(logger: [\s\S]*){2}/);
    next = await receive();
  }
});

it('tells what logger says, also in pieces and when it ends before its words have come', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'portico-logger-'));
  const script = `#!/bin/sh
[ "$1" = --version ] && exec echo 'logger from util-linux 2'
read line
(printf 'logger: '; sleep 0.2; printf 'no such luck'; sleep 0.2; echo) >&2 &
exit 1
`;
  writeFileSync(join(directory, 'logger'), script, { mode: 0o755 });
  const other = await startProxy(
    'http { log_format short "$uri"; server { listen 127.0.0.1:%%PORT_0%%; access_log syslog:server=unix:/x short; return 204; } }',
    { env: { PATH: `${directory}:${process.env['PATH']}` } },
  );
  try {
    for (const count of [1, 2]) {
      await get(other.port, '/');
      await other.waitFor(
        'error.log',
        new RegExp(`(?:send\\(\\) failed \\(logger: no such luck\\)[\\s\\S]*){${count}}`),
      );
    }
  } finally {
    await other.stop();
    rmSync(directory, { recursive: true });
  }
});

it('refuses unix sockets where there is nothing to send with', async () => {
  const conf = 'events { } http { access_log syslog:server=unix:/dev/log; }';
  const { code, stderr } = await runProxy(conf, ['-t'], { PATH: '/nonexistent' });
  expect(code).toBe(1);
  expect(stderr).toContain(
    'nginx: [emerg] syslog server "unix:/dev/log" is out of reach: there is no logger(1) of util-linux to send datagrams with in DIR/nginx.conf:1',
  );
});

it('serves on when nobody listens', async () => {
  await get(proxy.port, '/nobody');
  await proxy.waitFor('error.log', /\[error\] \d+#\d+: send\(\) failed \(111: Connection refused\)/);
  expect(await get(proxy.port, '/nobody')).toContain('204 No Content');
});

it.each([
  ['syslog:facility=user', 'no syslog server specified'],
  ['syslog:server=127.0.0.1,server=127.0.0.1', 'duplicate syslog "server"'],
  ['syslog:server=127.0.0.1:0', 'invalid port in syslog server "127.0.0.1:0"'],
  ['syslog:server=127.0.0.1,facility=x', 'unknown syslog facility "x"'],
  ['syslog:server=127.0.0.1,severity=err', 'unknown syslog severity "err"'],
  ['syslog:server=127.0.0.1,tag=a-b', 'syslog "tag" only allows alphanumeric characters and underscore'],
  ['syslog:server=127.0.0.1,x', 'unknown syslog parameter "x"'],
  ['syslog:server=127.0.0.1 combined buffer=4k', 'logs to syslog cannot be buffered'],
])('refuses access_log %s', async (words, message) => {
  const { code, stderr } = await runProxy(`events { } http { access_log ${words}; }`);
  expect(code).toBe(1);
  expect(stderr).toContain(`nginx: [emerg] ${message} in DIR/nginx.conf:1`);
});
