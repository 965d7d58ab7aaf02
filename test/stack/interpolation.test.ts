// Variables in compose files and .env files, against what docker compose makes of the same text.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readDotenv } from '../../stack/compose/dotenv.ts';
import { interpolate } from '../../stack/compose/interpolation.ts';

const VALUES: Record<string, string> = { A: 'a', EMPTY: '', PORT: '8080' };

function replace(text: string): { text: string; unset: string[] } {
  const unset: string[] = [];
  return { text: interpolate(text, { get: (name) => VALUES[name], onUnset: (name) => unset.push(name) }), unset };
}

test.each([
  ['plain', 'plain'],
  ['$A-${A}', 'a-a'],
  ['$$A $${A}', '$A ${A}'],
  ['${EMPTY:-d}|${EMPTY-d}|${NO:-d}|${NO-d}', 'd||d|d'],
  ['${A:+r}|${EMPTY:+r}|${EMPTY+r}|${NO+r}', 'r||r|'],
  ['${NO:-${ALSO_NO:-x$A}}', 'xa'],
  ['${NO:-a:b}', 'a:b'],
  ['127.0.0.1:${PORT:-1}:80', '127.0.0.1:8080:80'],
  ['${A:?must}', 'a'],
])('%s gives %s', (text, result) => {
  expect(replace(text)).toEqual({ text: result, unset: [] });
});

test('a variable that is not set is empty, and reported', () => {
  expect(replace('<$NO>')).toEqual({ text: '<>', unset: ['NO'] });
});

test.each([
  ['${NO:?say why}', 'required variable NO is missing a value: say why'],
  ['${EMPTY:?}', 'required variable EMPTY is missing a value'],
  ['${A', 'a "{" is not closed'],
  ['${1}', 'invalid interpolation format "${1}"'],
  ['${A!b}', 'invalid interpolation format "${A!b}"'],
  ['100$', 'write $$ for a dollar sign'],
])('%s is refused', (text, message) => {
  expect(() => replace(text)).toThrow(message);
});

test('a .env file: quotes, comments, export, references, several lines', () => {
  const directory = mkdtempSync(join(tmpdir(), 'portico-env-'));
  try {
    const file = join(directory, '.env');
    writeFileSync(
      file,
      `# comment
PLAIN=one two # not this
export QUOTED="a\\n\${PLAIN} \\$5"
LITERAL='$PLAIN # this too'
EMPTY=
FROM_OUTSIDE
SPREAD="first
second"
LAST=\${NO:-\${OUT}}`,
    );
    const outside: Record<string, string> = { FROM_OUTSIDE: 'given', OUT: 'out' };
    expect(Object.fromEntries(readDotenv(file, (name) => outside[name]))).toEqual({
      PLAIN: 'one two',
      QUOTED: 'a\none two $5',
      LITERAL: '$PLAIN # this too',
      EMPTY: '',
      FROM_OUTSIDE: 'given',
      SPREAD: 'first\nsecond',
      LAST: 'out',
    });
    writeFileSync(file, 'GOOD=1\n\nnot an assignment\n');
    expect(() => readDotenv(file, () => undefined)).toThrow(`${file}:3: "not an assignment" is not NAME=value`);
    writeFileSync(file, 'OPEN="never closed\n');
    expect(() => readDotenv(file, () => undefined)).toThrow(`${file}:1: a " is not closed`);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
