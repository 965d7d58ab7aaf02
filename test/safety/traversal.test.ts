// A path never leaves its root, however it is encoded: over a socket, against root, an alias with and without its slash,
// try_files, an autoindex, symlinks and a proxied prefix. A secret lies beside each root, and no answer may contain it.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { fakeUpstream, ok } from '../proxy/fake-upstream.ts';
import { bodyOf, get, type RunningProxy, raw, startProxy, statusOf } from '../proxy/start-proxy.ts';

const SECRET = 'the secret outside of the root';
const stops: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** Ways to write `..`. */
const DOTS = [
  '..',
  '%2e%2e',
  '%2E%2E',
  '.%2e',
  '%2e.',
  '%252e%252e',
  '%25252e%25252e',
  '..%00',
  '%00..',
  '..%20',
  '..;',
  '..;a=b',
  '..%09',
  '...',
  '....',
  '%c0%ae%c0%ae',
  '%e0%80%ae%e0%80%ae',
  '%uff0e%uff0e',
  '\xc0\xae\xc0\xae',
  '%ef%bc%8e%ef%bc%8e',
  '%u002e%u002e',
  '..%2500',
];
/** Ways to write `/`. */
const SLASHES = [
  '/',
  '//',
  '/./',
  '%2f',
  '%2F',
  '%252f',
  '\\',
  '%5c',
  '%5C',
  '%255c',
  '%c0%af',
  '%c1%9c',
  '%ef%bc%8f',
  '\xc0\xaf',
  '/%00/',
  '%00/',
  '%2f%2f',
];
const PREFIXES = [
  '/',
  '/files',
  '/files/',
  '/bare',
  '/bare/',
  '/list',
  '/list/',
  '/try/',
  '/re/',
  '/files/sub/',
  '/bare/sub/',
];
const TARGETS = ['secret.txt', 'outside/secret.txt', 'secret.txt%00.html', 'secret.txt%20', 'secret.txt/.'];

async function start(): Promise<RunningProxy> {
  const conf = `http { access_log off; server { listen 127.0.0.1:%%PORT_0%%;
    location / { root www; }
    location /files/ { alias %%DIR%%/www/; }
    location /bare/ { alias %%DIR%%/www/; }
    location /list/ { alias %%DIR%%/www/; autoindex on; }
    location /try/ { root www; try_files $uri $uri/ /index.html; }
    location ~ ^/re/(.*)$ { alias %%DIR%%/www/$1; }
    location /locked/ { alias %%DIR%%/www/; disable_symlinks on; }
    location /owner/ { alias %%DIR%%/www/; disable_symlinks on from=%%DIR%%/www; }
    location /open/ { alias %%DIR%%/www/; }
    location /slashless { alias %%DIR%%/www/; }
  } }`;
  const proxy = await startProxy(conf, {
    files: {
      'www/index.html': 'index',
      'www/sub/page.html': 'page',
      'secret.txt': SECRET,
      'outside/secret.txt': SECRET,
      'www2/secret.txt': SECRET,
    },
  });
  stops.push(() => proxy.stop());
  return proxy;
}

