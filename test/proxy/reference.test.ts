// docs/nginx.md says what the tables say: the page is what the generator makes, nothing of the tables is missing on it,
// and what it claims to be read is read.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { BUILT_IN_VARIABLES, MODULES, VARIABLE_PREFIXES } from '../../proxy/config/directives.ts';
import type { ModuleRows, Rows } from '../../proxy/config/rows.ts';
import { referencePage } from '../../proxy/reference.ts';
import { ACCEPTED_MODULE, SECTIONS, VARIABLE_GROUPS } from '../../proxy/reference-sections.ts';

const page = readFileSync(new URL('../../docs/nginx.md', import.meta.url), 'utf8');
const rows = MODULES.flatMap((module) =>
  (Object.values(module.rows as ModuleRows) as Rows[]).flatMap((level) => Object.entries(level)),
);

test('the page is the one that the tables make (else: node proxy/reference.ts > docs/nginx.md)', () => {
  expect(page).toBe(referencePage());
});

describe('the page holds', () => {
  test('every module, in one section', () => {
    const listed = [...SECTIONS.flatMap(({ modules }) => modules), ACCEPTED_MODULE].sort();
    expect(listed).toEqual(
      MODULES.map(({ name }) => name)
        .filter((name) => name !== 'variables')
        .sort(),
    );
  });

  test('every directive, with contexts and without a broken table', () => {
    const lines = page.split('\n').filter((line) => line.startsWith('| `'));
    const listed = new Set(lines.map((line) => /^\| `(\w+)` \|/.exec(line)?.[1]));
    expect([...new Set(rows.map(([name]) => name))].filter((name) => !listed.has(name))).toEqual([]);
    for (const line of lines) {
      const cells = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
      expect([line, cells.length, cells[4] !== '']).toEqual([line, 7, true]);
    }
  });

  test('every variable, in one group', () => {
    const listed = VARIABLE_GROUPS.flatMap(([, variables]) => variables.map(([name]) => name)).sort();
    expect(listed).toEqual(BUILT_IN_VARIABLES.map(([name]) => name).sort());
    for (const name of [...listed, ...VARIABLE_PREFIXES.map(([prefix]) => `${prefix}NAME`)]) {
      expect(page).toContain(`\`$${name}\``);
    }
  });
});

test('a directive that is read and not used says so', () => {
  const silent = rows.filter(
    ([, row]) => row.note === undefined && String(row.set).replaceAll(/\s/g, '') === '()=>undefined',
  );
  expect(silent.map(([name]) => name)).toEqual([]);
});
