import { describe, expect, test } from 'vitest';
import type { ConfigError } from '../../proxy/config/error.ts';
import { tokenize } from '../../proxy/config/lexer.ts';
import { parseFile, parseGlobals } from '../../proxy/config/parser.ts';
import { compileRegex } from '../../proxy/config/regex.ts';
import { parseFixed, parseSizeBytes, parseTimeMs } from '../../proxy/config/values.ts';

function words(text: string): string[] {
  return [...tokenize(text, 'f')].map((t) => (t.kind === 'word' ? t.text : t.kind));
}

describe('lexer', () => {
  test('quotes, escapes, comments, ${}', () => {
    expect(words('a "b c" \'d"e\'; # x\n{ } ')).toEqual(['a', 'b c', 'd"e', ';', '{', '}', 'end']);
    expect(words('log "a\\"b\\tc\\\\d\\.e";')).toEqual(['log', 'a"b\tc\\d\\.e', ';', 'end']);
    expect(words('set $x ${y}z;')).toEqual(['set', '$x', '${y}z', ';', 'end']);
    expect(words('a\\;b;')).toEqual(['a\\;b', ';', 'end']);
    expect(words('if ($a = "b") {')).toEqual(['if', '($a', '=', 'b', ')', '{', 'end']);
    expect(words('a#b;')).toEqual(['a#b', ';', 'end']);
  });

  test('counts lines', () => {
    const lines = [...tokenize('a\n"b\nc" d\n;', 'f')].map((t) => t.line);
    expect(lines).toEqual([1, 2, 3, 4, 4]);
  });

  test('a character right after a quoted word is an error', () => {
    expect(() => words('a "b"c;')).toThrow('unexpected "c" in f:1');
  });
});

describe('parser faults come last, in nginx words', () => {
  test.each([
    ['a {', 'unexpected end of file, expecting "}" in command line:1'],
    ['a', 'unexpected end of file, expecting ";" or "}" in command line:1'],
    ['}', 'unexpected "}" in command line:1'],
    [';', 'unexpected ";" in command line:1'],
    ['{ }', 'unexpected "{" in command line:1'],
    ['a { b }', 'unexpected "}" in command line:1'],
    ['a;\n"b', 'unexpected end of file, expecting ";" or "}" in command line:2'],
  ])('%j', (text, message) => {
    const find = (list: ReturnType<typeof parseGlobals>): ConfigError | undefined => {
      const last = list.at(-1);
      return last?.fault ?? (last?.block ? find(last.block) : undefined);
    };
    expect(find(parseGlobals(text))?.message).toBe(message);
  });
});

test('circles and towers end in an error, not in the stack', () => {
  const faultOf = (list: ReturnType<typeof parseGlobals>): string | undefined =>
    list.at(-1)?.fault?.message ?? (list.at(-1)?.block ? faultOf(list.at(-1)!.block!) : undefined);
  const circle = parseFile('/x/a.conf', '/x/', new Map([['/x/a.conf', 'a;\nevents { include a.conf; }']]));
  expect(faultOf(circle.directives)).toBe('open() "/x/a.conf" failed (24: Too many open files) in /x/a.conf:2');
  expect(faultOf(parseGlobals('a {'.repeat(100_000)))).toBe('too many nested blocks in command line:1');
  // A tower of which every circle adds a hundred blocks.
  const tower = `${'a { '.repeat(100)} include a.conf; ${'}'.repeat(100)}`;
  expect(faultOf(parseFile('/x/a.conf', '/x/', new Map([['/x/a.conf', tower]])).directives)).toBe(
    'open() "/x/a.conf" failed (24: Too many open files) in /x/a.conf:1',
  );
});

test('a circle of includes in blocks is gone round once, not from every include again', () => {
  // Found by the fuzzer: 2^500 readings, until the heap was full.
  const text = 'http { include a.conf; server { include a.conf; } }';
  let reads = 0;
  const disk = new (class extends Map<string, string> {
    override get(): string {
      return ++reads > 5000 ? '' : text;
    }
  })();
  parseFile('/x/a.conf', '/x/', disk);
  expect(reads).toBe(501);
});

test('values', () => {
  expect(parseTimeMs('1h30m')).toBe(5_400_000);
  expect(parseTimeMs('500ms')).toBe(500);
  expect(parseTimeMs('60')).toBe(60_000);
  expect(parseTimeMs('1d 2h')).toBe(93_600_000);
  for (const bad of ['', '1x', 's', '1m1h']) expect(parseTimeMs(bad)).toBeUndefined();
  expect(parseSizeBytes('8k')).toBe(8192);
  expect(parseSizeBytes('1g', true)).toBe(1024 ** 3);
  for (const bad of ['', '1g', 'k', '-1', '1kb']) expect(parseSizeBytes(bad)).toBeUndefined();
  expect(parseFixed('1.5', 3)).toBe(1500);
});

describe('regular expressions', () => {
  test('PCRE spellings', () => {
    expect(compileRegex('^/(?<a>[[:alpha:]]+)/(?P<b>\\d+)$', false).names).toEqual(['a', 'b']);
    expect(compileRegex('^/(?<a>[[:alpha:]]+)/(?P<b>\\d+)$', false).regex.exec('/x/12')?.groups).toEqual({
      a: 'x',
      b: '12',
    });
    expect(compileRegex('(?i)ABC', false).regex.test('xabcx')).toBe(true);
    expect(compileRegex('\\Qa.b\\E', false).regex.test('axb')).toBe(false);
    expect(compileRegex('[]a]', false).regex.test(']')).toBe(true);
    expect(compileRegex('(a)(b)', false).captureCount).toBe(2);
  });

  test('what JavaScript cannot do is refused', () => {
    expect(() => compileRegex('a(', false)).toThrow();
    expect(() => compileRegex('(?>a)', false)).toThrow('atomic groups');
    expect(() => compileRegex('a++', false)).toThrow('possessive');
  });
});
