// post_action: what is asked after a response, and the one line that the access log gets.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type FakeUpstream, fakeUpstream, ok } from './fake-upstream.ts';
import { type RunningProxy, raw, startProxy } from './start-proxy.ts';

let upstream: FakeUpstream;
let proxy: RunningProxy;
const asked: string[] = [];

beforeAll(async () => {
  upstream = await fakeUpstream(({ socket, text }) => {
    asked.push(/^GET (\S+)/.exec(text)![1]!);
    socket.write(ok('hidden'));
  });
  proxy = await startProxy(`
http {
  log_format line '$request_uri $uri $status $body_bytes_sent $request_completion';
  access_log access.log line;
  server {
    listen 127.0.0.1:%%PORT_0%%;
    location /plain { post_action /count; return 200 hello; }
    location /named { post_action @count; return 403; }
    location /none { return 200 none; }
    location = /count {
      internal;
      proxy_pass http://127.0.0.1:${upstream.port}/?status=$status&bytes=$body_bytes_sent&done=$request_completion;
    }
    location @count { proxy_pass http://127.0.0.1:${upstream.port}; }
  }
}`);
});

afterAll(async () => {
  await proxy?.stop();
  await upstream?.stop();
});

const request = (uri: string, connection = 'keep-alive'): string =>
  `GET ${uri} HTTP/1.1\r\nHost: x\r\nConnection: ${connection}\r\n\r\n`;

it('asks after each response, before the next request of the connection, and shows nobody the answer', async () => {
  const answers = await raw(proxy.port, request('/plain') + request('/named') + request('/none', 'close'));
  expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 403', 'HTTP/1.1 200']);
  expect(answers).not.toContain('hidden');
  expect(asked).toEqual(['/?status=200&bytes=5&done=OK', '/named']);
  const log = await proxy.waitFor('access.log', /none/);
  expect(log.trim().split('\n')).toEqual([
    '/plain /count 200 5 OK',
    '/named /named 403 153 OK',
    '/none /none 200 4 OK',
  ]);
});
