// Static files: root, alias, index, try_files, directory redirects, conditional requests, open_file_cache.
import { chmodSync, renameSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bodyOf, get, headerOf, type RunningProxy, raw, startProxy, statusOf } from './start-proxy.ts';

const BIG = Buffer.alloc(3_000_000, 'portico!');

let proxy: RunningProxy;
beforeAll(async () => {
  proxy = await startProxy(
    `error_log error.log info;
    http {
      access_log off;
      types { text/html html; text/x-own own; }
      default_type application/x-default;
      server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%DIR%%/files;
        location / { }
        location /alias/ { alias %%DIR%%/files/dir/; }
        location ~ ^/regex/(.*)$ { alias %%DIR%%/files/$1; }
        location /quiet/ { log_not_found off; }
        location /several/ { index missing.html $arg_index.html second.html; }
        location /absolute/ { index missing.html /a.html; }
        location /absolute/in/ { }
        location /try/ { try_files $uri $uri.html $uri/ @named; }
        location /try-code/ { try_files $uri =418; }
        location /try-uri/ { try_files $uri /a.html?from=try; }
        location /try-alias/ { alias %%DIR%%/files/; try_files $uri $uri.html =404; }
        location @named { return 202 named; }
        location /before/ { alias %%DIR%%/files/; if_modified_since before; }
        location /no-etag/ { alias %%DIR%%/files/; etag off; }
        location /cached/ { alias %%DIR%%/files/; open_file_cache max=10; open_file_cache_valid 1h; }
      }
    }`,
    {
      files: {
        'files/a.html': 'A\n',
        'files/b.own': 'own',
        'files/noext': 'plain',
        'files/empty.html': '',
        'files/big.bin': BIG,
        'files/dir/index.html': 'index of dir',
        'files/dir/c.html': 'C',
        'files/several/second.html': 'second',
        'files/several/third.html': 'third',
        'files/absolute/x': '',
        'files/try/page.html': 'page',
        'files/try/sub/index.html': 'try index',
        'files/kept.html': 'first',
        'files/sp ace%.html': 'odd name',
        'files/f\u00fcr.html': 'latin name',
        'files/locked.html': 'secret',
      },
    },
  );
  symlinkSync('nowhere/loop', join(proxy.dir, 'files/dangling'));
  utimesSync(join(proxy.dir, 'files/a.html'), 1_000_000_000, 1_000_000_000);
});
afterAll(() => proxy.stop());

