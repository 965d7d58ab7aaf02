// The access log: formats, escaping, conditions, several logs, buffers, reopening, and the variables it shows.
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bodyOf, get, type RunningProxy, raw, runProxy, startProxy } from './start-proxy.ts';

let proxy: RunningProxy;

beforeAll(async () => {
  proxy = await startProxy(`http {
    log_format plain '$uri "$http_x" $http_none $status';
    log_format json escape=json '{"x":"$http_x","none":"$http_none"}';
    log_format none escape=none '$http_x|$http_none';
    log_format many '$remote_addr $server_port $request_method $server_protocol $scheme [$args] $is_args $arg_b'
                    ' $cookie_c $sent_http_content_type $body_bytes_sent $bytes_sent $request_length $request_completion';
    map $arg_m $mapped { default other; ~^(?<digits>\\d+)$ "number $digits"; yes YES; "" nothing; }
    map $http_host $hosted { hostnames; default no; *.example.com sub; .example.org org; www.* www; }
    map $arg_v $vol { volatile; default "$arg_v"; }
    split_clients $arg_s $split { 50% half; * rest; }
    server {
      listen 127.0.0.1:%%PORT_0%%;
      access_log %%DIR%%/combined.log;
      location /plain { access_log %%DIR%%/plain.log plain; access_log %%DIR%%/json.log json; access_log %%DIR%%/none.log none; return 200; }
      location /if { access_log %%DIR%%/if.log plain if=$arg_log; return 200; }
      location /off { access_log off; return 200; }
      location /many { access_log %%DIR%%/many.log many; return 200 body; }
      location /buffer { access_log %%DIR%%/buffer.log plain buffer=1k flush=50ms; return 200; }
      location /named { access_log %%DIR%%/named_$arg_n.log plain; root %%DIR%%; return 200; }
      location /map { return 200 "$mapped $hosted $split"; }
      location /vol { set $args v=1; set $a $vol; set $args v=2; return 200 "$a$vol"; }
      location /id { return 200 "$request_id $request_id"; }
    }
  }`);
});

afterAll(async () => {
  await proxy.stop();
});

test('combined is the standard format', async () => {
  await get(proxy.port, '/id?a=1', 'User-Agent: agent', 'Referer: there', 'Authorization: Basic bWU6eA==');
  expect(await proxy.waitFor('combined.log', /agent/)).toMatch(
    /^127\.0\.0\.1 - me \[\d\d\/\w{3}\/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET \/id\?a=1 HTTP\/1\.0" 200 65 "there" "agent"\n$/,
  );
});

test('three ways of escaping, in three logs of one request', async () => {
  await raw(proxy.port, 'GET /plain HTTP/1.0\r\nX: a"b\\c\x01\xe9\r\n\r\n');
  expect(await proxy.waitFor('plain.log', /\n/)).toBe('/plain "a\\x22b\\x5Cc\\x01\\xE9" - 200\n');
  expect(await proxy.waitFor('json.log', /\n/)).toBe('{"x":"a\\"b\\\\c\\u0001\xe9","none":""}\n');
  expect(await proxy.waitFor('none.log', /\n/)).toBe('a"b\\c\x01\xe9|\n');
});

test('if= writes for anything but nothing and 0; off writes nothing', async () => {
  for (const log of ['', '0', '00', 'yes']) await get(proxy.port, `/if?log=${log}`);
  await get(proxy.port, '/off');
  expect((await proxy.waitFor('if.log', /\n.*\n/)).match(/\n/g)).toHaveLength(2);
  expect(proxy.read('combined.log')).not.toContain('/off');
});

test('variables of the request and its answer', async () => {
  const request = 'GET /many?a=1&B=2 HTTP/1.1\r\nHost: x\r\nCookie: b=0; c=v\r\nConnection: close\r\n\r\n';
  const answer = await raw(proxy.port, request);
  const length = Buffer.byteLength(answer);
  expect(await proxy.waitFor('many.log', /\n/)).toBe(
    `127.0.0.1 ${proxy.port} GET HTTP/1.1 http [a=1&B=2] ? 2 v text/plain 4 ${length} ${request.length} OK\n`,
  );
});

test('a buffered log is flushed when its time has come', async () => {
  await get(proxy.port, '/buffer');
  expect(await proxy.waitFor('buffer.log', /\n/)).toContain('/buffer');
});

test('variables in the name open a file a line, where the root is', async () => {
  await get(proxy.port, '/named?n=one');
  expect(await proxy.waitFor('named_one.log', /\n/)).toContain('/named');
});

test('USR1 reopens the logs', async () => {
  await get(proxy.port, '/plain');
  renameSync(join(proxy.dir, 'plain.log'), join(proxy.dir, 'plain.old'));
  proxy.signal('SIGUSR1');
  await proxy.waitFor('plain.log', /^/);
  for (;;) {
    await get(proxy.port, '/plain?after');
    if (existsSync(join(proxy.dir, 'plain.log')) && proxy.read('plain.log') !== '') break;
  }
  expect(proxy.read('plain.log')).toContain('/plain');
});

test.each([
  ['/map?m=yes', 'h', 'YES no'],
  ['/map?m=YES', 'a.example.com', 'YES sub'],
  ['/map?m=42', 'example.org.', 'number 42 org'],
  ['/map?m=x', 'www.net', 'other www'],
  ['/map', 'example.com', 'nothing no'],
])('map: %s on %s', async (uri, host, expected) => {
  const answer = await raw(proxy.port, `GET ${uri} HTTP/1.0\r\nHost: ${host}\r\n\r\n`);
  expect(bodyOf(answer)).toMatch(new RegExp(`^${expected} (half|rest)$`));
});

test('a volatile map is asked each time; request_id once', async () => {
  expect(bodyOf(await get(proxy.port, '/vol'))).toBe('12');
  const [a, b] = bodyOf(await get(proxy.port, '/id')).split(' ');
  expect(a).toMatch(/^[0-9a-f]{32}$/);
  expect(b).toBe(a);
});

test.each([
  ['log_format a x; log_format a y;', 'duplicate "log_format" name "a"'],
  ['access_log a.log none;', 'unknown log format "none"'],
  ['access_log a.log combined flush=1s;', 'no buffer is defined for access_log "a.log"'],
  ['access_log $host combined buffer=1k;', 'buffered logs cannot have variables in name'],
  ['log_format a "$nothing";', 'unknown "nothing" variable'],
  ['map $uri $x { a b c; }', 'invalid number of the map parameters'],
  ['map $uri $x { a b; a c; }', 'conflicting parameter "a"'],
  ['split_clients $uri $x { 60% a; 50% b; }', 'percent total is greater than 100%'],
  ['geo $x { ranges; 10.0.0.9-10.0.0.1 a; }', 'invalid range "10.0.0.9-10.0.0.1"'],
])('%s is refused', async (directive, message) => {
  const { code, stderr } = await runProxy(`events { } http { ${directive} server { } }`);
  expect(code).toBe(1);
  expect(stderr).toContain(`nginx: [emerg] ${message}`);
});
