// Where a body ends, told in two ways or in an odd one: Content-Length against Transfer-Encoding, each twice, malformed,
// hidden behind spaces, case, other codings or broken names. The classes CL.TE, TE.CL and TE.TE of request smuggling.
import { GET, HIDDEN, post, type Row, refused, taken } from './rows.ts';

const CHUNKED = 'Transfer-Encoding: chunked';

/** Lengths that no two parsers need agree on. */
const BAD_LENGTHS: readonly string[] = [
  '+5',
  '-5',
  '-0',
  '5 5',
  '5,5',
  '5, 5',
  '5,6',
  '0x5',
  '5e0',
  '5.0',
  '5;',
  '"5"',
  '٥',
  'five',
  '5\t',
  '\t5',
  '\x0b5',
  '5\x0c',
  '\xa05',
  '5_0',
  '',
  ' ',
  '0,5',
  '99999999999999999999',
  '18446744073709551621',
];

/** Codings that are not `chunked`, but that somebody may take for it (or `chunked`, which somebody may overlook). */
const BAD_CODINGS: readonly string[] = [
  'xchunked',
  'chunkedx',
  'chunk',
  'x chunked',
  'chunked x',
  'chunked, identity',
  'identity, chunked',
  'identity',
  'gzip, chunked',
  'chunked, chunked',
  'chunked,',
  ',chunked',
  '"chunked"',
  "'chunked'",
  'chunked;q=1',
  'chunked\t',
  '\tchunked',
  '\x0bchunked',
  'chunked\x0c',
  '\xa0chunked',
  'chun\x01ked',
  'chunKed\x7f',
  'cow',
  '',
];

/** Names that come close to Transfer-Encoding: skipped as invalid, or names of their own. */
const NEAR_NAMES: readonly (readonly [name: string, isForwarded: boolean])[] = [
  ['Transfer_Encoding', false],
  ['Transfer.Encoding', false],
  ['Transfer-Encoding\x80', false],
  ['\xffTransfer-Encoding', false],
  ['"Transfer-Encoding"', false],
  ['Transfer-Encodin', true],
  ['X-Transfer-Encoding', true],
  ['Transfer-Encoding-', true],
];

const BODY_OF_TWO = '0\r\n\r\n';

