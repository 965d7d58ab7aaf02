// What may stand in a chunked body beside its bytes: sizes, extensions, line ends, trailers. Every row comes twice in the
// test: buffered, and streamed to the upstream while it comes.
import { GET, HIDDEN, post, type Row, refused } from './rows.ts';

const LAST = '0\r\n\r\n';

type Chunks = readonly [kind: string, name: string, wire: string, body: string | undefined];

const CASES: readonly Chunks[] = [
  ['chunk size', 'upper case', `A\r\n0123456789\r\n${LAST}`, '0123456789'],
  ['chunk size', 'lower case', `a\r\n0123456789\r\n${LAST}`, '0123456789'],
  ['chunk size', 'leading zeros', `000000000000000005\r\nhello\r\n${LAST}`, 'hello'],
  ['chunk size', 'many zeros at the end', '1\r\nx\r\n00000000000000000000\r\n\r\n', 'x'],
  ['chunk size', 'empty', `\r\nhello\r\n${LAST}`, undefined],
  ['chunk size', 'space only', ` \r\nhello\r\n${LAST}`, undefined],
  ['chunk size', 'space before', ` 5\r\nhello\r\n${LAST}`, undefined],
  ['chunk size', 'tab before', `\t5\r\nhello\r\n${LAST}`, undefined],
  ['chunk size', 'space behind', `5 \r\nhello\r\n${LAST}`, 'hello'],
  ['chunk size', 'tab behind', `5\t\r\nhello\r\n${LAST}`, 'hello'],
  ['chunk size', '0x', `0x5\r\nhello\r\n${LAST}`, undefined],
  ['chunk size', 'plus', `+5\r\nhello\r\n${LAST}`, undefined],
  ['chunk size', 'minus', `-5\r\nhello\r\n${LAST}`, undefined],
  ['chunk size', 'underscore', `0_5\r\nhello\r\n${LAST}`, undefined],
  ['chunk size', 'not hexadecimal', `5g\r\nhello\r\n${LAST}`, undefined],
  ['chunk size', 'quoted', `"5"\r\nhello\r\n${LAST}`, undefined],
  ['chunk size', '2^64 + 5', `10000000000000005\r\nhello\r\n${LAST}`, undefined],
  ['chunk size', '2^64 - 1', `ffffffffffffffff\r\nhello\r\n${LAST}`, undefined],
  ['chunk size', '2^63', `8000000000000000\r\nhello\r\n${LAST}`, undefined],
  ['chunk size', 'NUL behind', `5\0\r\nhello\r\n${LAST}`, undefined],
  ['chunk size', 'vertical tab behind', `5\x0b\r\nhello\r\n${LAST}`, undefined],
  ['chunk size', 'high byte', `\xb2\r\nhello\r\n${LAST}`, undefined],
  ['chunk size', 'comma', `5,5\r\nhello\r\n${LAST}`, undefined],

  ['chunk extension', 'a name', `5;x\r\nhello\r\n${LAST}`, 'hello'],
  ['chunk extension', 'a value', `5;x=y\r\nhello\r\n${LAST}`, 'hello'],
  ['chunk extension', 'a quoted value', `5;x="y;z"\r\nhello\r\n${LAST}`, 'hello'],
  ['chunk extension', 'on the last chunk', '1\r\nx\r\n0;x=y\r\n\r\n', 'x'],
  ['chunk extension', 'a request in it', `5;GET /hidden HTTP/1.1\r\nhello\r\n${LAST}`, 'hello'],
  ['chunk extension', 'bare CR in it', `5;x\ry\r\nhello\r\n${LAST}`, undefined],
  ['chunk extension', 'bare CR behind it', `5;\rhello\r\n${LAST}`, undefined],
  ['chunk extension', 'ended by a bare LF', `5;x\nhello\r\n${LAST}`, 'hello'],
  ['chunk extension', 'a bare LF in quotes ends it', `5;x="\nhello\r\n${LAST}`, 'hello'],
  ['chunk extension', 'NUL', `5;\0\r\nhello\r\n${LAST}`, 'hello'],

  ['chunk line end', 'LF behind the size', `5\nhello\r\n${LAST}`, 'hello'],
  ['chunk line end', 'LF behind the data', `5\r\nhello\n${LAST}`, 'hello'],
  ['chunk line end', 'LF everywhere', '5\nhello\n0\n\n', 'hello'],
  ['chunk line end', 'CR behind the size', `5\rhello\r\n${LAST}`, undefined],
  ['chunk line end', 'CR CR LF behind the size', `5\r\r\nhello\r\n${LAST}`, undefined],
  ['chunk line end', 'CR behind the data', `5\r\nhello\r${LAST}`, undefined],
  ['chunk line end', 'none behind the data', `5\r\nhello${LAST}`, undefined],
  ['chunk line end', 'two bytes that are no line end', `5\r\nhelloXX${LAST}`, undefined],
  ['chunk line end', 'data too long', `5\r\nhello!\r\n${LAST}`, undefined],
  ['chunk line end', 'the size counts the CR', `6\r\nhello\r\n${LAST}`, 'hello\r'],
  ['chunk line end', 'CR and something behind the last', '1\r\nx\r\n0\r\n\rX\r\n', undefined],

  ['trailer', 'one', '1\r\nx\r\n0\r\nA: b\r\n\r\n', 'x'],
  ['trailer', 'bare CR in it', '1\r\nx\r\n0\r\nA: b\rC: d\r\n\r\n', undefined],
  ['trailer', 'CR CR LF behind it', '1\r\nx\r\n0\r\nA: b\r\r\n\r\n', undefined],
  ['trailer', 'Content-Length', '1\r\nx\r\n0\r\nContent-Length: 33\r\n\r\n', 'x'],
  ['trailer', 'Transfer-Encoding', '1\r\nx\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n', 'x'],
  ['trailer', 'Host', '1\r\nx\r\n0\r\nHost: evil\r\n\r\n', 'x'],
  ['trailer', 'a request line', '1\r\nx\r\n0\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n', 'x'],
  ['trailer', 'ended by bare LFs', '1\r\nx\r\n0\nA: b\n\n', 'x'],
];

