// The downgrade: what an HTTP/2 client may put into fields and frames that would become another request when it is
// written down as HTTP/1.1 for the upstream.
import { block, type H2Field, rawFrame, request, TYPE } from './h2-attacker.ts';

export interface H2Row {
  readonly kind: string;
  readonly name: string;
  readonly frames: string;
  /** As H2Transcript has it. */
  readonly outcome: string;
  /** As in Row. */
  readonly forwards: readonly string[];
  readonly unlike?: string;
}

const METHOD: H2Field = [':method', 'GET'];
const PATH: H2Field = [':path', '/a'];
const SCHEME: H2Field = [':scheme', 'http'];
const AUTHORITY: H2Field = [':authority', 'a'];
const GET = [METHOD, SCHEME, PATH, AUTHORITY] as const;
const POST = [[':method', 'POST'], SCHEME, [':path', '/p'], AUTHORITY] as const;
const getWith = (...fields: H2Field[]): string => request([...GET, ...fields]);
const HIDDEN = 'GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n';

function row(kind: string, name: string, frames: string, outcome: string, ...forwards: string[]): H2Row {
  return { kind, name, frames, outcome, forwards };
}

const FIELDS: readonly H2Row[] = [
  row('plain', 'GET', getWith(), '200', 'GET /a'),
  row('plain', 'POST', request(POST, ['hel', 'lo']), '200', 'POST /p hello'),
  row('plain', 'POST with a length', request([...POST, ['content-length', '5']], ['hello']), '200', 'POST /p hello'),

  ...['\r\n', '\n', '\r', '\0'].flatMap((bad) => [
    row('CRLF in values', `${JSON.stringify(bad)} in a value`, getWith(['x', `y${bad}content-length: 5`]), 'reset'),
    row('CRLF in values', `${JSON.stringify(bad)} in a name`, getWith([`x${bad}y`, 'z']), 'reset'),
    row(
      'CRLF in values',
      `${JSON.stringify(bad)} in :path`,
      request([METHOD, SCHEME, [':path', `/a HTTP/1.1${bad}${HIDDEN}`], AUTHORITY]),
      'reset',
    ),
    row(
      'CRLF in values',
      `${JSON.stringify(bad)} in :method`,
      request([[':method', `GET /hidden HTTP/1.1${bad}`], SCHEME, PATH, AUTHORITY]),
      'reset',
    ),
    row(
      'CRLF in values',
      `${JSON.stringify(bad)} in :authority`,
      request([METHOD, SCHEME, PATH, [':authority', `a${bad}X: y`]]),
      'reset',
    ),
    row(
      'CRLF in values',
      `${JSON.stringify(bad)} in :scheme`,
      request([METHOD, [':scheme', `http${bad}`], PATH, AUTHORITY]),
      'reset',
    ),
    row('CRLF in values', `${JSON.stringify(bad)} in a cookie`, getWith(['cookie', `a=b${bad}`]), 'reset'),
  ]),

  row('pseudo-header', 'no :method', request([SCHEME, PATH, AUTHORITY]), '400'),
  row('pseudo-header', 'no :scheme', request([METHOD, PATH, AUTHORITY]), '400'),
  row('pseudo-header', 'no :path', request([METHOD, SCHEME, AUTHORITY]), '400'),
  row('pseudo-header', 'no :authority and no host', request([METHOD, SCHEME, PATH]), '400'),
  row('pseudo-header', 'host instead of :authority', request([METHOD, SCHEME, PATH, ['host', 'a']]), '200', 'GET /a'),
  row('pseudo-header', 'host beside :authority', getWith(['host', 'b']), '400'),
  row('pseudo-header', ':method twice', getWith([':method', 'GET']), '400'),
  row('pseudo-header', ':path twice', getWith([':path', '/b']), '400'),
  row('pseudo-header', ':scheme twice', getWith([':scheme', 'https']), '400'),
  row('pseudo-header', ':authority twice', getWith([':authority', 'b']), '400'),
  row('pseudo-header', 'unknown', getWith([':protocol', 'websocket']), '400'),
  row('pseudo-header', ':status', getWith([':status', '200']), '400'),
  row('pseudo-header', 'empty :method', request([[':method', ''], SCHEME, PATH, AUTHORITY]), '400'),
  row('pseudo-header', 'empty :path', request([METHOD, SCHEME, [':path', ''], AUTHORITY]), '400'),
  row('pseudo-header', 'a space in :method', request([[':method', 'GET /hidden'], SCHEME, PATH, AUTHORITY]), '400'),
  row('pseudo-header', 'lower case :method', request([[':method', 'get'], SCHEME, PATH, AUTHORITY]), '400'),
  row('pseudo-header', 'a space in :path', request([METHOD, SCHEME, [':path', '/a HTTP/1.1'], AUTHORITY]), '400'),
  row('pseudo-header', 'a tab in :path', request([METHOD, SCHEME, [':path', '/a\tb'], AUTHORITY]), '400'),
  row('pseudo-header', ':path without a slash', request([METHOD, SCHEME, [':path', 'a'], AUTHORITY]), '400'),
  row('pseudo-header', 'absolute :path', request([METHOD, SCHEME, [':path', 'http://b/a'], AUTHORITY]), '400'),
  row('pseudo-header', 'a space in :authority', request([METHOD, SCHEME, PATH, [':authority', 'a b']]), '400'),
  row('pseudo-header', 'a slash in :authority', request([METHOD, SCHEME, PATH, [':authority', 'a/b']]), '400'),
  row('pseudo-header', 'behind a field', request([METHOD, SCHEME, ['x', 'y'], PATH, AUTHORITY]), '200', 'GET /a'),
  row('pseudo-header', 'CONNECT', request([[':method', 'CONNECT'], SCHEME, PATH, AUTHORITY]), '405'),
  row('pseudo-header', 'odd :scheme', request([METHOD, [':scheme', 'ht tp'], PATH, AUTHORITY]), '400'),

  row('odd name', 'upper case', getWith(['X', 'y']), 'reset'),
  row('odd name', 'a space', getWith(['x y', 'z']), 'reset'),
  row('odd name', 'a colon', getWith(['x:y', 'z']), 'reset'),
  row('odd name', 'NUL', getWith(['\0', 'z']), 'reset'),
  row('odd name', 'DEL', getWith(['x\x7f', 'z']), 'reset'),
  row('odd name', 'an underscore is skipped', getWith(['content_length', '5']), '200', 'GET /a'),
  row('odd name', 'a high byte is skipped', getWith(['transfer-encoding\x80', 'chunked']), '200', 'GET /a'),

  row(
    'forbidden field',
    'transfer-encoding: chunked',
    request([...POST, ['transfer-encoding', 'chunked']], [`0\r\n\r\n${HIDDEN}`]),
    '200',
    `POST /p 0\r\n\r\n${HIDDEN}`,
  ),
  row('forbidden field', 'transfer-encoding of a GET', getWith(['transfer-encoding', 'chunked']), '200', 'GET /a'),
  row(
    'forbidden field',
    'transfer-encoding and a length',
    request([...POST, ['transfer-encoding', 'chunked'], ['content-length', '5']], ['hello']),
    '400',
  ),
  row(
    'forbidden field',
    'transfer-encoding: identity',
    request([...POST, ['transfer-encoding', 'identity']], ['hello']),
    '501',
  ),
  row('forbidden field', 'connection', getWith(['connection', 'x-client']), '200', 'GET /a'),
  row('forbidden field', 'connection: close', getWith(['connection', 'close']), '200', 'GET /a'),
  row('forbidden field', 'upgrade', getWith(['upgrade', 'h2c'], ['connection', 'upgrade']), '200', 'GET /a'),
  row(
    'forbidden field',
    'keep-alive and proxy-connection',
    getWith(['keep-alive', '1'], ['proxy-connection', 'x']),
    '200',
    'GET /a',
  ),
  row('forbidden field', 'te', getWith(['te', 'gzip']), '200', 'GET /a'),
];