describe('a file', () => {
  it('has the head that nginx gives it', async () => {
    const answer = await raw(proxy.port, 'GET /a.html HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(answer.replace(/^Date: .*\r\n/m, '')).toBe(
      [
        'HTTP/1.1 200 OK',
        'Server: nginx/1.22.1',
        'Content-Type: text/html',
        'Content-Length: 2',
        'Last-Modified: Sun, 09 Sep 2001 01:46:40 GMT',
        'Connection: close',
        'ETag: "3b9aca00-2"',
        'Accept-Ranges: bytes',
        '',
        'A\n',
      ].join('\r\n'),
    );
  });

  it('is typed by its extension, in any case', async () => {
    expect(headerOf(await get(proxy.port, '/b.own'), 'Content-Type')).toBe('text/x-own');
    expect(headerOf(await get(proxy.port, '/noext'), 'Content-Type')).toBe('application/x-default');
  });

  it('may be empty, and may have an odd name', async () => {
    const empty = await get(proxy.port, '/empty.html');
    expect([statusOf(empty), headerOf(empty, 'Content-Length'), bodyOf(empty)]).toEqual([200, '0', '']);
    expect(bodyOf(await get(proxy.port, '/sp%20ace%25.html'))).toBe('odd name');
    expect(bodyOf(await get(proxy.port, '/f%C3%BCr.html'))).toBe('latin name');
  });

  it('is sent whole when it is large, to a slow reader too', async () => {
    const received = await new Promise<Buffer>((done, fail) => {
      const chunks: Buffer[] = [];
      const socket = connect(proxy.port, '127.0.0.1');
      socket.write('GET /big.bin HTTP/1.0\r\n\r\n');
      // Stops after the first piece, until the server has filled what the system holds for us.
      socket.on('data', (chunk: Buffer) => {
        if (chunks.push(chunk) > 1) return;
        socket.pause();
        void get(proxy.port, '/a.html').then(() => socket.resume());
      });
      socket.on('end', () => done(Buffer.concat(chunks)));
      socket.on('error', fail);
    });
    expect(received.subarray(received.indexOf('\r\n\r\n') + 4).equals(BIG)).toBe(true);
  });

  it('has no body for HEAD, and takes no other method', async () => {
    const head = await raw(proxy.port, 'HEAD /a.html HTTP/1.0\r\n\r\n');
    expect([headerOf(head, 'Content-Length'), bodyOf(head)]).toEqual(['2', '']);
    expect(statusOf(await raw(proxy.port, 'POST /a.html HTTP/1.0\r\nContent-Length: 0\r\n\r\n'))).toBe(405);
    expect(statusOf(await raw(proxy.port, 'DELETE /a.html HTTP/1.0\r\n\r\n'))).toBe(405);
  });

  it('that is not there is logged as nginx logs it, if at all', async () => {
    expect(statusOf(await get(proxy.port, '/nope.html'))).toBe(404);
    expect(statusOf(await get(proxy.port, '/a.html/x'))).toBe(404);
    expect(statusOf(await get(proxy.port, '/quiet/nope.html'))).toBe(404);
    const log = await proxy.waitFor('error.log', /x" failed/);
    expect(log).toContain(
      `open() "${proxy.dir}/files/nope.html" failed (2: No such file or directory), client: 127.0.0.1`,
    );
    expect(log).toContain(`open() "${proxy.dir}/files/a.html/x" failed (20: Not a directory)`);
    expect(log).not.toContain('quiet/nope.html" failed');
  });

  it.skipIf(process.getuid?.() === 0)('that may not be read is forbidden', async () => {
    chmodSync(join(proxy.dir, 'files/locked.html'), 0);
    expect(statusOf(await get(proxy.port, '/locked.html'))).toBe(403);
    expect(proxy.read('error.log')).toContain('locked.html" failed (13: Permission denied)');
  });
});

describe('a directory', () => {
  it('is redirected to its name with a slash', async () => {
    const answer = await get(proxy.port, '/dir?a=b');
    expect([statusOf(answer), headerOf(answer, 'Location')]).toEqual([301, `http://localhost:${proxy.port}/dir/?a=b`]);
  });

  it('shows its index', async () => {
    expect(bodyOf(await get(proxy.port, '/dir/'))).toBe('index of dir');
    expect(bodyOf(await get(proxy.port, '/several/'))).toBe('second');
    expect(bodyOf(await get(proxy.port, '/several/?index=third'))).toBe('third');
    expect(bodyOf(await get(proxy.port, '/absolute/'))).toBe('A\n');
  });

  it('without an index is forbidden, a missing one not found', async () => {
    expect(statusOf(await get(proxy.port, '/'))).toBe(403);
    expect(statusOf(await get(proxy.port, '/missing/'))).toBe(404);
    expect(statusOf(await get(proxy.port, '/a.html/'))).toBe(404);
    const log = await proxy.waitFor('error.log', /a\.html\/index\.html" is not found/);
    expect(log).toContain(`directory index of "${proxy.dir}/files/" is forbidden`);
    expect(log).toContain(`"${proxy.dir}/files/missing/index.html" is not found (2: No such file or directory)`);
  });
});

describe('alias', () => {
  it('takes the place of the location, or of the whole URI', async () => {
    expect(bodyOf(await get(proxy.port, '/alias/c.html'))).toBe('C');
    expect(bodyOf(await get(proxy.port, '/alias/'))).toBe('index of dir');
    expect(bodyOf(await get(proxy.port, '/regex/dir/c.html'))).toBe('C');
  });
});

describe('try_files', () => {
  it('takes the first that is there', async () => {
    expect(bodyOf(await get(proxy.port, '/try/page'))).toBe('page');
    expect(bodyOf(await get(proxy.port, '/try/sub'))).toContain('301');
    expect(bodyOf(await get(proxy.port, '/try/sub/'))).toBe('try index');
    expect(bodyOf(await get(proxy.port, '/try-alias/a'))).toBe('A\n');
  });

  it('falls back to a named location, a code or a URI', async () => {
    const named = await get(proxy.port, '/try/none');
    expect([statusOf(named), bodyOf(named)]).toEqual([202, 'named']);
    expect(statusOf(await get(proxy.port, '/try-code/none'))).toBe(418);
    expect(bodyOf(await get(proxy.port, '/try-uri/none'))).toBe('A\n');
  });
});

describe('conditional requests', () => {
  const same = 'Sun, 09 Sep 2001 01:46:40 GMT';
  const status = async (uri: string, ...headers: string[]): Promise<number> =>
    statusOf(await get(proxy.port, uri, ...headers));

  it('compare dates', async () => {
    const unchanged = await get(proxy.port, '/a.html', `If-Modified-Since: ${same}`);
    expect([statusOf(unchanged), bodyOf(unchanged), headerOf(unchanged, 'Content-Length')]).toEqual([
      304,
      '',
      undefined,
    ]);
    expect(headerOf(unchanged, 'ETag')).toBe('"3b9aca00-2"');
    expect(await status('/a.html', 'If-Modified-Since: Mon, 10 Sep 2001 01:46:40 GMT')).toBe(200);
    expect(await status('/before/a.html', 'If-Modified-Since: Mon, 10 Sep 2001 01:46:40 GMT')).toBe(304);
    expect(await status('/a.html', `If-Unmodified-Since: ${same}`)).toBe(200);
    expect(await status('/a.html', 'If-Unmodified-Since: Sat, 08 Sep 2001 01:46:40 GMT')).toBe(412);
  });

  it('compare entity tags', async () => {
    expect(await status('/a.html', 'If-None-Match: "x", W/"3b9aca00-2"')).toBe(304);
    expect(await status('/a.html', 'If-None-Match: "3b9aca00"')).toBe(200);
    expect(await status('/a.html', 'If-None-Match: *')).toBe(304);
    expect(await status('/a.html', 'If-Match: "x", "3b9aca00-2"')).toBe(200);
    expect(await status('/a.html', 'If-Match: W/"3b9aca00-2"')).toBe(412);
    expect(await status('/a.html', 'If-None-Match: "x"', `If-Modified-Since: ${same}`)).toBe(200);
    expect(await status('/no-etag/a.html', 'If-None-Match: "3b9aca00-2"')).toBe(200);
  });
});

describe('open_file_cache', () => {
  it('goes on serving the file it has open', async () => {
    const path = join(proxy.dir, 'files/kept.html');
    const before = await get(proxy.port, '/cached/kept.html');
    writeFileSync(`${path}.new`, 'second one');
    renameSync(`${path}.new`, path);
    expect(bodyOf(await get(proxy.port, '/cached/kept.html'))).toBe(bodyOf(before));
    expect(bodyOf(await get(proxy.port, '/kept.html'))).toBe('second one');
    expect(statSync(path).size).toBe(10);
  });
});