/** Both ways of one case. `GET` follows on the same connection, so a wrong end shows. */
function both([kind, name, wire, body]: Chunks): readonly Row[] {
  return ['/p', '/stream'].map((target) => {
    const send = post(['Transfer-Encoding: chunked'], wire, target) + GET;
    if (body === undefined) {
      return { kind, name: `${name}, to ${target}`, send, answers: [400], forwards: [], isKept: false };
    }
    const forwards = [`POST ${target} ${body}`, 'GET /a'];
    return { kind, name: `${name}, to ${target}`, send, answers: [200, 200], forwards, isKept: true };
  });
}

/** Sizes at the edge of nginx's off_t, and whether they are sizes for it when a byte follows. */
const EDGES: readonly (readonly [name: string, size: string, isSize: boolean])[] = [
  ['2^53 + 1', '20000000000001', true],
  ['2^59 - 1', '7ffffffffffffff', true],
  ['2^59 - 1 with leading zeros', '00000000007ffffffffffffff', true],
  ['2^59', '800000000000000', false],
  ['2^59 with leading zeros', '0000000000800000000000000', false],
  ['2^60 - 1', 'fffffffffffffff', false],
  ['2^60', '1000000000000000', false],
  ['2^62', '4000000000000000', false],
  ['2^63 - 6', '7ffffffffffffffa', false],
  ['2^63 - 1', '7fffffffffffffff', false],
];

/** One of them where bodies have a limit and where they have none, read whole and streamed. */
function edge([name, size, isSize]: (typeof EDGES)[number]): readonly Row[] {
  const lines = ['\r\n', '\n', ';x\r\n'];
  return lines.flatMap((line) =>
    ['/p', '/stream', '/unlimited', '/unlimited/stream'].map((target): Row => {
      const send = post(['Transfer-Encoding: chunked'], `${size}${line}x`, target);
      const title = `${name}, then ${JSON.stringify(line)}, to ${target}`;
      if (!isSize) return refused('chunk size', title, send);
      if (!target.startsWith('/unlimited')) return refused('chunk size', title, send, 413);
      // No body is too long: what was announced is waited for.
      const forwards = target.endsWith('stream') ? [`POST ${target} x (cut)`] : [];
      return { kind: 'chunk size', name: title, send, answers: [], forwards, isKept: false };
    }),
  );
}

/** Nothing follows the size: from 2^63 - 5 on it is refused without waiting for more. */
const UNENDED: readonly Row[] = ['/p', '/unlimited'].flatMap((target) => [
  refused(
    'chunk size',
    `2^63 - 5, then nothing, to ${target}`,
    post(['Transfer-Encoding: chunked'], '7ffffffffffffffb', target),
  ),
  {
    kind: 'chunk size',
    name: `2^63 - 6, then nothing, to ${target}`,
    send: post(['Transfer-Encoding: chunked'], '7ffffffffffffffa', target),
    answers: [],
    forwards: [],
    isKept: false,
  },
]);

export const CHUNK_ROWS: readonly Row[] = [
  ...CASES.flatMap(both),
  refused(
    'chunk size',
    '2^32 + 5, too large',
    post(['Transfer-Encoding: chunked'], `100000005\r\nhello\r\n${LAST}`),
    413,
  ),
  refused('chunk size', '2^55, too large', post(['Transfer-Encoding: chunked'], '80000000000000\r\nx'), 413),
  refused('chunk size', 'a byte too large', post(['Transfer-Encoding: chunked'], '100001\r\nx'), 413),
  ...EDGES.flatMap(edge),
  ...UNENDED,
  {
    kind: 'chunk size',
    name: 'what is announced does not come',
    send: post(['Transfer-Encoding: chunked'], `100\r\nhello\r\n${LAST}`, '/stream'),
    answers: [],
    forwards: [`POST /stream hello\r\n${LAST} (cut)`],
    isKept: false,
  },
  {
    kind: 'trailer',
    name: 'what follows the trailer is the next request',
    send: post(['Transfer-Encoding: chunked'], `0\r\nX: y\r\n\r\n${HIDDEN}`),
    answers: [200, 200],
    forwards: ['POST /p', 'GET /hidden'],
    isKept: true,
  },
];
