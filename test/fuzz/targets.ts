// What is fuzzed within one process: the parsers of the proxy, each with the errors that it may throw and the invariants
// that its results must keep. A target takes random choices, makes an input of them and throws when a promise is broken.
import { ConfigError } from '../../proxy/config/error.ts';
import { loadConfig } from '../../proxy/config/load.ts';
import { ChunkedDecoder } from '../../proxy/http/chunked.ts';
import { H2Error } from '../../proxy/http/h2-frames.ts';
import { encodeField, HpackDecoder } from '../../proxy/http/h2-hpack.ts';
import { decodeHuffman, encodeHuffman } from '../../proxy/http/h2-huffman.ts';
import { BadHead, Fields, findHeadEnd, parseFields, parseRequestLine } from '../../proxy/http/head.ts';
import { validHost } from '../../proxy/http/request-checks.ts';
import { examineRequestLine } from '../../proxy/http/request-line-fault.ts';
import { escapeUri, parseUri, unescapeRedirect } from '../../proxy/http/uri.ts';
import { parseUpstreamHead } from '../../proxy/upstream/response-head.ts';
import { InvalidRequest, type RequestHead, RequestParser } from '../../services/event-loop/request-parser.ts';
import { CONFIG_SEEDS, CONFIG_TROUBLE } from './config-seeds.ts';
import { mutate } from './mutate.ts';
import type { Random } from './random.ts';

export interface Target {
  readonly name: string;
  /** Makes an input. */
  make(random: Random): string;
  /** Throws when a promise is broken. */
  check(input: string, random: Random): void | Promise<void>;
}

function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(`broken promise: ${what}`);
}

/** The result of `act`; undefined when it threw what it may throw. */
function attempt<T>(allowed: new (...args: never[]) => Error, act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (error instanceof allowed) return undefined;
    throw error;
  }
}

/** Cuts `text` into random pieces. */
function* pieces(random: Random, text: string): Generator<Buffer> {
  for (let at = 0; at < text.length; ) {
    const length = 1 + random.int(random.once(3) ? 40 : 4);
    yield Buffer.from(text.slice(at, at + length), 'latin1');
    at += length;
  }
}

const LINES = [
  'GET /a?b HTTP/1.1',
  'GET http://a.b:80/c HTTP/1.0',
  'POST /%41/../b HTTP/1.1',
  'GET /',
  'M-SEARCH * HTTP/1.1',
];
const HEADS = [
  'Host: a\r\nContent-Length: 5\r\n\r\n',
  'Host: a\nX:  y \nTransfer-Encoding: chunked\n\n',
  'A_b: c\r\nD.e: f\r\nCookie: a=b; c=d\r\n\r\n',
];
const BODIES = ['5\r\nhello\r\n0\r\n\r\n', 'a;x="y"\r\n0123456789\r\n00\r\nT: u\r\n\r\n', '1\nx\n1\ny\n0\n\n'];
const URIS = ['/a/b/../c?d=e#f', '/a//b/./c/', '/%2e%2e/%2F%41%00', '/a%20b/../../c', '/..', '/.', '/a/...'];
const HOSTS = ['example.com:8080', '[::1]:80', 'a..b', 'A.B.', 'a_b', '1.2.3.4'];
const RESPONSES = [
  'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.0 404\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK\r\nServer: x\r\n\r\n',
  'HTTP/1.1 301 Moved\nLocation: http://a/\nSet-Cookie: a=b\n\n',
];
const BLOCKS = [
  '\x82\x86\x84\x41\x0fwww.example.com',
  '\x40\x0acustom-key\x0dcustom-header\xbe',
  '\x3f\xe1\x1f\x82\x10\x01a\x01b',
  '\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff',
];
const REQUESTS = LINES.slice(0, 3).flatMap((line) => HEADS.map((head) => `${line}\r\n${head}hello${BODIES[0]}`));
const RULES = { hasUnderscores: false, ignoresInvalid: true };

