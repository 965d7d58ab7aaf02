// The frame that all drawn results share: one HTML file that needs no network, with the style, its light and its dark colors, and
// tables. The report (page.ts) and the bench (bench/chart.ts) put their sections into it.
import { PAGE_STYLE } from './page-style.ts';

export interface Shell {
  /** What the browser's tab says. */
  readonly title: string;
  readonly heading: string;
  /** When it was measured, as ISO 8601. */
  readonly startedAt: string;
  /** CSS besides the common one. */
  readonly style: string;
  /** HTML. */
  readonly body: string;
}

/** The whole page. All but `style` and `body` is text. */
export function pageShell({ title, heading, startedAt, style, body }: Shell): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>${escaped(title)}</title>
<style>${style}${PAGE_STYLE}</style>
</head>
<body>
<h1>${escaped(heading)}</h1>
<p class="muted">${escaped(startedAt.replace('T', ' ').replace(/\..*/, ' UTC'))}</p>
${body}
</body>
</html>
`;
}

/** Text as HTML. */
export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** A table that scrolls sideways where it does not fit. Cells are HTML. */
export function htmlTable(head: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const body = rows.map((row) => `<tr>${row.map((cell) => `<td>${cell}</td>`).join('')}</tr>`).join('\n');
  return `<div class="scroll"><table><thead><tr>${head.map((cell) => `<th>${cell}</th>`).join('')}</tr></thead><tbody>\n${body}\n</tbody></table></div>`;
}
