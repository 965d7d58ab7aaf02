// Files are read into memory that all senders share (http/send-file.ts): a slow client must still get its own bytes.
import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bodyOf, get, type RunningProxy, startProxy } from './start-proxy.ts';

const FILES = { 'html/a': randomBytes(9_000_000), 'html/b': randomBytes(7_000_001), 'html/c': randomBytes(60_000) };

let proxy: RunningProxy;

beforeAll(async () => {
  proxy = await startProxy(
    `http {
      access_log off;
      server { listen 127.0.0.1:%%PORT_0%%; root html; location /gz/ { alias html/; gzip on; gzip_types *; } }
    }`,
    { files: FILES },
  );
});

afterAll(() => proxy.stop());

function digest(bytes: Buffer | string): string {
  return createHash('sha256')
    .update(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
    .digest('hex');
}

/** Reads an answer in sips: the socket is paused for a turn of the loop after each piece. */
function sip(uri: string): Promise<string> {
  return new Promise((done, fail) => {
    const socket = connect(proxy.port, '127.0.0.1');
    const pieces: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => {
      pieces.push(chunk);
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
  ]);
  const names = ['a', 'b', 'b', 'a', 'a', 'c', 'c'] as const;
  expect(answers.map((answer) => digest(bodyOf(answer)))).toEqual(names.map((n) => digest(FILES[`html/${n}`])));
});
