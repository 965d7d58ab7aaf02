// portico explain: what it tells of each kind of decision, that it sends nothing, and that what it says is what the
// proxy does (the same requests go through startProxy).
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Explanation, explain, type Step } from '../../proxy/explain/explanation.ts';
import { askedRequest, type RequestOptions } from '../../proxy/explain/request.ts';
import { startProxy } from '../../proxy/testing/index.ts';

const CONF = `events { }
http {
    map $http_user_agent $is_bot { default 0; ~*bot 1; }
    upstream pool { least_conn; server 10.0.0.1:80 weight=2; server pool.internal:81 backup; }
    server { listen 80 default_server; listen 127.0.0.9:80; return 444; }
    server {
        listen 80;
        listen 443 ssl;
        server_name *.example.com;
        ssl_certificate nowhere.pem;
        ssl_certificate_key nowhere.key;
        error_page 404 = @fallback;
        if ($is_bot) { return 403; }
        rewrite ^/old/(.*)$ /new/$1?from=old last;
        set $tenant none;
        if ($host ~ ^(?<sub>[a-z]+)[.]) { set $tenant $sub; }

        location /new/ {
            rewrite ^/new/(\\d+)$ /item/$1 break;
            proxy_pass http://pool;
            proxy_set_header X-Tenant $tenant;
            add_header X-Served yes;
            auth_request /check;
        }
        location = /check { internal; proxy_pass http://auth.internal/verify; }
        location ^~ /docs/ { root html; try_files $uri $uri/ =410; }
        location ~ \\.php$ { deny all; }
        location ~* \\.(css|js)$ { expires max; }
        location @fallback { proxy_pass http://pool; }
        location /up/ { client_max_body_size 10; resolver 127.0.0.1; proxy_pass http://$host:81; }
        location /api/ { proxy_pass https://api.internal/v1/; }
    }
}
`;

