// Makes new inputs of old ones: bytes changed, taken out, doubled, replaced by those that parsers trip over, and pieces of
// two inputs put together.
import type { Random } from './random.ts';

const TROUBLE: readonly string[] = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  '\t',
  '\x0b',
  '\x7f',
  '\x80',
  '\xff',
  ':',
  ';',
  ',',
  '/',
  '..',
  '%',
  '%2e',
  '%2f',
  '%0d%0a',
  '#',
  '?',
  '"',
  '0',
  '1',
  'f',
  '-',
  '+',
  '_',
  '0x',
  '9223372036854775807',
  '18446744073709551616',
  'ffffffffffffffff',
  'HTTP/1.1',
  'HTTP/1.0',
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding',
  'Connection: close\r\n',
  'Host: b\r\n',
  'chunked',
  'GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n',
  '0\r\n\r\n',
];

/** An input made of `seeds`, changed in one to four places. */
export function mutate(random: Random, seeds: readonly string[], trouble: readonly string[] = TROUBLE): string {
  let text = random.pick(seeds);
  for (let left = 1 + random.int(4); left > 0; left--) {
    const at = random.int(text.length + 1);
    const to = Math.min(text.length, at + 1 + random.int(random.once(4) ? 20 : 2));
    switch (random.int(7)) {
      case 0:
        text = text.slice(0, at) + text.slice(to);
        break;
      case 1:
        text = text.slice(0, at) + text.slice(at, to) + text.slice(at);
        break;
      case 2:
        text = text.slice(0, at) + random.bytes(1) + text.slice(at + 1);
        break;
      case 3:
      case 4:
        text = text.slice(0, at) + random.pick(trouble) + text.slice(at);
        break;
      case 5:
        text = text.slice(0, at) + random.pick(trouble) + text.slice(to);
        break;
      default: {
        const other = random.pick(seeds);
        text = text.slice(0, at) + other.slice(random.int(other.length + 1));
      }
    }
  }
  return text;
}