export const FRAMING_ROWS: readonly Row[] = [
  taken('plain', 'length', post(['Content-Length: 5'], 'hello'), 'POST /p hello'),
  taken('plain', 'chunked', post([CHUNKED], '5\r\nhello\r\n0\r\n\r\n'), 'POST /p hello'),
  taken('plain', 'an empty chunked body', post([CHUNKED], '0\r\n\r\n'), 'POST /p'),
  taken('plain', 'a body of a GET', `GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello`, 'GET /a hello'),
  taken('plain', 'no length, then another request', `POST /p HTTP/1.1\r\nHost: a\r\n\r\n${GET}`, 'POST /p', 'GET /a'),

  refused('CL.TE', 'both, length first', post(['Content-Length: 5', CHUNKED], `${BODY_OF_TWO}${HIDDEN}`)),
  refused('TE.CL', 'both, coding first', post([CHUNKED, 'Content-Length: 4'], `22\r\n${HIDDEN}\r\n0\r\n\r\n`)),
  refused('CL.TE', 'both, length 0', post(['Content-Length: 0', CHUNKED], BODY_OF_TWO)),
  refused('CL.TE', 'both on a GET', `GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n${CHUNKED}\r\n\r\n0\r\n\r\n`),
  refused('CL.TE', 'both, streamed', post(['Content-Length: 5', CHUNKED], BODY_OF_TWO, '/stream')),
  refused('CL.TE', 'both, case and spaces', post(['cOnTeNt-LeNgTh:5', 'tRANSFER-eNCODING:   ChUnKeD  '], BODY_OF_TWO)),
  refused(
    'CL.TE',
    'both in HTTP/1.0',
    `POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n${CHUNKED}\r\n\r\n0\r\n\r\n`,
  ),
  refused('CL.TE', 'chunked in HTTP/1.0', `POST / HTTP/1.0\r\nHost: a\r\n${CHUNKED}\r\n\r\n${BODY_OF_TWO}`),
  refused('CL.TE', 'bad length beside a coding', post(['Content-Length: x', CHUNKED], BODY_OF_TWO)),
  refused(
    'TE.CL',
    'bad coding beside a length',
    post(['Transfer-Encoding: xchunked', 'Content-Length: 5'], 'hello'),
    501,
  ),

  refused('duplicate length', 'equal', post(['Content-Length: 5', 'Content-Length: 5'], 'hello')),
  refused('duplicate length', 'different', post(['Content-Length: 5', 'Content-Length: 0'], `hello${HIDDEN}`)),
  refused('duplicate length', '0 first', post(['Content-Length: 0', 'Content-Length: 33'], HIDDEN)),
  refused('duplicate length', 'other case', post(['Content-Length: 5', 'CONTENT-LENGTH: 5'], 'hello')),
  refused('duplicate length', 'apart', post(['Content-Length: 5', 'X: y', 'Content-Length: 6'], 'hello')),
  refused('duplicate length', 'second is bad', post(['Content-Length: 5', 'Content-Length: x'], 'hello')),
  ...BAD_LENGTHS.map((value) =>
    refused(
      'bad length',
      JSON.stringify(value),
      post([`Content-Length: ${Buffer.from(value).toString('latin1')}`], 'hello'),
    ),
  ),
  refused('bad length', 'without a colon', post(['Content-Length'], 'hello')),
  refused('bad length', 'larger than 2^53', post(['Content-Length: 9007199254740993'], 'x'), 413),
  refused('bad length', 'the largest of 64 bits', post(['Content-Length: 9223372036854775807'], 'x'), 413),
  refused('bad length', 'one more', post(['Content-Length: 9223372036854775808'], 'x')),
  refused('bad length', 'larger than allowed', post(['Content-Length: 1048577'], 'x'), 413),
  taken('odd length', 'leading zeros', post(['Content-Length: 0000000000000005'], 'hello'), 'POST /p hello'),
  taken('odd length', 'spaces around', post(['Content-Length:     5     '], 'hello'), 'POST /p hello'),
  taken('odd length', 'no space', post(['Content-Length:5'], 'hello'), 'POST /p hello'),

  ...BAD_CODINGS.map((value) =>
    refused('TE.TE', JSON.stringify(value), post([`Transfer-Encoding: ${value}`], BODY_OF_TWO), 501),
  ),
  refused('TE.TE', 'twice', post([CHUNKED, CHUNKED], BODY_OF_TWO)),
  refused('TE.TE', 'twice, identity second', post([CHUNKED, 'Transfer-Encoding: identity'], BODY_OF_TWO)),
  refused('TE.TE', 'twice, cow first', post(['Transfer-Encoding: cow', CHUNKED], BODY_OF_TWO)),
  refused('TE.TE', 'space before the colon', post(['Transfer-Encoding : chunked'], BODY_OF_TWO)),
  refused('TE.TE', 'tab before the colon', post(['Transfer-Encoding\t: chunked'], BODY_OF_TWO)),
  refused('TE.TE', 'vertical tab before the colon', post(['Transfer-Encoding\x0b: chunked'], BODY_OF_TWO)),
  refused('TE.TE', 'space before the name', post(['X: y', ' Transfer-Encoding: chunked'], BODY_OF_TWO)),
  refused('TE.TE', 'folded value', post(['Transfer-Encoding:', ' chunked'], BODY_OF_TWO)),
  refused('TE.TE', 'behind a bare CR', post(['X: y\rTransfer-Encoding: chunked'], BODY_OF_TWO)),
  refused('TE.TE', 'NUL in the name', post(['Transfer\0-Encoding: chunked'], BODY_OF_TWO)),
  refused('TE.TE', 'NUL in the value', post(['Transfer-Encoding: chunked\0'], BODY_OF_TWO)),
  taken('TE.TE', 'behind a bare LF', post(['X: y\nTransfer-Encoding: chunked'], BODY_OF_TWO), 'POST /p'),
  taken('TE.TE', 'upper case', post(['TRANSFER-ENCODING: CHUNKED'], '1\r\nx\r\n0\r\n\r\n'), 'POST /p x'),
  ...NEAR_NAMES.map(([name, isForwarded]) =>
    taken(
      'TE.TE',
      `${JSON.stringify(name)} ${isForwarded ? 'is another name' : 'is skipped'}`,
      post(['Content-Length: 5', `${name}: chunked`], BODY_OF_TWO),
      'POST /p 0\r\n\r\n',
    ),
  ),
  taken(
    'TE.TE',
    'named by Connection',
    post([CHUNKED, 'Connection: Transfer-Encoding'], '1\r\nx\r\n0\r\n\r\n'),
    'POST /p x',
  ),
  taken(
    'CL.TE',
    'length named by Connection',
    post(['Content-Length: 1', 'Connection: Content-Length'], 'x'),
    'POST /p x',
  ),
  taken(
    'CL.0',
    'a body nobody asked for',
    `GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\n${HIDDEN}`,
    `GET /a ${HIDDEN}`,
  ),
];
