// startProxy, as a user's test sees it: fakes by every kind of name, failover, mapped addresses, logs as objects, bad
// configurations, several proxies in one process, nothing left behind.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { startProxy } from '../../proxy/testing/index.ts';

const dir = mkdtempSync(join(tmpdir(), 'portico-testing-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('finds the fake by server, host and upstream name, the nearest first', async () => {
  await using proxy = await startProxy(
    `upstream pool { server 10.0.0.1:80; server one.internal:81; }
     upstream other { server two.internal; zone other 64k; }
     server {
       listen 80;
       location /pool { proxy_pass http://pool; add_header X-Peer $upstream_addr; }
       location /other { proxy_pass http://other; }
       location /host { proxy_pass http://three.internal:8080; }
       location /unix { proxy_pass http://unix:/run/app.sock; }
       location /variable { resolver 127.0.0.53; set $where four.internal; proxy_pass http://$where; }
       location /tls { proxy_pass https://secure.internal; }
       location /nobody { proxy_pass http://nobody.internal; }
     }`,
    {
      upstreams: {
        pool: 'pool',
        'one.internal:81': 'one',
        other: 'other',
        'three.internal': 'three',
        'unix:/run/app.sock': 'unix',
        'four.internal': 'four',
        'secure.internal': 'secure',
      },
    },
  );
  const textOf = async (path: string): Promise<string> => (await proxy.fetch(path)).text();
  expect([await textOf('/pool'), await textOf('/pool')].sort()).toEqual(['one', 'pool']);
  expect(await textOf('/other')).toBe('other');
  expect(await textOf('/host')).toBe('three');
  expect(await textOf('/unix')).toBe('unix');
  expect(await textOf('/variable')).toBe('four');
  expect(await textOf('/tls')).toBe('secure');
  expect((await proxy.fetch('/nobody')).status).toBe(502);
  expect(proxy.errorLog.at(-1)?.message).toContain('connect() failed (111: Connection refused)');
});

test('tells which request an upstream got, and fails over from one that is down or dies', async () => {
  await using proxy = await startProxy(
    `log_format tried '$status $upstream_addr $upstream_status';
     access_log /var/log/nginx/access.log tried;
     upstream app { server 10.0.0.1:80 max_fails=0; server 10.0.0.2:80 max_fails=0; server 10.0.0.3:80 max_fails=0; }
     server { listen 127.0.0.1:8080; proxy_next_upstream_tries 3; location / { proxy_pass http://app; } }`,
    {
      upstreams: {
        '10.0.0.1:80': null,
        '10.0.0.2:80': () => {
          throw new Error('the app dies');
        },
        '10.0.0.3:80': [{ status: 201, headers: { 'x-made': ['a', 'b'] }, body: { id: 7 } }, 'then text'],
      },
    },
  );
  const response = await proxy.fetch('http://any.example:8080/things?x=1', { method: 'PUT', body: '{"a":1}' });
  expect([response.status, response.headers.get('x-made'), await response.json()]).toEqual([201, 'a, b', { id: 7 }]);
  expect(await (await proxy.fetch('/')).text()).toBe('then text');
  const [request] = proxy.upstreams['10.0.0.3:80']!.requests;
  expect(request).toMatchObject({ method: 'PUT', url: '/things?x=1', httpVersion: '1.0', body: '{"a":1}' });
  expect(request?.json()).toEqual({ a: 1 });
  expect(request?.rawHeaders[0]).toEqual(['Host', 'app']);
  await proxy.idle();
  expect(proxy.accessLog[0]).toEqual({
    file: '/var/log/nginx/access.log',
    line: '201 10.0.0.1:80, 10.0.0.2:80, 10.0.0.3:80 502, 502, 201',
    values: {
      status: '201',
      upstream_addr: '10.0.0.1:80, 10.0.0.2:80, 10.0.0.3:80',
      upstream_status: '502, 502, 201',
    },
  });
});

