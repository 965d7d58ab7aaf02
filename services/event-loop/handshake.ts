/**
 * The opening handshake of a WebSocket as the `websockets` library under Uvicorn checks it, before the application hears of the
 * connection: which request it takes, in what words it refuses the others, and which compression it agrees to. Mirrors websockets/server.py
 * and headers.py. Where that library falls silent for ever (a body, lines and fields over its limits) the answer is the one that it prepares
 * and Uvicorn never sends.
 */
import { httpDate } from '../http/http-date.ts';
import type { RequestHead } from './request-parser.ts';

/** A request that is no good handshake, as the response to it. */
export interface Refusal {
  readonly status: number;
  readonly text: string;
  readonly headers: readonly (readonly [string, string])[];
}

/** A good one: the key, and the permessage-deflate to answer with, if the client offers one that can be had. */
export interface Handshake {
  readonly key: string;
  readonly deflate: string | null;
}

const MAX_LINE_BYTES = 8192;
const MAX_FIELDS = 128;
// Uvicorn's, for both directions.
const WINDOW_BITS = 12;
const FAILED = 'Failed to open a WebSocket connection';
const NO_BROWSER = 'You cannot access a WebSocket server directly with a browser. You need a WebSocket client.\n';
const PHRASES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  414: 'Request-URI Too Long',
  426: 'Upgrade Required',
  431: 'Request Header Fields Too Large',
};

