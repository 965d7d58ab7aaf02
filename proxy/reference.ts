// docs/nginx.md, made from the rows: every directive with its syntax, default, contexts and what differs from nginx.
// `node proxy/reference.ts > docs/nginx.md` writes it; a test fails when page and rows disagree.
import { pathToFileURL } from 'node:url';
import { MODULES } from './config/directives.ts';
import * as rows from './config/rows.ts';
import { OUT_OF_SCOPE } from './modules/out-of-scope.ts';

const CONTEXTS: readonly (readonly [number, string])[] = [
  [rows.MAIN, 'main'],
  [rows.EVENTS, 'events'],
  [rows.HTTP, 'http'],
  [rows.SERVER, 'server'],
  [rows.LOCATION, 'location'],
  [rows.UPSTREAM, 'upstream'],
  [rows.SERVER_IF, 'if in server'],
  [rows.LOCATION_IF, 'if in location'],
  [rows.LIMIT_EXCEPT, 'limit_except'],
];

const HEADER = `# Directives

What Portico's proxy reads of nginx.conf, made from the tables that the proxy itself is driven by
(\`node proxy/reference.ts\`). Behaviour is nginx 1.22's unless a line says otherwise; a directive that is not on this
page is refused at start with nginx's \`[emerg] unknown directive\`.
`;

/** The whole page. */
export function referencePage(): string {
  let page = HEADER;
  for (const module of MODULES) {
    const levels = Object.values(module.rows as rows.ModuleRows) as rows.Rows[];
    const names = [...new Set(levels.flatMap((level) => Object.keys(level)))].sort();
    if (names.length === 0) continue;
    page += `\n## ${module.name}\n\n| directive | syntax | default | contexts | differs |\n| --- | --- | --- | --- | --- |\n`;
    for (const name of names) {
      const found = levels.flatMap((level) => (level[name] ? [level[name]] : []));
      const bits = found.reduce((sum, row) => sum | row.in, 0);
      const contexts = CONTEXTS.filter(([bit]) => bits & bit).map(([, text]) => text);
      const [row] = found;
      const syntax = row!.isBlock ? row!.syntax : `${row!.syntax}`;
      const standard = row!.defaultText;
      page += `| \`${name}\` | ${code(syntax)} | ${standard === undefined ? '' : code(standard)} | ${contexts.join(', ')} | ${row!.note ?? ''} |\n`;
    }
  }
  page += '\n## Out of scope\n\nThese are refused by name, with a line that says so.\n\n';
  for (const [what, names] of Object.entries(OUT_OF_SCOPE))
    page += `- ${what}: ${names.map((n) => `\`${n}\``).join(', ')}\n`;
  return page;
}

function code(text: string): string {
  return text === '' ? '' : `\`${text.replaceAll('|', '\\|')}\``;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.stdout.write(referencePage());
