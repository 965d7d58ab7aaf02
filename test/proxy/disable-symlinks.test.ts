// disable_symlinks: files behind links are refused, wherever on the path the link stands.
import { chownSync, lchownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { bodyOf, get, type RunningProxy, runProxy, startProxy, statusOf } from './start-proxy.ts';

let proxy: RunningProxy;

beforeAll(async () => {
  proxy = await startProxy(
    `
http {
  access_log off;
  server {
    listen 127.0.0.1:%%PORT_0%%;
    root %%DIR%%;
    location /off/ { alias %%DIR%%/files/; }
    location /on/ { alias %%DIR%%/files/; disable_symlinks on; }
    location /owner/ { alias %%DIR%%/files/; disable_symlinks if_not_owner; }
    location /from/ { alias %%DIR%%/files/linked/; disable_symlinks on from=%%DIR%%/files/linked; }
    location /cached/ { alias %%DIR%%/files/; disable_symlinks on; open_file_cache max=8; open_file_cache_errors on; }
    location /cached-off/ { alias %%DIR%%/files/; open_file_cache max=8; }
    location /tried/ { alias %%DIR%%/files/; disable_symlinks on; try_files $uri link /fallback; }
    location = /fallback { return 200 fallback; }
    location /if/ {
      disable_symlinks on;
      if (-f %%DIR%%/files/$arg_file) { return 200 file; }
      return 200 none;
    }
  }
}`,
    { files: { 'files/plain': 'plain', 'files/real/page': 'page' } },
  );
  const files = join(proxy.dir, 'files');
  symlinkSync('plain', join(files, 'link'));
  symlinkSync('real', join(files, 'linked'));
  symlinkSync('linked/page', join(files, 'twice'));
  symlinkSync('nothing', join(files, 'dangling'));
});

afterAll(async () => {
  await proxy?.stop();
});

const status = async (uri: string): Promise<number> => statusOf(await get(proxy.port, uri));

it('serves plain files, and links where they are allowed', async () => {
  for (const uri of ['/on/plain', '/owner/plain', '/on/real/page', '/off/link', '/off/twice', '/cached-off/link']) {
    expect([uri, await status(uri)]).toEqual([uri, 200]);
  }
});

it('refuses a link to a file, and a link on the way to one', async () => {
  expect(await status('/on/link')).toBe(403);
  expect(await status('/on/twice')).toBe(403);
  expect(await status('/on/linked/page')).toBe(404);
  expect(await status('/on/dangling')).toBe(403);
  expect(await status('/cached/link')).toBe(403);
  expect(await status('/cached/link')).toBe(403);
  expect(proxy.read('error.log')).toMatch(
    /openat\(\) "[^"]*\/files\/link" failed \(40: Too many levels of symbolic links\)/,
  );
});

it('leaves the part of the path alone that from= names', async () => {
  expect(bodyOf(await get(proxy.port, '/from/page'))).toBe('page');
});

it('holds for try_files and if', async () => {
  expect(bodyOf(await get(proxy.port, '/tried/x'))).toBe('fallback');
  expect(bodyOf(await get(proxy.port, '/if/?file=plain'))).toBe('file');
  expect(bodyOf(await get(proxy.port, '/if/?file=link'))).toBe('none');
});

it.skipIf(process.geteuid!() !== 0)('follows links of the owner of what they lead to', async () => {
  const files = join(proxy.dir, 'files');
  mkdirSync(join(files, 'others'));
  writeFileSync(join(files, 'others/file'), 'x');
  chownSync(join(files, 'others/file'), 65_534, 65_534);
  symlinkSync('others/file', join(files, 'stranger'));
  symlinkSync('others/file', join(files, 'own'));
  lchownSync(join(files, 'own'), 65_534, 65_534);
  expect(await status('/owner/link')).toBe(200);
  expect(await status('/owner/linked/page')).toBe(200);
  expect(await status('/owner/stranger')).toBe(403);
  expect(await status('/owner/own')).toBe(200);
});

it.each([
  ['from=/x', '"disable_symlinks" must have "off", "on" or "if_not_owner" parameter'],
  ['on off', 'duplicate parameters "on off"'],
  ['off from=/x', '"from=" cannot be used with "off" parameter'],
  ['x', 'invalid parameter "x"'],
])('refuses disable_symlinks %s', async (words, message) => {
  const { code, stderr } = await runProxy(`events { } http { disable_symlinks ${words}; }`);
  expect(code).toBe(1);
  expect(stderr).toContain(`nginx: [emerg] ${message} in DIR/nginx.conf:1`);
});