const TOKEN = /[-!#$%&'*+.^_`|~0-9a-zA-Z]+/y;
const PROTOCOL = /[-!#$%&'*+.^_`|~0-9a-zA-Z]+(?:\/[-!#$%&'*+.^_`|~0-9a-zA-Z]+)?/y;
const QUOTED = /"((?:[\x09\x20-\x21\x23-\x5b\x5d-\x7e]|\\[\x09\x20-\x7e\x80-\xff])*)"/y;
const SPACE = /[\t ]*/y;

class BadHeader extends Error {
  constructor(name: string, value: string | null) {
    super(
      value === null
        ? `missing ${name} header`
        : value === ''
          ? `empty ${name} header`
          : `invalid ${name} header: ${value}`,
    );
  }
}

/** A header value that is read from left to right. */
class Reader {
  at = 0;
  readonly #name: string;
  readonly #text: string;

  constructor(name: string, text: string) {
    this.#name = name;
    this.#text = text;
  }

  get isAtEnd(): boolean {
    return this.at === this.#text.length;
  }

  take(pattern: RegExp, what: string): string {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.#text);
    if (!match) throw this.error(what);
    this.at += match[0].length;
    return match[1] ?? match[0];
  }

  skip(character: string): boolean {
    if (this.#text[this.at] !== character) return false;
    this.at++;
    this.take(SPACE, '');
    return true;
  }

  peek(character: string): boolean {
    return this.#text[this.at] === character;
  }

  error(what: string, at = this.at): BadHeader {
    return new BadHeader(this.#name, `${what} at ${at} in ${this.#text}`);
  }
}

function list<Item>(name: string, text: string, item: (reader: Reader) => Item): Item[] {
  const reader = new Reader(name, text);
  const items: Item[] = [];
  while (reader.skip(','));
  do {
    items.push(item(reader));
    reader.take(SPACE, '');
    if (reader.isAtEnd) break;
    if (!reader.skip(',')) throw reader.error('expected comma');
    while (reader.skip(','));
  } while (!reader.isAtEnd);
  return items;
}

type Parameter = readonly [name: string, value: string | null];

function extension(reader: Reader): { readonly name: string; readonly parameters: readonly Parameter[] } {
  const name = reader.take(TOKEN, 'expected token');
  reader.take(SPACE, '');
  const parameters: Parameter[] = [];
  while (reader.skip(';')) {
    const parameter = reader.take(TOKEN, 'expected token');
    reader.take(SPACE, '');
    let value: string | null = null;
    if (reader.skip('=')) {
      value = extensionValue(reader);
      reader.take(SPACE, '');
    }
    parameters.push([parameter, value]);
  }
  return { name, parameters };
}

function extensionValue(reader: Reader): string {
  if (!reader.peek('"')) return reader.take(TOKEN, 'expected token');
  const start = reader.at;
  const value = reader.take(QUOTED, 'expected quoted string').replace(/\\(.)/g, '$1');
  TOKEN.lastIndex = 0;
  if (TOKEN.exec(value)?.[0] !== value) throw reader.error('invalid quoted header content', start);
  return value;
}

/** The answer to an offer of permessage-deflate; null when it cannot be had. */
function agree(parameters: readonly Parameter[]): string | null {
  const asked = new Map<string, string | null>();
  for (const [name, value] of parameters) {
    if (asked.has(name)) return null;
    asked.set(name, value);
    if (/^(?:server|client)_no_context_takeover$/.test(name)) {
      if (value !== null) return null;
    } else if (/^(?:server|client)_max_window_bits$/.test(name)) {
      if (value === null ? name.startsWith('server') : !/^(?:[89]|1[0-5])$/.test(value)) return null;
    } else return null;
  }
  const bits = (name: string): number => Math.min(WINDOW_BITS, Number(asked.get(name) ?? WINDOW_BITS));
  if (bits('server_max_window_bits') === 8) return null;
  const answer = ['permessage-deflate'];
  for (const name of ['server_no_context_takeover', 'client_no_context_takeover'])
    if (asked.has(name)) answer.push(name);
  answer.push(`server_max_window_bits=${bits('server_max_window_bits')}`);
  if (asked.has('client_max_window_bits')) answer.push(`client_max_window_bits=${bits('client_max_window_bits')}`);
  return answer.join('; ');
}

const refuse = (status: number, why: string, headers: Refusal['headers'] = [], more = ''): Refusal => ({
  status,
  text: `${FAILED}: ${why}.\n${more}`,
  headers,
});

function overLimits(head: RequestHead): Refusal | null {
  const tooLong = (bytes: number): string => `read ${bytes} bytes, expected no more than ${MAX_LINE_BYTES} bytes`;
  const line = head.method.length + head.target.length + ' HTTP/1.1\r\n'.length + 1;
  if (line > MAX_LINE_BYTES) return refuse(414, tooLong(line));
  for (const [name, value] of head.headers) {
    const bytes = name.length + value.length + 4;
    if (bytes > MAX_LINE_BYTES) return refuse(431, tooLong(bytes));
  }
  if (head.headers.length > MAX_FIELDS) return refuse(431, `expected no more than ${MAX_FIELDS} headers`);
  const hasBody = head.headers.some(
    ([name, value]) => name === 'transfer-encoding' || (name === 'content-length' && value.trim() !== '0'),
  );
  return hasBody ? refuse(400, 'did not receive a valid HTTP request') : null;
}

function only(name: string, values: readonly string[]): string | null {
  if (values.length > 1) throw new BadHeader(name, 'multiple values');
  return values[0] ?? null;
}

function checkKey(key: string): void {
  if (/^[A-Za-z0-9+/]{22}==$/.test(key)) return;
  const why = base64Error(key);
  throw new BadHeader('Sec-WebSocket-Key', why === null ? key : `${key}; ${why}`);
}

// The words of Python's binascii, which the library hands on; null for good base64 of another length.
function base64Error(text: string): string | null {
  if (/[^A-Za-z0-9+/=]/.test(text)) return 'Only base64 data is allowed';
  if (text.startsWith('=')) return 'Leading padding not allowed';
  const [, data = '', padding = '', rest = ''] = /^([^=]*)(=*)(.*)$/.exec(text) ?? [];
  const needed = (4 - (data.length % 4)) % 4;
  if (needed === 0 && rest === '') return null;
  if (needed === 3) {
    const count = data.length;
    return `Invalid base64-encoded string: number of data characters (${count}) cannot be 1 more than a multiple of 4`;
  }
  if (padding.length > needed || (padding.length === needed && rest !== '')) return 'Excess data after padding';
  if (rest !== '') return 'Discontinuous padding not allowed';
  return padding.length === needed ? null : 'Incorrect padding';
}

/** Checks a request whose Upgrade is `websocket`. */
export function checkHandshake(head: RequestHead, hasDeflate: boolean): Handshake | Refusal {
  const all = (name: string): string[] =>
    head.headers.filter(([each]) => each === name).map(([, value]) => value.replace(/^[ \t]+|[ \t]+$/g, ''));
  const limit = overLimits(head);
  if (limit) return limit;
  if (head.method !== 'GET') return refuse(405, `unsupported HTTP method: ${head.method}`, [['Allow', 'GET']]);
  try {
    for (const value of all('connection')) list('Connection', value, (reader) => reader.take(TOKEN, 'expected token'));
    const upgrades = all('upgrade').flatMap((value) =>
      list('Upgrade', value, (reader) => reader.take(PROTOCOL, 'expected protocol')),
    );
    if (upgrades.length !== 1) {
      const why = `invalid Upgrade header: ${upgrades.join(', ')}`;
      return refuse(426, why, [['Upgrade', 'websocket']], `\n${NO_BROWSER}`);
    }
    const key = only('Sec-WebSocket-Key', all('sec-websocket-key'));
    if (!key) throw new BadHeader('Sec-WebSocket-Key', key);
    checkKey(key);
    const version = only('Sec-WebSocket-Version', all('sec-websocket-version'));
    if (version !== '13') throw new BadHeader('Sec-WebSocket-Version', version);
    only('Origin', all('origin'));
    const offers = hasDeflate
      ? all('sec-websocket-extensions').flatMap((value) => list('Sec-WebSocket-Extensions', value, extension))
      : [];
    for (const value of all('sec-websocket-protocol')) {
      list('Sec-WebSocket-Protocol', value, (reader) => reader.take(TOKEN, 'expected token'));
    }
    const answers = offers.map(({ name, parameters }) => (name === 'permessage-deflate' ? agree(parameters) : null));
    return { key, deflate: answers.find((answer) => answer !== null) ?? null };
  } catch (error) {
    if (!(error instanceof BadHeader)) throw error;
    return refuse(400, error.message);
  }
}

/** Whether the handshake was refused. */
export const isRefusal = (result: Handshake | Refusal): result is Refusal => 'status' in result;

/** Status and reason in the library's words, which are Python's. */
export const phrase = ({ status }: Refusal): string => `${status} ${PHRASES[status]}`;

/** The bytes of a refusal. */
export function refusalBytes(refusal: Refusal): Buffer {
  const fields = refusal.headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const head = `HTTP/1.1 ${phrase(refusal)}\r\nDate: ${httpDate()}\r\nConnection: close\r\n`;
  const length = `Content-Length: ${Buffer.byteLength(refusal.text)}\r\n`;
  return Buffer.from(`${head}${length}Content-Type: text/plain; charset=utf-8\r\n${fields}\r\n${refusal.text}`);
}