describe('a path', () => {
  it('does not leave its root in any encoding', async () => {
    const proxy = await start();
    const paths = new Set<string>();
    for (const prefix of PREFIXES) {
      for (const dots of DOTS) {
        for (const slash of SLASHES) {
          for (const target of TARGETS) {
            for (const depth of [1, 2, 4]) {
              paths.add(prefix + `${dots}${slash}`.repeat(depth) + target);
              if (prefix.endsWith('/')) paths.add(prefix.slice(0, -1) + `${dots}${slash}`.repeat(depth) + target);
            }
          }
        }
      }
    }
    const all = [...paths];
    // In CI every so many; in full all of them. Pipelined on one connection each, so that thousands are cheap.
    const step = process.env['PORTICO_TEST_FULL'] === '1' ? 1 : 5;
    const tried = all.filter((_, i) => i % step === 0);
    const statuses: Record<string, number> = {};
    for (let at = 0; at < tried.length; at += 50) {
      await Promise.all(
        tried.slice(at, at + 50).map(async (path) => {
          const answer = await raw(proxy.port, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
          const status = statusOf(answer);
          statuses[status] = (statuses[status] ?? 0) + 1;
          if (answer.includes(SECRET)) leaks.push(path);
          if (status >= 500 || status === 0) faults.push(`${status} ${path}`);
        }),
      );
    }
    console.log(`safety: traversal: ${tried.length} paths of ${all.length}: ${JSON.stringify(statuses)}`);
    expect(leaks).toEqual([]);
    expect(faults).toEqual([]);
  }, 180_000);

  const leaks: string[] = [];
  const faults: string[] = [];

  it('leaves an alias whose location has no slash, as with nginx, by a name beside it only', async () => {
    const proxy = await start();
    // The well-known mistake: "/slashless" + "../secret.txt" makes www/../secret.txt. nginx 1.22 serves it, and so do we:
    // it is what the configuration says. A path with ".." as a whole segment is folded before and never gets there.
    expect(bodyOf(await get(proxy.port, '/slashless../secret.txt'))).toBe(SECRET);
    expect((await get(proxy.port, '/slashless/../secret.txt')).includes(SECRET)).toBe(false);
    expect((await get(proxy.port, '/bare../secret.txt')).includes(SECRET)).toBe(false);
  });

  it('above the root is refused', async () => {
    const proxy = await start();
    for (const path of ['/..', '/../', '/a/../../b', '/%2e%2e/%2e%2e/', '/./../x', '/a/..%2f..%2f']) {
      expect([path, statusOf(await get(proxy.port, path))]).toEqual([path, 400]);
    }
    expect(statusOf(await get(proxy.port, '/%00'))).toBe(400);
    expect(statusOf(await get(proxy.port, '/sub%00/page.html'))).toBe(400);
  });

  it('follows a symlink only where that is allowed', async () => {
    const proxy = await start();
    symlinkSync('../secret.txt', join(proxy.dir, 'www/link.txt'));
    symlinkSync('../outside', join(proxy.dir, 'www/dir'));
    symlinkSync('loop', join(proxy.dir, 'www/loop'));
    mkdirSync(join(proxy.dir, 'www/real'));
    writeFileSync(join(proxy.dir, 'www/real/f.txt'), 'real');
    for (const uri of ['/link.txt', '/dir/secret.txt']) {
      expect(bodyOf(await get(proxy.port, `/open${uri}`))).toBe(SECRET);
      for (const location of ['/locked', '/owner']) {
        const answer = await get(proxy.port, location + uri);
        expect([location + uri, /^40[34]$/.test(String(statusOf(answer))), answer.includes(SECRET)]).toEqual([
          location + uri,
          true,
          false,
        ]);
      }
    }
    expect(bodyOf(await get(proxy.port, '/owner/real/f.txt'))).toBe('real');
    expect(statusOf(await get(proxy.port, '/open/loop'))).not.toBe(200);
  });

  it('goes to an upstream under its prefix or not at all', async () => {
    const upstream = await fakeUpstream(({ socket }) => socket.write(ok('up')));
    stops.push(() => upstream.stop());
    const proxy = await startProxy(
      `http { access_log off; server { listen 127.0.0.1:%%PORT_0%%; location /api/ { proxy_pass http://127.0.0.1:${upstream.port}/app/; } } }`,
    );
    stops.push(() => proxy.stop());
    for (const dots of DOTS) {
      for (const slash of ['/', '%2f', '%5c', '//'])
        await raw(proxy.port, `GET /api/${dots}${slash}x HTTP/1.0\r\n\r\n`);
    }
    const targets = upstream.requests.map(({ text }) => text.split(' ')[1]!);
    expect(targets.length).toBeGreaterThan(20);
    for (const target of targets) {
      expect(target.startsWith('/app/')).toBe(true);
      expect(target).not.toMatch(/\/(\.|%2e){2}(\/|%2f|$)/i);
    }
  });
});
