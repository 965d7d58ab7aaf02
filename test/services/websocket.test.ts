// The opening handshake of a WebSocket at Uvicorn's role: what is refused before the application hears of it, and in which words.
import { afterAll, beforeAll, expect, it } from 'vitest';
import WebSocket from 'ws';
import { type Running, rawRequest, uvicorn } from './server-process.ts';

const UPGRADE = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
const VERSION = 'Sec-WebSocket-Version: 13\r\n';

let running: Running;
beforeAll(async () => {
  running = await uvicorn(['services/apps/fastapi.ts:app']);
});
afterAll(() => running.server.stop());

async function handshake(fields: string, line = 'GET /ws HTTP/1.1'): Promise<string> {
  const isOpen = (text: string): boolean => text.startsWith('HTTP/1.1 101') && text.endsWith('\r\n\r\n');
  const text = await rawRequest(running.port, `${line}\r\nHost: a\r\n${fields}\r\n`, isOpen);
  return text.replace(/^(date): [^\r]*/im, '$1: now');
}

it('refuses a key that is missing, before any route is looked at, and says so in the log', async () => {
  const expected =
    'HTTP/1.1 400 Bad Request\r\nDate: now\r\nConnection: close\r\nContent-Length: 73\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n' +
    'Failed to open a WebSocket connection: missing Sec-WebSocket-Key header.\n';
  expect(await handshake(UPGRADE + VERSION)).toBe(expected);
  expect(await handshake(UPGRADE + VERSION, 'GET /no-such HTTP/1.1')).toBe(expected);
  await running.server.said(/INFO: {5}connection rejected \(400 Bad Request\)\n/);
});

it.each([
  [`${UPGRADE}${VERSION}Sec-WebSocket-Key: abcd\r\n`, '400 Bad Request', 'invalid Sec-WebSocket-Key header: abcd.\n'],
  [`${UPGRADE}${VERSION}${KEY}${KEY}`, '400 Bad Request', 'invalid Sec-WebSocket-Key header: multiple values.\n'],
  [`${UPGRADE}${KEY}`, '400 Bad Request', 'missing Sec-WebSocket-Version header.\n'],
  [`${UPGRADE}${KEY}Sec-WebSocket-Version: 8\r\n`, '400 Bad Request', 'invalid Sec-WebSocket-Version header: 8.\n'],
  [`${UPGRADE}${KEY}${VERSION}Content-Length: 2\r\n`, '400 Bad Request', 'did not receive a valid HTTP request.\n'],
  [
    `${UPGRADE}${KEY}${VERSION}X: ${'a'.repeat(8190)}\r\n`,
    '431 Request Header Fields Too Large',
    'read 8195 bytes, expected no more than 8192 bytes.\n',
  ],
])('refuses %j', async (fields, status, why) => {
  const text = await handshake(fields);
  expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status}\r\n`));
  expect(text.slice(text.indexOf('\r\n\r\n') + 4)).toBe(`Failed to open a WebSocket connection: ${why}`);
});

it('answers 405 with Allow to another method, and 426 to two protocols', async () => {
  expect(await handshake(UPGRADE + KEY + VERSION, 'DELETE /ws HTTP/1.1')).toMatch(
    /^HTTP\/1\.1 405 Method Not Allowed\r\n[\s\S]*\r\nAllow: GET\r\n\r\nFailed .*: unsupported HTTP method: DELETE\.\n$/,
  );
  expect(await handshake(`Connection: Upgrade\r\nUpgrade: foo\r\nUpgrade: websocket\r\n${KEY}${VERSION}`)).toMatch(
    /^HTTP\/1\.1 426 Upgrade Required\r\n[\s\S]*\r\nUpgrade: websocket\r\n\r\nFailed .*: invalid Upgrade header: foo, websocket\.\n/,
  );
});

it('closes before the handshake with 403', async () => {
  expect(await handshake(UPGRADE + KEY + VERSION, 'GET /no-such?a=b HTTP/1.1')).toBe(
    'HTTP/1.1 403 Forbidden\r\nDate: now\r\nConnection: close\r\nContent-Length: 0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n',
  );
  await running.server.said(/"WebSocket \/no-such\?a=b" 403\n/);
});

it('agrees on compression, and ignores an offer that it cannot take', async () => {
  const offer = (text: string): Promise<string> =>
    handshake(`${UPGRADE}${KEY}${VERSION}Sec-WebSocket-Extensions: ${text}\r\n`);
  expect(await offer('permessage-deflate; client_max_window_bits')).toContain(
    '\r\nSec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12; client_max_window_bits=12\r\n',
  );
  const refused = await offer('permessage-deflate; foo=1');
  expect(refused).toMatch(/^HTTP\/1\.1 101 /);
  expect(refused).not.toContain('Extensions');
  const socket = new WebSocket(`ws://127.0.0.1:${running.port}/ws`);
  const text = 'a compressible text '.repeat(500);
  const echo = await new Promise<string>((done, fail) => {
    socket.on('open', () => socket.send(text));
    socket.on('message', (data) => done(String(data)));
    socket.on('error', fail);
  });
  expect(socket.extensions).toBe('permessage-deflate');
  expect(echo).toBe(text);
  socket.close();
});
