// Who may come in: allow and deny, limit_except, satisfy, auth_basic, auth_request, realip.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bodyOf, get, headerOf, type RunningProxy, raw, runProxy, startProxy, statusOf } from './start-proxy.ts';

let proxy: RunningProxy;

const HASHES = {
  plain: '{PLAIN}open sesame',
  sha: '{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=',
  ssha: '{SSHA}yI6cZwQadOA1e+/f+T+H3eCQQhRzYWx0',
  apr1: '$apr1$abcdefgh$FBwExRW4dCc8aL.OvjpIE1',
  md5: '$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/',
  sha256: '$5$saltstring$OH4IDuTlsuTYPdED1gsuiRMyTAwNlRWyA6Xr3I4/dQ5',
  sha512: '$6$saltstring$adDbXsJjcDlq2662QPgd.tkSOVmnG9Tt3oXl4HR60SusC3AGjirnDenVZp3DGwLwqy6iYKCzannhaX9DR72nN1',
  des: 'abJnggxhB/yWI',
  bcrypt: '$2b$04$abcdefghijklmnopqrstuughE8Ev8uGFaUgY2cNEySvxngrb/Jzdm',
};

beforeAll(async () => {
  proxy = await startProxy(
    `http {
      access_log off;
      proxy_temp_path %%DIR%%/proxy_temp;
      auth_basic_user_file %%DIR%%/htpasswd;
      geo $arg_ip $net { default none; 10.0.0.0/8 ten; 10.1.0.0/16 inner; 2001:db8::/32 six; }
      server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name localhost;
        location /deny { deny all; }
        location /other { allow 10.0.0.0/8; deny all; }
        location /local { deny 10.0.0.0/8; allow 127.0.0.0/8; deny all; alias %%DIR%%/html/; }
        location /except { limit_except GET { deny all; } alias %%DIR%%/html/; }
        location /basic { auth_basic "the $arg_realm"; alias %%DIR%%/html/; }
        location /open { auth_basic off; alias %%DIR%%/html/; }
        location /missing { auth_basic x; auth_basic_user_file %%DIR%%/none; }
        location /any { satisfy any; deny all; auth_basic any; alias %%DIR%%/html/; }
        location /all { satisfy all; allow all; auth_basic all; alias %%DIR%%/html/; }

        location /asked {
          auth_request /judge;
          auth_request_set $judged "$upstream_http_x_who";
          add_header X-Judged $judged always;
          alias %%DIR%%/html/;
        }
        location = /judge { internal; proxy_pass http://127.0.0.1:%%PORT_1%%/judge$is_args$args; }

        location /real {
          set_real_ip_from 127.0.0.1;
          set_real_ip_from 192.0.2.0/24;
          real_ip_header X-Forwarded-For;
          real_ip_recursive on;
          add_header X-Address "$remote_addr $realip_remote_addr";
          alias %%DIR%%/html/;
        }
        location /net { return 200 $net; }
        location /refer {
          valid_referers none *.example.com server_names ~\\.test;
          if ($invalid_referer) { return 403; }
          return 204;
        }
      }
      server {
        listen 127.0.0.1:%%PORT_1%%;
        location / {
          add_header X-Who "$http_x_token" always;
          if ($http_x_token = good) { return 204; }
          if ($http_x_token = bad) { return 403; }
          if ($http_x_token = odd) { return 404; }
          add_header WWW-Authenticate "Token" always;
          return 401;
        }
      }
    }`,
    {
      files: {
        'html/f': 'inside',
        htpasswd: `# users\n${Object.entries(HASHES)
          .map(([name, hash]) => `${name}:${hash}:comment`)
          .join('\n')}\nyescrypt:$y$j9T$x$y\n`,
      },
    },
  );
});

afterAll(async () => {
  await proxy.stop();
});