test('moves listen addresses, of which requests see the configured ones', async () => {
  await using proxy = await startProxy(
    `server { listen 80 default_server; listen 10.1.2.3:80; listen [::]:8081; return 200 "$server_addr:$server_port $scheme"; }
     server { listen 80; server_name www.example; location /old { return 301 /new; } location / { return 200 www; } }
     server { listen 443 ssl; server_name *.example; ssl_certificate none.pem; ssl_certificate_key none.key; return 200 "$ssl_server_name $scheme"; }`,
  );
  expect(Object.keys(proxy.urls)).toEqual(['0.0.0.0:80', '10.1.2.3:80', '[::]:8081', '0.0.0.0:443']);
  expect(proxy.url).toBe(proxy.urls['0.0.0.0:80']);
  expect(proxy.urlOf('443')).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
  expect(proxy.urlOf('www.example')).toBe(proxy.url);
  expect(() => proxy.urlOf('82')).toThrow('nothing listens');
  const textOf = async (url: string): Promise<string> => (await proxy.fetch(url)).text();
  expect(await textOf('http://localhost/')).toBe('127.0.0.1:80 http');
  expect(await textOf('http://10.1.2.3/')).toBe('10.1.2.3:80 http');
  expect(await textOf('http://localhost:8081/')).toBe('::1:8081 http');
  expect(await textOf('https://shop.example/')).toBe('shop.example https');
  expect(await textOf('http://www.example/')).toBe('www');
  expect((await proxy.fetch('http://www.example/old')).headers.get('location')).toBe('http://www.example/new');
  expect(await (await proxy.fetch('http://www.example/old', { redirect: 'follow' })).text()).toBe('www');
  await expect(proxy.fetch('http://localhost:82/')).rejects.toThrow();
});

test('reads files of the test and of the disk, and leaves nothing beside them', async () => {
  writeFileSync(
    join(dir, 'nginx.conf'),
    `user nobody-of-that-name;
     events { worker_connections 10; }
     error_log logs/error.log notice;
     http {
       include mime.types;
       include conf.d/*.conf;
       proxy_cache_path /var/cache/portico-none keys_zone=c:1m;
       access_log logs/$host.log;
     }`,
  );
  writeFileSync(join(dir, 'page.css'), 'a { }');
  await using proxy = await startProxy(join(dir, 'nginx.conf'), {
    files: {
      'conf.d/site.conf':
        'server { listen 80; root .; location /cached { proxy_cache c; proxy_pass http://app; add_header X-C $upstream_cache_status; } }',
    },
    upstreams: { app: { headers: { 'cache-control': 'max-age=60' }, body: 'once' } },
  });
  const page = await proxy.fetch('/page.css');
  expect([page.headers.get('content-type'), await page.text()]).toEqual(['text/css', 'a { }']);
  expect((await proxy.fetch('/cached')).headers.get('x-c')).toBe('MISS');
  await proxy.idle();
  expect((await proxy.fetch('/cached')).headers.get('x-c')).toBe('HIT');
  expect(proxy.upstreams['app']?.requests).toHaveLength(1);
  expect((await proxy.fetch('/none')).status).toBe(404);
  expect(proxy.errorLog.at(-1)).toMatchObject({ file: join(dir, 'logs/error.log'), level: 'error' });
  expect(proxy.accessLog[0]?.file).toBe(join(dir, 'logs/%host.log'));
  expect(readdirSync(dir).sort()).toEqual(['nginx.conf', 'page.css']);
});

test('says what is wrong with a configuration in nginx’s words', async () => {
  writeFileSync(join(dir, 'bad.conf'), 'server {\n  listen 80;\n  proxy_passs http://x;\n}\n');
  await expect(startProxy(join(dir, 'bad.conf'))).rejects.toThrow(
    `unknown directive "proxy_passs" in ${join(dir, 'bad.conf')}:3`,
  );
  await expect(startProxy(join(dir, 'none.conf'))).rejects.toThrow('failed (2: No such file or directory)');
  await expect(startProxy('http { }')).rejects.toThrow('no server listens');
});

test('keeps two proxies of one process apart', async () => {
  const conf = 'server { listen 80; location / { proxy_pass http://app; } location /down { proxy_pass http://down; } }';
  await using one = await startProxy(conf, { upstreams: { app: 'one' } });
  const two = await startProxy(conf, { upstreams: { app: 'two' } });
  expect(await (await one.fetch('/')).text()).toBe('one');
  expect(await (await two.fetch('/')).text()).toBe('two');
  expect((await one.fetch('/down')).status).toBe(502);
  expect([one.errorLog.length, two.errorLog.length]).toEqual([1, 0]);
  await two.stop();
  await expect(fetch(two.url)).rejects.toThrow();
  expect(await (await one.fetch('/')).text()).toBe('one');
});