export const TARGETS: readonly Target[] = [
  {
    name: 'request line',
    make: (random) => mutate(random, LINES),
    check(text) {
      const line = attempt(BadHead, () => parseRequestLine(text, 0, text.length));
      const { fault } = examineRequestLine(text, true);
      must((line === undefined) === (fault !== undefined), 'both examinations agree');
      if (!line) return;
      must(/^[/?]/.test(line.path), 'the path begins with a slash');
      must(!/[\x00-\x20\x7f]/.test(line.target + line.method), 'no control byte or space gets through');
      must(examineRequestLine(text.slice(0, -1), false).fault === undefined, 'the start of a good line is no fault');
    },
  },
  {
    name: 'header fields',
    make: (random) => mutate(random, HEADS),
    check(text) {
      if (findHeadEnd(`\n${text}`, 0) < 0) return;
      const fields = new Fields();
      const end = attempt(BadHead, () => parseFields(text, 0, RULES, fields));
      if (end === undefined) return;
      must(end <= text.length, 'the end lies within');
      must(!fields.values.some((value) => /[\0\r\n]/.test(value)), 'no value holds a line end or NUL');
      must(!fields.names.some((name) => !/^[A-Za-z0-9-]+$/.test(name)), 'no odd name gets through');
      // Written down again, it reads the same.
      const again = new Fields();
      const text2 = `${fields.names.map((name, i) => `${name}: ${fields.values[i]}\r\n`).join('')}\r\n`;
      parseFields(text2, 0, RULES, again);
      must(JSON.stringify(again) === JSON.stringify(fields), 'what is forwarded reads the same');
    },
  },
  {
    name: 'chunked body',
    make: (random) => mutate(random, BODIES),
    check(text, random) {
      const decode = (parts: Iterable<Buffer>): string => {
        const decoder = new ChunkedDecoder();
        let body = '';
        for (const part of parts) {
          const end = decoder.feed(part, 0, (slice) => {
            body += slice.toString('latin1');
          });
          if (end < 0) return 'refused';
          must(end <= part.length, 'the end lies within');
          if (decoder.isDone) return `done ${body}`;
          must(end === part.length, 'all is taken until the end');
        }
        return `more ${body}`;
      };
      const whole = decode([Buffer.from(text, 'latin1')]);
      must(whole === decode(pieces(random, text)), 'it reads the same in pieces');
    },
  },
  {
    name: 'URI',
    make: (random) => mutate(random, URIS).replace(/^[^/]*/, '/'),
    check(text, random) {
      const merges = !random.once(4);
      const parsed = parseUri(text, merges);
      unescapeRedirect(text);
      if (!parsed) return;
      const { uri } = parsed;
      must(uri.startsWith('/'), 'the path begins with a slash');
      must(!uri.split('/').some((part) => part === '..' || part === '.'), 'no dot segment is left');
      must(!uri.includes('\0'), 'no NUL gets through');
      must(!merges || !uri.includes('//'), 'slashes are merged');
      const again = parseUri(escapeUri(uri), merges);
      must(again?.uri === uri, 'what is escaped reads the same');
    },
  },
  {
    name: 'Host',
    make: (random) => mutate(random, HOSTS),
    check(text) {
      const host = validHost(text);
      if (host === undefined) return;
      must(host !== '' && !/[\x00-\x20\x7f/]|\.\./.test(host), 'nothing odd gets through');
      must(host === host.toLowerCase(), 'it is in lower case');
    },
  },
  {
    name: "upstream's head",
    make: (random) => mutate(random, RESPONSES),
    check(text, random) {
      const head = parseUpstreamHead(text);
      const early = parseUpstreamHead(text.slice(0, random.int(text.length + 1)));
      must(!early || JSON.stringify(early) === JSON.stringify(head), 'what is decided early stays');
      if (!head || 'invalid' in head) return;
      must(head.bytes <= text.length, 'the end lies within');
      must(Number.isInteger(head.contentLength) && head.contentLength >= -1, 'a length is a number');
      must(!head.fields.values.some((value) => /[\0\r\n]/.test(value)), 'no value holds a line end or NUL');
      must(!/[\r\n]/.test(head.statusText), 'nor does the status line');
    },
  },
  {
    name: 'HPACK',
    make: (random) => mutate(random, BLOCKS, ['\x82', '\xff', '\x3f', '\x40', '\0', '\x7f', '\x8f', '\xbe', '\x80']),
    check(text) {
      const decoder = new HpackDecoder();
      const limits = { fieldBytes: 4096, totalBytes: 16_384 };
      let total = 0;
      for (let round = 0; round < 3; round++) {
        attempt(H2Error, () =>
          decoder.decode(Buffer.from(text, 'latin1'), limits, (name, value) => {
            total += name.length + value.length;
          }),
        );
      }
      must(total <= 3 * limits.totalBytes, 'no more comes out than is allowed');
    },
  },
  {
    name: 'Huffman and field coding',
    make: (random) => random.bytes(random.int(60)),
    check(text) {
      decodeHuffman(Buffer.from(text, 'latin1'));
      const short = encodeHuffman(text);
      must(short === undefined || decodeHuffman(Buffer.from(short, 'latin1')) === text, 'Huffman goes both ways');
      if (text === '') return;
      const limits = { fieldBytes: 4096, totalBytes: 16_384 };
      new HpackDecoder().decode(Buffer.from(encodeField('x', text), 'latin1'), limits, (_, value) =>
        must(value === text, 'a field goes both ways'),
      );
    },
  },
  {
    name: "Uvicorn's requests",
    make: (random) => mutate(random, REQUESTS),
    check(text, random) {
      const read = (parts: Iterable<Buffer>): string => {
        const seen: string[] = [];
        const parser = new RequestParser({
          onHead: (head: RequestHead) => {
            must(!head.headers.some(([, value]) => /[\0\r\n]/.test(value)), 'no value holds a line end or NUL');
            seen.push(`${head.method} ${head.target} ${head.version} ${JSON.stringify(head.headers)}\n`);
            return false;
          },
          onBody: (bytes) => {
            seen.push(bytes.toString('latin1'));
          },
          onTrailers: (fields) => void seen.push(JSON.stringify(fields)),
          onComplete: () => void seen.push('.\n'),
        });
        const isGood = attempt(InvalidRequest, () => {
          for (const part of parts) parser.feed(part);
          return true;
        });
        return `${seen.join('')}${isGood ? '' : 'refused'}`;
      };
      const whole = read([Buffer.from(text, 'latin1')]);
      must(whole === read(pieces(random, text)), 'it reads the same in pieces');
    },
  },
  {
    name: 'configuration',
    make: (random) => mutate(random, CONFIG_SEEDS, CONFIG_TROUBLE),
    async check(text) {
      const confFile = '/nowhere/nginx.conf';
      try {
        await loadConfig({
          prefix: '/nowhere/',
          confFile,
          warn: () => undefined,
          files: new Map([[confFile, text]]),
          surroundings: {
            adapt: (directives: unknown) => directives,
            lookup: () => [],
          } as never,
        });
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
      }
    },
  },
];
