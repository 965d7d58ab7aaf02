// return, rewrite, set, if and break: what they answer and what the request is afterwards.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bodyOf, get, headerOf, type RunningProxy, raw, runProxy, startProxy, statusOf } from './start-proxy.ts';

let proxy: RunningProxy;

beforeAll(async () => {
  proxy = await startProxy(
    `http {
      access_log off;
      error_log error.log notice;
      server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name localhost;
        set $where server;
        if ($arg_block) { return 403; }
        location /text { return 200 "a $uri b"; }
        location /empty { return 204; }
        location /gone { return 410; }
        location /teapot { return 418 "short and stout"; }
        location /away { return 301 /there?$args; }
        location /url { return https://example.com/x; }
        location /bye { return 444; }

        location /last { rewrite ^/last/(.*)$ /end?got=$1 last; return 500; }
        location /end { return 200 "$uri|$args"; }
        location /drop { rewrite ^ /end? last; }
        location /moved { rewrite ^/moved/(?<tail>.*)$ /new/$tail permanent; }
        location /out { rewrite ^ http://example.com$request_uri? redirect; }
        location /loop { rewrite ^ /loop/again last; }
        location /stay { rewrite ^ /static.txt break; return 500; }
        location /logged { rewrite_log on; rewrite ^/logged/x /end; }

        location /if {
          set $out none;
          if ($arg_a = b) { set $out equal; }
          if ($arg_a != b) { set $out different; }
          if ($arg_a ~ "^([0-9]+)x$") { set $out "number $1"; }
          if ($arg_a ~* ^UP) { set $out up; }
          if (-f $document_root/static.txt) { set $file yes; }
          if (!-e $document_root/none) { set $none yes; }
          if (-d $document_root) { set $dir yes; }
          return 200 "$where $out $file $none $dir";
        }
        location /header {
          add_header X-Outer yes;
          if ($arg_in) { add_header X-Inner yes; }
          return 200;
        }
        location /escape { rewrite ^/escape/(.*)$ /end?x=$1? last; }
        location /unset { if ($arg_never) { set $never x; } return 200 "[$never]"; }
        location /args { set $args "c=d"; return 200 "$args$is_args$arg_c"; }
      }
    }`,
    { files: { 'html/static.txt': 'static' } },
  );
});

afterAll(async () => {
  await proxy.stop();
});

test('return sends a text, a status, a redirect, or nothing at all', async () => {
  const text = await get(proxy.port, '/text');
  expect([statusOf(text), headerOf(text, 'content-type'), bodyOf(text)]).toEqual([200, 'text/plain', 'a /text b']);
  const empty = await get(proxy.port, '/empty');
  expect([statusOf(empty), bodyOf(empty), headerOf(empty, 'content-length')]).toEqual([204, '', undefined]);
  expect(bodyOf(await get(proxy.port, '/gone'))).toContain('<center><h1>410 Gone</h1></center>');
  const teapot = await get(proxy.port, '/teapot');
  expect([teapot.split('\r\n')[0], bodyOf(teapot)]).toEqual(['HTTP/1.1 418 ', 'short and stout']);
  expect(headerOf(await get(proxy.port, '/away?q'), 'location')).toBe(`http://localhost:${proxy.port}/there?q`);
  const url = await get(proxy.port, '/url');
  expect([statusOf(url), headerOf(url, 'location')]).toEqual([302, 'https://example.com/x']);
  expect(await get(proxy.port, '/bye')).toBe('');
  expect(statusOf(await get(proxy.port, '/text?block=1'))).toBe(403);
});

test('rewrite goes on elsewhere, redirects, stays, and ends a cycle', async () => {
  expect(bodyOf(await get(proxy.port, '/last/one?two=2'))).toBe('/end|got=one&two=2');
  expect(bodyOf(await get(proxy.port, '/drop?two=2'))).toBe('/end|');
  const moved = await get(proxy.port, '/moved/a%20b?q=1');
  expect([statusOf(moved), headerOf(moved, 'location')]).toEqual([301, `http://localhost:${proxy.port}/new/a b?q=1`]);
  expect(headerOf(await get(proxy.port, '/out?x=%2F'), 'location')).toBe('http://example.com/out?x=%2F');
  expect(statusOf(await get(proxy.port, '/loop'))).toBe(500);
  expect(proxy.read('error.log')).toContain('rewrite or internal redirection cycle while processing "/loop/again"');
  expect(bodyOf(await get(proxy.port, '/stay'))).toBe('static');
  // What was decoded for the match is encoded again where it becomes a query.
  expect(bodyOf(await get(proxy.port, '/escape/a%26b%20c'))).toBe('/end|x=a%26b%20c');
});

test('rewrite_log tells what matched', async () => {
  await get(proxy.port, '/logged/x?y');
  const log = await proxy.waitFor('error.log', /rewritten data/);
  expect(log).toContain('"^/logged/x" matches "/logged/x", client: 127.0.0.1');
  expect(log).toContain('rewritten data: "/end", args: "y"');
});

test.each([
  ['b', 'equal'],
  ['c', 'different'],
  ['12x', 'number 12'],
  ['upper', 'up'],
])('if: a=%s is %s', async (value, outcome) => {
  expect(bodyOf(await get(proxy.port, `/if?a=${value}`))).toBe(`server ${outcome} yes yes yes`);
});

test('the settings of an if block replace those of its location', async () => {
  const outer = await get(proxy.port, '/header');
  expect([headerOf(outer, 'x-outer'), headerOf(outer, 'x-inner')]).toEqual(['yes', undefined]);
  const inner = await get(proxy.port, '/header?in=1');
  expect([headerOf(inner, 'x-outer'), headerOf(inner, 'x-inner')]).toEqual([undefined, 'yes']);
});

test('an unset variable is empty and told; $args can be set', async () => {
  expect(bodyOf(await get(proxy.port, '/unset'))).toBe('[]');
  expect(proxy.read('error.log')).toContain('using uninitialized "never" variable');
  expect(bodyOf(await raw(proxy.port, 'GET /args?a=b HTTP/1.0\r\n\r\n'))).toBe('c=d?d');
});

test.each([
  ['return 1000;', 'invalid return code "1000"'],
  ['return /x;', 'invalid return code "/x"'],
  ['rewrite ^ "";', 'empty replacement'],
  ['rewrite ^ /x sometimes;', 'invalid parameter "sometimes"'],
  ['set a b;', 'invalid variable name "a"'],
  ['set $host b;', 'the duplicate "host" variable'],
  ['if $a { }', 'invalid condition "$a"'],
  ['if ($a like b) { }', 'unexpected "like" in condition'],
  ['if (-q x) { }', 'invalid condition "-q"'],
  ['if ($nothing) { }', 'unknown "nothing" variable'],
])('%s is refused', async (directive, message) => {
  const { code, stderr } = await runProxy(`events { } http { server { ${directive} } }`);
  expect(code).toBe(1);
  expect(stderr).toContain(`nginx: [emerg] ${message}`);
});
