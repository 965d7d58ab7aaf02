// Tables of text: columns as wide as their widest cell, numbers to the right.

/** Lines of a table; `right` are the columns whose cells end at the same place. */
export function table(rows: ReadonlyArray<readonly string[]>, right: readonly number[] = []): string {
  const widths: number[] = [];
  for (const row of rows)
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  return rows
    .map((row) =>
      row
        .map((cell, column) => (right.includes(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
