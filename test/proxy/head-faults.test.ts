// What the log says of heads that are refused, and of lines that are left out: nginx's words, in its order, and what was
// being done. It holds for the original (PORTICO_TEST_NGINX).
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type RunningProxy, raw, startProxy } from './start-proxy.ts';

const HEADERS = ' while reading client request headers';
const LINE = ' while reading client request line';

type Case = readonly [head: string, status: number, requestLength: number, ...said: string[]];

const CASES: readonly Case[] = [
  ['GET /a%00b HTTP/1.1\r\nA B: c\r\n\r\n', 400, 21, `client sent invalid request${LINE}`],
  ['GET http://a..b/ HTTP/1.1\r\nA B: c\r\n\r\n', 400, 27, `client sent invalid host in request line${LINE}`],
  ['GET / HTTP/1.1\r\nA: b\r\n\r\n', 400, 24, `client sent HTTP/1.1 request without "Host" header${HEADERS}`],
  ['GET / HTTP/1.1\r\nHost: a b\r\nX Y\r\n\r\n', 400, 27, `client sent invalid host header${HEADERS}`],
  [
    'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
    400,
    34,
    `client sent duplicate host header: "Host: b", previous value: "Host: a"${HEADERS}`,
  ],
  [
    'GET / HTTP/1.1\r\nHost: a\r\nx/: 1\r\nHost: b\r\ny/: 2\r\n\r\n',
    400,
    41,
    `client sent invalid header line: "x/: 1"${HEADERS}`,
    `client sent duplicate host header: "Host: b", previous value: "Host: a"${HEADERS}`,
  ],
  ['GET / HTTP/1.1\r\nHost: a\r\nX Y: 1\r\n\r\n', 400, 25, `client sent invalid header line: "X\\x20..."${HEADERS}`],
  [
    'GET / HTTP/1.1\r\nHost: a\r\nX: 1\r2\r\n\r\n',
    400,
    25,
    `client sent invalid header line: "X: 1\\x0d..."${HEADERS}`,
  ],
  ['GET / HTTP/1.1\r\nHost: a\r\nX: 1\0\r\n\r\n', 400, 25, `client sent invalid header line: "X: 1\\x00..."${HEADERS}`],
  [
    'GET / HTTP/1.1\r\nHost: a\r\nx/: 1\r\n X: 1\r\n\r\n',
    400,
    32,
    `client sent invalid header line: "x/: 1"${HEADERS}`,
    `client sent invalid header line: "\\x20..."${HEADERS}`,
  ],
  [
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n',
    400,
    47,
    `client sent invalid "Content-Length" header${HEADERS}`,
  ],
  [
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n',
    501,
    50,
    `client sent unknown "Transfer-Encoding": "x"${HEADERS}`,
  ],
  ['TRACE / HTTP/1.1\r\nHost: a\r\n\r\n', 405, 29, `client sent TRACE method${HEADERS}`],
  ['nonsense\r\n\r\n', 400, 0, `client sent invalid method${LINE}`],
];

let proxy: RunningProxy;
beforeAll(async () => {
  proxy = await startProxy(`http { log_format x '$connection $status $request_length'; access_log access.log x;
    error_log error.log info; server { listen 127.0.0.1:%%PORT_0%%; location / { return 204; } } }`);
});
afterAll(() => proxy?.stop());

/** Lines of the error log from `from` on, without time and request. */
const saidFrom = (from: number): string[] =>
  proxy
    .read('error.log')
    .slice(from)
    .split('\n')
    .filter((line) => line.includes(' client sent '))
    .map((line) => /\*\d+ (.*?), client: /.exec(line)![1]!);

it.each(CASES.map((row) => ({ head: row[0], row })))('$head', async ({ row }) => {
  const [head, status, requestLength, ...said] = row;
  const [errors, lines] = [proxy.read('error.log').length, proxy.read('access.log').length];
  expect(await raw(proxy.port, head)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  expect(saidFrom(errors)).toEqual(said);
  expect(proxy.read('access.log').slice(lines).trim().split(' ').slice(1)).toEqual([`${status}`, `${requestLength}`]);
});

it('tells a pipelined request apart', async () => {
  const errors = proxy.read('error.log').length;
  await raw(proxy.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\nnonsense\r\n\r\n');
  expect(saidFrom(errors)).toEqual(['client sent invalid method while reading client pipelined request line']);
});
