// Files are read into memory that all senders share (http/send-file.ts), or with sendfile on not at all: a slow client must
// still get its own bytes.
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, truncateSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasSendfile } from '../../proxy/http/file-to-socket.ts';
import { bodyOf, get, type RunningProxy, raw, startProxy, statusOf } from './start-proxy.ts';

const FILES = { 'html/a': randomBytes(9_000_000), 'html/b': randomBytes(7_000_001), 'html/c': randomBytes(60_000) };

if (!hasSendfile())
  console.log('large-files: the count of reads is skipped where there is no sendfile, or no koffi to ask for it');

function digest(bytes: Buffer | string): string {
  return createHash('sha256')
    .update(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
    .digest('hex');
}

describe.each(['on', 'off'])('with sendfile %s', (sendfile) => {
  let proxy: RunningProxy;

  beforeAll(async () => {
    proxy = await startProxy(
      `http {
        access_log access.log; sendfile ${sendfile};
        server {
          listen 127.0.0.1:%%PORT_0%%; root html;
          location /gz/ { alias html/; gzip on; gzip_types *; }
          location /turns/ { alias html/; sendfile_max_chunk 100k; }
          location /one-turn/ { alias html/; sendfile_max_chunk 0; }
        }
      }`,
      { files: { ...FILES, 'html/shrinks': randomBytes(30_000_000) } },
    );
  });

  afterAll(() => proxy.stop());

  /** Reads an answer in sips: the socket is paused for a turn of the loop after each piece. */
  function sip(uri: string, onFirst?: () => void): Promise<string> {
    return new Promise((done, fail) => {
      const socket = connect(proxy.port, '127.0.0.1');
      const pieces: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => {
        if (pieces.push(chunk) === 1) onFirst?.();
        socket.pause();
        setImmediate(() => socket.resume());
      });
      socket.on('end', () => done(Buffer.concat(pieces).toString('latin1')));
      socket.on('error', fail);
      socket.write(`GET ${uri} HTTP/1.0\r\n\r\n`);
    });
  }

  test('fast and slow clients at once each get their own bytes', async () => {
    const answers = await Promise.all([
      sip('/a'),
      get(proxy.port, '/b'),
      sip('/b'),
      get(proxy.port, '/gz/a'),
      get(proxy.port, '/a'),
      sip('/c'),
      get(proxy.port, '/c'),
      sip('/turns/b'),
      get(proxy.port, '/one-turn/a'),
    ]);
    const names = ['a', 'b', 'b', 'a', 'a', 'c', 'c', 'b', 'a'] as const;
    expect(answers.map((answer) => digest(bodyOf(answer)))).toEqual(names.map((n) => digest(FILES[`html/${n}`])));
    expect(await proxy.waitFor('access.log', /\/one-turn\/a .* 200 9000000 /)).toMatch(/\/turns\/b .* 200 7000001 /);
  });

  test('parts of them, and one request after the other on a connection, too', async () => {
    const a = FILES['html/a'].toString('latin1');
    const ranges = bodyOf(await get(proxy.port, '/a', 'Range: bytes=1000-3000999,4000000-8999999'));
    expect(ranges.includes(`\r\n\r\n${a.slice(1000, 3_001_000)}\r\n--`)).toBe(true);
    expect(ranges.includes(`\r\n\r\n${a.slice(4_000_000)}\r\n--`)).toBe(true);
    const first = 'GET /a HTTP/1.1\r\nHost: a\r\nRange: bytes=-5000000\r\n\r\n';
    const both = await raw(proxy.port, `${first}GET /c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    const body = bodyOf(both);
    expect(body.startsWith(`${a.slice(4_000_000)}HTTP/1.1 200 OK\r\n`)).toBe(true);
    expect(digest(bodyOf(body.slice(5_000_000)))).toBe(digest(FILES['html/c']));
  });

  test('a file that shrinks while it is sent ends the connection, and is told', async () => {
    const answer = await sip('/shrinks', () => truncateSync(join(proxy.dir, 'html/shrinks'), 1_000_000));
    expect(statusOf(answer)).toBe(200);
    expect(bodyOf(answer).length).toBeLessThan(30_000_000);
    await proxy.waitFor(
      'error.log',
      sendfile === 'on'
        ? /\[alert\] .*sendfile\(\) reported that ".*html\/shrinks" was truncated at \d+/
        : /\[alert\] .*pread\(\) read only \d+ of \d+ from ".*html\/shrinks"/,
    );
    expect(digest(bodyOf(await get(proxy.port, '/c')))).toBe(digest(FILES['html/c']));
  });

  test.runIf(hasSendfile())('they are read only where they must be', async () => {
    const calls = (): number =>
      Number(/^syscr: (\d+)/m.exec(readFileSync(`/proc/${proxy.process.pid}/io`, 'latin1'))![1]);
    const before = calls();
    for (let i = 0; i < 10; i++) await get(proxy.port, '/a');
    const each = (calls() - before) / 10;
    // In blocks of 128 KB, 69 of them.
    if (sendfile === 'on') expect(each).toBeLessThan(50);
    else expect(each).toBeGreaterThan(68);
  });
});
