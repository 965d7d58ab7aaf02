// error_log and access_log to syslog servers.
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { get, type RunningProxy, runProxy, startProxy } from './start-proxy.ts';

let server: Socket;
let proxy: RunningProxy;
const unixPath = join(tmpdir(), `portico-syslog-${process.pid}`);
let streamed = '';
const unix = createServer((socket) => {
  socket.on('data', (chunk) => {
    streamed += chunk.toString('latin1');
    unix.emit('line');
  });
});

beforeAll(async () => {
  server = createSocket('udp4');
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  unix.listen(unixPath);
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
    location /unix { access_log syslog:server=unix:${unixPath} short; return 204; }
    location /nobody { access_log syslog:server=127.0.0.1:%%PORT_1%% short; return 204; }
  }
}`);
});

afterAll(async () => {
  await proxy?.stop();
  server.close();
  unix.close();
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

it('reaches unix sockets over a stream', async () => {
  const line = once(unix, 'line');
  await get(proxy.port, '/unix');
  await line;
  expect(streamed).toMatch(new RegExp(`^<190>${TIME} ${HOST} nginx: /unix 204\n$`));
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
