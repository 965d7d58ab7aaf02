// Opening handshakes of WebSockets, good and bad: what Uvicorn answers to each is what ours must answer, byte for byte.
import { rawRequest } from '../../services/server-process.ts';
import type { Scenario } from './scenario.ts';

const UPGRADE = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
const VERSION = 'Sec-WebSocket-Version: 13\r\n';
const GOOD = UPGRADE + KEY + VERSION;
const GET = 'GET /ws HTTP/1.1';
const key = (text: string): [string, string] => [GET, `${UPGRADE}${VERSION}Sec-WebSocket-Key: ${text}\r\n`];
const also = (field: string): [string, string] => [GET, `${GOOD}${field}\r\n`];

const HANDSHAKES: readonly [line: string, fields: string][] = [
  [GET, GOOD],
  ['GET /ws HTTP/1.0', GOOD],
  [GET, `Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n${KEY}${VERSION}`],
  [GET, UPGRADE + VERSION],
  [GET, GOOD + KEY],
  ...['', 'abcd', 'a b', 'ab', 'abcde', 'ab=c', 'ab==cd', 'abc==', '=abc', 'dGhlIHNhbXBsZSBub25jZQ'].map(key),
  [GET, UPGRADE + KEY],
  [GET, `${UPGRADE}${KEY}Sec-WebSocket-Version: 8\r\n`],
  [GET, GOOD + VERSION],
  ['DELETE /ws HTTP/1.1', GOOD],
  [GET, `Connection: Upgrade\r\nUpgrade: foo\r\nUpgrade: websocket\r\n${KEY}${VERSION}`],
  [GET, `Connection: Upgrade, b@d\r\nUpgrade: websocket\r\n${KEY}${VERSION}`],
  also('Origin: a\r\nOrigin: b'),
  also('Sec-WebSocket-Protocol: a, b'),
  also('Sec-WebSocket-Protocol: a b'),
  also('Sec-WebSocket-Protocol: '),
  also('Sec-WebSocket-Extensions: a;;b'),
  also('Sec-WebSocket-Extensions: permessage-deflate; x="'),
  also('Sec-WebSocket-Extensions: permessage-deflate; x="a b"'),
  also('Sec-WebSocket-Extensions: permessage-deflate; foo=1'),
  also('Sec-WebSocket-Extensions: other, permessage-deflate'),
  also('Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, permessage-deflate'),
  also('Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8, permessage-deflate'),
  also('Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=10; server_no_context_takeover'),
  ['GET /no-such HTTP/1.1', GOOD],
  ['GET /no-such HTTP/1.1', UPGRADE + VERSION],
];

/** All of them, one connection each. */
export const HANDSHAKE_SCENARIO: Scenario = {
  name: 'uvicorn: WebSocket handshakes',
  run: async (side) => {
    const { port } = await side.uvicorn('fastapi');
    const isOpen = (text: string): boolean => text.startsWith('HTTP/1.1 101') && text.endsWith('\r\n\r\n');
    const answers = HANDSHAKES.map(([line, fields]) =>
      rawRequest(port, `${line}\r\nHost: a\r\n${fields}\r\n`, isOpen).then((text) => [
        line,
        fields,
        text.replace(/^(date): [^\r]*/gim, '$1: now'),
      ]),
    );
    return Promise.all(answers);
  },
};
