/** How the lab shows what it found: a table with aligned columns, and bars. Text only, the same in a terminal and in a file. */

const BAR_WIDTH = 40;

/** Rows under a heading; numbers stand to the right. */
export function table(heading: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const all = [heading, ...rows.map((row) => row.map(String))];
  const widths = heading.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const isNumber = heading.map((_, column) => rows.every((row) => /^[\d.,-]+( \w+| ×)?$/.test(String(row[column]))));
  const lines = all.map((row) =>
    row
      .map((cell, column) => (isNumber[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join('   ')
      .trimEnd(),
  );
  lines.splice(1, 0, widths.map((width) => '-'.repeat(width)).join('   '));
  return `${lines.join('\n')}\n`;
}

/** One bar a value, the longest for the largest. */
export function bars(values: readonly (readonly [label: string, value: number])[], unit: string): string {
  const width = Math.max(...values.map(([label]) => label.length));
  const largest = Math.max(...values.map(([, value]) => value), Number.MIN_VALUE);
  return values
    .map(([label, value]) => {
      const length = Math.max(value > 0 ? 1 : 0, Math.round((value / largest) * BAR_WIDTH));
      return `${label.padEnd(width)}  ${'█'.repeat(length)} ${value.toLocaleString('en-US')} ${unit}`.trimEnd();
    })
    .join('\n')
    .concat('\n');
}