const FRAMES: readonly H2Row[] = [
  row('slow', 'a header block that never is whole', rawFrame(TYPE.headers, 5, 1, block(GET)).slice(0, -1), 'reset'),
  row('slow', 'of another stream', rawFrame(TYPE.headers, 5, 3, block(GET)).slice(0, -1), 'goaway'),
  row('length', 'longer than the data', request([...POST, ['content-length', '6']], ['hello']), '400'),
  row('length', 'shorter than the data', request([...POST, ['content-length', '4']], ['hello']), '400'),
  row('length', '0 and data', request([...POST, ['content-length', '0']], [HIDDEN]), '400'),
  row('length', 'and no data', request([...POST, ['content-length', '5']]), '400'),
  row('length', 'twice', request([...POST, ['content-length', '5'], ['content-length', '5']], ['hello']), '400'),
  row('length', 'malformed', request([...POST, ['content-length', '+5']], ['hello']), '400'),
  row('length', 'malformed, a list', request([...POST, ['content-length', '5, 5']], ['hello']), '400'),
  {
    ...row('frame', 'DATA of a stream that is not open', rawFrame(TYPE.data, 1, 1, 'x'), 'goaway'),
    unlike: 'an error of the connection (RFC 9113, section 5.1); nginx skips the frame',
  },
  row('frame', 'DATA of stream 0', rawFrame(TYPE.data, 1, 0, 'x'), 'goaway'),
  row('frame', 'HEADERS of an even stream', rawFrame(TYPE.headers, 5, 2, block(GET)), 'goaway'),
  row('frame', 'a bare CONTINUATION', rawFrame(TYPE.continuation, 4, 1, block(GET)), 'goaway'),
  row(
    'frame',
    'DATA within a header block',
    rawFrame(TYPE.headers, 1, 1, block(GET)) + rawFrame(TYPE.data, 1, 1, 'x'),
    'goaway',
  ),
  row(
    'frame',
    'a header block in two frames',
    rawFrame(TYPE.headers, 1, 1, block(GET).slice(0, 9)) + rawFrame(TYPE.continuation, 4, 1, block(GET).slice(9)),
    '200',
    'GET /a',
  ),
  row('frame', 'a cut header block', rawFrame(TYPE.headers, 5, 1, block(GET).slice(0, -1)), 'goaway'),
  row('frame', 'an index that is not there', rawFrame(TYPE.headers, 5, 1, '\xff\x7f'), 'goaway'),
  row('frame', 'an endless integer', rawFrame(TYPE.headers, 5, 1, '\xff\xff\xff\xff\xff\xff\xff\xff'), 'goaway'),
  row('frame', 'bad Huffman', rawFrame(TYPE.headers, 5, 1, `${block(GET)}\0\x81\xff\x01y`), 'goaway'),
  row('frame', 'a table larger than agreed', rawFrame(TYPE.headers, 5, 1, `\x3f\xe2\x7f${block(GET)}`), 'goaway'),
  row('frame', 'padding longer than the frame', rawFrame(TYPE.headers, 13, 1, `\xff${block(GET)}`), 'goaway'),
  row(
    'frame',
    'a stream that depends on itself',
    rawFrame(TYPE.headers, 37, 1, `\0\0\0\x01\x10${block(GET)}`),
    'goaway',
  ),
  row('frame', 'PUSH_PROMISE', rawFrame(5, 4, 1, `\0\0\0\x02${block(GET)}`), 'goaway'),
  row('frame', 'SETTINGS of 5 bytes', rawFrame(TYPE.settings, 0, 0, '12345'), 'goaway'),
  row('frame', 'WINDOW_UPDATE by 0', rawFrame(8, 0, 0, '\0\0\0\0'), 'goaway'),
];

export const H2_ROWS: readonly H2Row[] = [...FIELDS, ...FRAMES];
