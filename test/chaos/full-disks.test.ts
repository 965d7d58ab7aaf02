// A disk that is full: under the cache, the temporary files and the logs. /dev/full stands for a full disk under a log;
// a small tmpfs is one, where we may mount it. The proxy goes on, and who needs no disk is answered.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fakeUpstream, ok } from '../proxy/fake-upstream.ts';
import { bodyOf, get, raw, statusOf } from '../proxy/start-proxy.ts';
import { atEnd, MASTER, size, start, statusFor, tell, until, volley, workerOf } from './fire.ts';

const small = mountSmall();
if ('reason' in small) console.log(`chaos: full disk under cache and bodies skipped: ${small.reason}`);

/** A file system of 256 KB, or why there can be none. */
function mountSmall(): { make(): string } | { reason: string } {
  const make = (): string => {
    const dir = mkdtempSync(join(tmpdir(), 'portico-full-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=0777', 'portico-full', dir], { stdio: 'pipe' });
    } catch (error) {
      rmSync(dir, { recursive: true, force: true });
      throw error;
    }
    atEnd(() => {
      execFileSync('umount', ['-l', dir]);
      rmSync(dir, { recursive: true, force: true });
    });
    return dir;
  };
  if (process.getuid?.() !== 0) return { reason: 'only root may mount' };
  const dir = mkdtempSync(join(tmpdir(), 'portico-full-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'portico-full', dir], { stdio: 'pipe' });
    execFileSync('umount', [dir]);
    return { make };
  } catch (error) {
    return { reason: String((error as { stderr?: Buffer }).stderr ?? error).trim() };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

describe('a full disk', () => {
  it.skipIf(!existsSync('/dev/full'))('under the logs loses lines, not requests', async () => {
    const proxy = await start(
      'http { access_log /dev/full; error_log /dev/full info; server { listen 127.0.0.1:%%PORT_0%%; location / { return 200 ok; } location /none { root .; } } }',
      { preamble: MASTER },
    );
    const pid = await workerOf(proxy);
    const count = size(20_000, 1000);
    const { statuses } = await volley(count, 4, (n) => statusFor(proxy.port, n % 2 ? '/' : '/none'));
    tell('logs on a full disk', { requests: count, statuses });
    expect(statuses).toEqual({ 200: count / 2, 404: count / 2 });
    expect(await workerOf(proxy)).toBe(pid);
  });

  it.skipIf('reason' in small)(
    'under the cache: every answer is whole, and the worker lives',
    async () => {
      const dir = (small as { make(): string }).make();
      mkdirSync(join(dir, 'cache'), { mode: 0o777 });
      const upstream = await fakeUpstream(({ socket, text }) => {
        const length = text.includes('/big') ? 600_000 : 20_000;
        socket.write(ok('x'.repeat(length), 'Cache-Control: max-age=60'));
      });
      atEnd(() => upstream.stop());
      const proxy = await start(
        `http { access_log off; proxy_cache_path ${dir}/cache keys_zone=c:1m use_temp_path=off; server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_cache c; add_header X-Cache $upstream_cache_status; proxy_pass http://127.0.0.1:${upstream.port}; } location /plain { proxy_buffering off; proxy_pass http://127.0.0.1:${upstream.port}; } } }`,
      );
      const pid = await workerOf(proxy);
      const tally: Record<string, number> = {};
      for (let i = 0; i < size(400, 60); i++) {
        const uri = i % 5 === 4 ? `/big${i}` : i % 5 === 3 ? `/plain${i}` : `/small${i}`;
        const answer = await get(proxy.port, uri);
        const whole = bodyOf(answer).length === (uri.startsWith('/big') ? 600_000 : 20_000);
        const key = `${uri.replace(/\d+/, '')} ${statusOf(answer)} ${whole ? 'whole' : 'cut'}`;
        tally[key] = (tally[key] ?? 0) + 1;
      }
      tell('cache on a full disk', { tally });
      // What needs no disk is whole always; nothing is cached that was cut.
      expect(Object.keys(tally).filter((key) => key.startsWith('/plain'))).toEqual(['/plain 200 whole']);
      for (let i = 0; i < 20; i++) {
        const again = await get(proxy.port, `/small${i * 5}`);
        if (/X-Cache: HIT/.test(again)) expect(bodyOf(again)).toHaveLength(20_000);
      }
      expect(await workerOf(proxy)).toBe(pid);
      // With room again, things are cached again.
      for (const name of readdirSync(join(dir, 'cache'))) rmSync(join(dir, 'cache', name), { recursive: true });
      await until(async () => {
        await get(proxy.port, '/small-new');
        return /X-Cache: HIT/.test(await get(proxy.port, '/small-new'));
      });
    },
    60_000,
  );

  it.skipIf('reason' in small)(
    'under the bodies of requests: 500 for those that need a file, the others pass',
    async () => {
      const dir = (small as { make(): string }).make();
      const upstream = await fakeUpstream(({ socket }) => socket.write(ok('got it')));
      atEnd(() => upstream.stop());
      const proxy = await start(
        `http { access_log off; client_max_body_size 0; client_body_temp_path ${dir}/body; server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_pass http://127.0.0.1:${upstream.port}; } } }`,
      );
      const pid = await workerOf(proxy);
      const post = async (length: number): Promise<number> =>
        statusOf(
          await raw(proxy.port, `POST / HTTP/1.0\r\nContent-Length: ${length}\r\n\r\n${'x'.repeat(length)}`).catch(
            () => '',
          ),
        );
      const statuses: Record<string, number> = {};
      for (let i = 0; i < size(100, 10); i++) {
        for (const length of [1000, 400_000]) {
          const key = `${length} ${await post(length)}`;
          statuses[key] = (statuses[key] ?? 0) + 1;
        }
      }
      tell('bodies on a full disk', { statuses });
      expect(Object.keys(statuses).sort()).toEqual(['1000 200', '400000 500']);
      expect(await workerOf(proxy)).toBe(pid);
      // No file is left of the bodies that did not fit.
      await until(async () => (await post(100_000)) === 200);
    },
  );
});
