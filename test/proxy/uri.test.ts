import { describe, expect, test } from 'vitest';
import { escapeArgs, escapeUri, extensionOf, parseUri, unescapeRedirect, unescapeUri } from '../../proxy/http/uri.ts';

describe('normalization', () => {
  test.each([
    ['/', '/', ''],
    ['/a?b=%20', '/a', 'b=%20'],
    ['/a%20b', '/a b', ''],
    ['/a//b', '/a/b', ''],
    ['/a/./b/../c', '/a/c', ''],
    ['/a/..', '/', ''],
    ['/a/.', '/a/', ''],
    ['/a/b/..', '/a/', ''],
    ['/%2e%2e/a', undefined, ''],
    ['/a/%2e%2e/b', '/b', ''],
    ['/a%2Fb', '/a/b', ''],
    ['/a%3Fb?c', '/a?b', 'c'],
    ['/a#frag', '/a', ''],
    ['/a?b#frag', '/a', 'b'],
    ['/..', undefined, ''],
    ['/a/../../b', undefined, ''],
    ['/%00', undefined, ''],
    ['/%zz', undefined, ''],
    ['/%2', undefined, ''],
    ['/...', '/...', ''],
    ['/.a', '/.a', ''],
  ])('%s', (raw, uri, args) => {
    const got = parseUri(raw, true);
    expect(got?.uri).toBe(uri);
    if (got) expect(got.args).toBe(args);
  });

  test('merge_slashes off keeps empty segments', () => {
    expect(parseUri('/a//b', false)?.uri).toBe('/a//b');
    expect(parseUri('//', false)?.uri).toBe('//');
    expect(parseUri('/a//../b', false)?.uri).toBe('/a/b');
  });

  test('says whether the path must be escaped again', () => {
    expect(parseUri('/a?x', true)?.isChanged).toBe(false);
    expect(parseUri('/a%20', true)?.isChanged).toBe(true);
  });
});

test('escaping', () => {
  expect(escapeUri('/a b?c%d#é"')).toBe('/a%20b%3Fc%25d%23%E9%22');
  expect(escapeArgs('a&b+c;d')).toBe('a%26b%2Bc%3Bd');
  expect(unescapeUri('%41%zz%')).toBe('Azz');
  expect(unescapeUri('%%41%4xy%3f?%2')).toBe('%41y??');
  expect(unescapeRedirect('%%41%4xy%20%41')).toBe('%41y%20A');
  expect(unescapeRedirect('%?%41%3f%41')).toBe('?A?%41');
  expect(unescapeRedirect('a?%41')).toBe('a?%41');
});

test('extension', () => {
  expect(extensionOf('/a/b.tar.gz')).toBe('gz');
  expect(extensionOf('/a.b/c')).toBe('');
  expect(extensionOf('/a.')).toBe('');
});