const dir = mkdtempSync(join(tmpdir(), 'portico-explain-test-'));
const confFile = join(dir, 'nginx.conf');
beforeAll(() => {
  writeFileSync(confFile, CONF);
  mkdirSync(join(dir, 'html/docs'), { recursive: true });
  writeFileSync(join(dir, 'html/docs/a.txt'), 'a');
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function ask(text: string, options: RequestOptions = {}): Promise<Explanation> {
  return explain(askedRequest(text, options), { confFile });
}

/** `TEXT @LINE` of the steps of one stage. */
function told({ steps }: Explanation, stage: Step['stage']): string[] {
  return steps.filter((s) => s.stage === stage).map((s) => (s.line === undefined ? s.text : `${s.text} @${s.line}`));
}

describe('tells', () => {
  test('the listen address and the server block, and why', async () => {
    const wild = await ask('http://shop.example.com/');
    expect(told(wild, 'listen')[0]).toMatch(
      /^0\.0\.0\.0:80: 127\.0\.0\.1 is nearest to it, not to 127\.0\.0\.9:80; 2 servers @5$/,
    );
    expect(told(wild, 'server')).toEqual([
      'host "shop.example.com": server_name "*.example.com" is the longest name with a leading * that matches @6',
    ]);
    const none = await ask('http://other.test/');
    expect(told(none, 'server')).toEqual([
      'host "other.test": no server_name matches, this server is the default_server of this address @5',
    ]);
    expect(none.response).toBeUndefined();
    expect(told(await ask('http://127.0.0.9/'), 'listen')[0]).toMatch(/^127\.0\.0\.9:80: /);
    await expect(ask('http://shop.example.com:81/')).rejects.toThrow(
      'nothing listens on port 81; the configuration listens on 0.0.0.0:80, 127.0.0.9:80, 0.0.0.0:443',
    );
    await expect(ask('https://shop.example.com:80/')).rejects.toThrow('does not speak TLS');
    expect((await ask('http://shop.example.com:443/')).response?.status).toBe(400);
  });

  test('each location tried, and why the winner won', async () => {
    expect(told(await ask('http://a.example.com/docs/x.php'), 'location')).toEqual([
      'looking for the location of "/docs/x.php" @6',
      'location /new/ is no prefix of the URI @18',
      'location = /check is not the URI @25',
      'location ^~ /docs/ is the longest prefix that matches: remembered @26',
      'location /up/ is no prefix of the URI @30',
      'location /api/ is no prefix of the URI @31',
      'location ~ \\.php$ is not tried, "^~" of /docs/ forbids it @27',
      'location ~* \\.(css|js)$ is not tried, "^~" of /docs/ forbids it @28',
      '=> location ^~ /docs/ (the remembered prefix) @26',
    ]);
    expect(told(await ask('http://a.example.com/up/x.JS'), 'location').slice(-3)).toEqual([
      'location ~ \\.php$ does not match @27',
      'location ~* \\.(css|js)$ matches: chosen, the search ends @28',
      '=> location ~* \\.(css|js)$ @28',
    ]);
    expect(told(await ask('http://a.example.com/up'), 'location')).toContain(
      'location /up/ passes requests on, and lacks only the slash: redirect @30',
    );
  });

  test('rewrites, set and if step by step', async () => {
    const explanation = await ask('http://shop.example.com/old/12?x=1');
    expect(told(explanation, 'rewrite').slice(0, 3)).toEqual([
      'if ($is_bot) { ... }  is false @13',
      'rewrite ^/old/(.*)$ /new/$1?from=old last;  matches "/old/12": now "/new/12", arguments "from=old&x=1" @14',
      'rewrite ^/new/(\\d+)$ /item/$1 break;  matches "/new/12": now "/item/12", arguments "from=old&x=1" @19',
    ]);
    expect(told(explanation, 'phase')).toContain('access phase: auth_request agrees @23');
    expect(told(await ask('http://shop.example.com/api/'), 'rewrite').slice(2)).toEqual([
      'set $tenant none;  $tenant = "none" @15',
      'if ($host ~ ^(?<sub>[a-z]+)[.]) { ... }  is true @16',
      'set $tenant $sub;  $tenant = "shop" @16',
    ]);
    const bot = await ask('http://shop.example.com/', { headers: ['User-Agent: a Bot'] });
    expect(told(bot, 'rewrite')).toEqual(['if ($is_bot) { ... }  is true @13', 'return 403;  answers 403 @13']);
  });

  test('files that are looked for, error pages and internal redirects', async () => {
    const found = await ask('http://a.example.com/docs/a.txt');
    expect(told(found, 'file')[0]).toBe(`try_files: ${dir}/html/docs/a.txt is there, a file: chosen @26`);
    expect(found.response?.headers).toContainEqual({ name: 'Content-Length', value: '1', from: 'nginx' });
    const missing = await ask('http://a.example.com/docs/b');
    expect(told(missing, 'file')).toEqual([
      `try_files: ${dir}/html/docs/b (a file) is not there (ENOENT) @26`,
      `try_files: ${dir}/html/docs/b (a directory) is not there (ENOENT) @26`,
      'try_files: nothing was there: =410 @26',
    ]);
    expect(missing.response?.status).toBe(410);
    const internal = await ask('http://a.example.com/check');
    expect(told(internal, 'location').at(-1)).toBe('it is internal, and this request comes from outside: 404 @25');
    expect(told(internal, 'redirect')).toEqual([
      '404: error_page goes on with "@fallback" @12',
      'on to location @fallback @29',
    ]);
    const denied = await ask('http://a.example.com/x.php');
    expect(told(denied, 'phase')).toEqual(['access phase: access ends the request with 403 @27']);
  });

  test('the upstream, its servers, and the request that it would get', async () => {
    const { upstream, response } = await ask('http://shop.example.com/new/7', { headers: ['X-Own: 1', 'Accept:'] });
    expect(upstream).toEqual({
      name: 'pool',
      url: 'http://10.0.0.1:80/item/7',
      requestLine: 'GET /item/7 HTTP/1.0',
      headers: [
        { name: 'X-Tenant', value: 'shop', from: 'configuration', file: confFile, line: 21 },
        { name: 'Host', value: 'pool', from: 'nginx' },
        { name: 'Connection', value: 'close', from: 'nginx' },
        { name: 'User-Agent', value: 'curl/8', from: 'client' },
        { name: 'X-Own', value: '1', from: 'client' },
      ],
      peers: [
        { address: '10.0.0.1:80', isChosen: true, text: 'weight=2' },
        { address: 'pool.internal:81', isChosen: false, text: 'backup' },
      ],
    });
    expect(response?.headers).toContainEqual({
      name: 'X-Served',
      value: 'yes',
      from: 'configuration',
      file: confFile,
      line: 22,
    });
    const api = await ask('https://shop.example.com/api/items?x=%20');
    expect(api.upstream?.url).toBe('https://api.internal:443/v1/items?x=%20');
    expect((await ask('http://shop.example.com/up/')).upstream?.url).toBe('http://shop.example.com:81/up/');
  });

  test('what the request itself is refused for', async () => {
    const large = await ask('http://a.example.com/up/', { method: 'POST', headers: ['Content-Length: 11'] });
    expect(told(large, 'log')[0]).toBe('[error] client intended to send too large body: 11 bytes');
    expect(large.response?.status).toBe(413);
    expect((await ask('http://a.example.com/../x')).response?.status).toBe(400);
    const raw = await ask('POST /up/ HTTP/1.1\nHost: a.example.com\nTransfer-Encoding: chunked\n\n0\n\n');
    expect(raw.upstream?.requestLine).toBe('POST /up/ HTTP/1.0');
  });
});

test('agrees with what the proxy does', async () => {
  await using proxy = await startProxy(confFile, {
    upstreams: { pool: 'p', 'auth.internal': '', 'api.internal': 'a' },
  });
  const headers = { 'user-agent': 'curl/8', accept: '*/*' };
  for (const path of ['/new/7', '/old/7?a', '/docs/a.txt', '/docs/b', '/x.php', '/x.css', '/check', '/api/1?b=c']) {
    const explained = await ask(`http://shop.example.com${path}`);
    const before = Object.values(proxy.upstreams).map(({ requests }) => requests.length);
    const response = await proxy.fetch(`http://shop.example.com${path}`, { headers });
    expect([path, response.status]).toEqual([path, explained.response?.status]);
    const got = Object.entries(proxy.upstreams).flatMap(([name, { requests }], i) =>
      name === 'auth.internal' ? [] : requests.slice(before[i]).map((r) => `${r.method} ${r.url}`),
    );
    expect(got).toEqual(explained.upstream ? [explained.upstream.requestLine.replace(/ HTTP.*/, '')] : []);
  }
});

describe('the command', () => {
  const PORTICO = fileURLToPath(new URL('../../stack/portico.ts', import.meta.url));
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [PORTICO, 'explain', ...args], {
      cwd: dir,
      encoding: 'utf8',
      input: 'GET /check HTTP/1.0\n\n',
    });

  test('prints one decision a line, with its place, and writes and sends nothing', async () => {
    const before = readdirSync(dir);
    let connections = 0;
    const server = createServer((socket) => {
      connections++;
      socket.destroy();
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as { port: number };
    writeFileSync(join(dir, 'one.conf'), `server { listen 80; location / { proxy_pass http://127.0.0.1:${port}; } }`);
    const { stdout, status } = run('-c', 'one.conf', '/x');
    rmSync(join(dir, 'one.conf'));
    server.close();
    expect(stdout).toMatch(/^GET http:\/\/localhost\/x\n\nlisten {5}0\.0\.0\.0:80: .* one\.conf:1\n/);
    expect(stdout).toMatch(/^request {4}GET \/x HTTP\/1\.0$/m);
    expect([status, connections, readdirSync(dir)]).toEqual([0, 0, before]);
  });

  test('speaks JSON, reads a request from stdin, helps', () => {
    const json = run('--json', '-X', 'HEAD', 'http://a.example.com/docs/a.txt');
    expect(JSON.parse(json.stdout)).toMatchObject({ method: 'HEAD', response: { status: 200 } });
    expect(run('-').stdout).toContain('response   none: the connection is closed');
    expect(run('--help').stdout).toContain('portico explain https://localhost:8443/api/items/7');
  });

  test('exits with 2 for a wrong command line, with 1 for a wrong configuration', () => {
    expect(run()).toMatchObject({ status: 2 });
    expect(run('nonsense')).toMatchObject({ status: 1, stderr: expect.stringContaining('neither a URL') });
    writeFileSync(join(dir, 'bad.conf'), 'server {\n  lissten 80;\n}');
    const bad = run('-c', 'bad.conf', '/');
    expect([bad.status, bad.stderr]).toEqual([
      1,
      `portico explain: [emerg] unknown directive "lissten" in ${join(dir, 'bad.conf')}:2\n`,
    ]);
  });
});