function basic(user: string, password: string): string {
  return `Authorization: Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

test('allow and deny: the first rule that names the address decides', async () => {
  expect(statusOf(await get(proxy.port, '/deny'))).toBe(403);
  expect(statusOf(await get(proxy.port, '/other'))).toBe(403);
  expect(bodyOf(await get(proxy.port, '/local/f'))).toBe('inside');
  expect(proxy.read('error.log')).toMatch(/access forbidden by rule, client: 127\.0\.0\.1, server: localhost/);
});

test('limit_except leaves its methods alone and refuses others', async () => {
  expect(statusOf(await get(proxy.port, '/except/f'))).toBe(200);
  expect(statusOf(await raw(proxy.port, 'HEAD /except/f HTTP/1.0\r\n\r\n'))).toBe(200);
  expect(statusOf(await raw(proxy.port, 'DELETE /except/f HTTP/1.0\r\n\r\n'))).toBe(403);
  expect(statusOf(await raw(proxy.port, 'BREW /except/f HTTP/1.0\r\n\r\n'))).toBe(403);
});

test.each(Object.keys(HASHES))('auth_basic reads a %s hash', async (user) => {
  const password = user === 'plain' ? 'open sesame' : 'password';
  expect(statusOf(await get(proxy.port, '/basic/f', basic(user, password)))).toBe(200);
  expect(statusOf(await get(proxy.port, '/basic/f', basic(user, 'Password')))).toBe(401);
});

test('auth_basic challenges, and says in the log why', async () => {
  const answer = await get(proxy.port, '/basic/f?realm=vault');
  expect([statusOf(answer), headerOf(answer, 'www-authenticate')]).toEqual([401, 'Basic realm="the vault"']);
  expect(statusOf(await get(proxy.port, '/basic/f', basic('nobody', 'x')))).toBe(401);
  expect(statusOf(await get(proxy.port, '/basic/f', basic('yescrypt', 'x')))).toBe(500);
  expect(statusOf(await get(proxy.port, '/missing', basic('plain', 'x')))).toBe(403);
  expect(statusOf(await get(proxy.port, '/open/f'))).toBe(200);
  const log = proxy.read('error.log');
  expect(log).toContain('user "nobody" was not found in');
  expect(log).toContain('user "apr1": password mismatch');
  expect(log).toMatch(/open\(\) ".*none" failed \(2: No such file or directory\)/);
});

test('satisfy any wants one yes, satisfy all every one', async () => {
  expect(statusOf(await get(proxy.port, '/any/f', basic('sha', 'password')))).toBe(200);
  expect(statusOf(await get(proxy.port, '/any/f'))).toBe(401);
  expect(statusOf(await get(proxy.port, '/all/f'))).toBe(401);
  expect(statusOf(await get(proxy.port, '/all/f', basic('sha', 'password')))).toBe(200);
});

test('auth_request takes the answer of its subrequest', async () => {
  const good = await get(proxy.port, '/asked/f', 'X-Token: good');
  expect([statusOf(good), bodyOf(good), headerOf(good, 'x-judged')]).toEqual([200, 'inside', 'good']);
  expect(statusOf(await get(proxy.port, '/asked/f', 'X-Token: bad'))).toBe(403);
  const none = await get(proxy.port, '/asked/f');
  expect([statusOf(none), headerOf(none, 'www-authenticate')]).toEqual([401, 'Token']);
  expect(statusOf(await get(proxy.port, '/asked/f', 'X-Token: odd'))).toBe(500);
  expect(proxy.read('error.log')).toContain('auth request unexpected status: 404');
  expect(statusOf(await get(proxy.port, '/judge'))).toBe(404);
});

test.each([
  ['192.0.2.7, 10.0.0.9, 192.0.2.1', '10.0.0.9 127.0.0.1'],
  ['[2001:db8:0::1]:99', '2001:db8::1 127.0.0.1'],
  ['nonsense', '127.0.0.1 127.0.0.1'],
])('realip believes trusted proxies only: %s', async (forwarded, seen) => {
  expect(headerOf(await get(proxy.port, '/real/f', `X-Forwarded-For: ${forwarded}`), 'x-address')).toBe(seen);
});

test('realip touches one request of a connection, not the next', async () => {
  const answer = await raw(
    proxy.port,
    'GET /real/f HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.9.9.9\r\n\r\nGET /real/f HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  );
  expect([...answer.matchAll(/X-Address: (.*)\r/g)].map((m) => m[1])).toEqual([
    '10.9.9.9 127.0.0.1',
    '127.0.0.1 127.0.0.1',
  ]);
});

test.each([
  ['10.2.0.1', 'ten'],
  ['10.1.0.1', 'inner'],
  ['2001:db8::5', 'six'],
  ['::ffff:10.1.0.1', 'inner'],
  ['', 'none'],
])('geo: %s is %s', async (ip, value) => {
  expect(bodyOf(await get(proxy.port, `/net?ip=${ip}`))).toBe(value);
});

test.each([
  [undefined, 204],
  ['http://www.example.com/x', 204],
  ['http://localhost/', 204],
  ['https://a.test/', 204],
  ['http://elsewhere.org/', 403],
  ['masked', 403],
])('referer %s gets %i', async (referer, status) => {
  const lines = referer === undefined ? [] : [`Referer: ${referer}`];
  expect(statusOf(await get(proxy.port, '/refer', ...lines))).toBe(status);
});

test.each([
  ['allow 10.0.0.0/33;', 'invalid parameter "10.0.0.0/33"'],
  ['auth_request_set x y;', 'invalid variable name "x"'],
  ['set_real_ip_from no.such.host.invalid;', 'host not found in set_real_ip_from "no.such.host.invalid"'],
])('%s is refused', async (directive, message) => {
  const { code, stderr } = await runProxy(`events { } http { ${directive} server { } }`);
  expect(code).toBe(1);
  expect(stderr).toContain(`nginx: [emerg] ${message}`);
});
