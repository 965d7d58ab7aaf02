// docs/nginx.md, made from the rows: every directive with its syntax, default, contexts and what differs from nginx, and
// every variable. `node proxy/reference.ts > docs/nginx.md` writes it; test/proxy/reference.test.ts fails when the page
// and the rows disagree.
import { MODULES, VARIABLE_PREFIXES } from './config/directives.ts';
import * as rows from './config/rows.ts';
import { OUT_OF_SCOPE } from './modules/out-of-scope.ts';
import { ACCEPTED_MODULE, SECTIONS, type Section, VARIABLE_GROUPS, VARIABLE_NOTES } from './reference-sections.ts';

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

const HEADER = `# What is read of nginx.conf

Made from the tables by which the proxy itself reads a configuration, with \`node proxy/reference.ts\`; do not edit it.

A directive behaves as in nginx 1.22 unless its last column says otherwise: its values are inherited by inner blocks, and
it is checked with nginx's words. A directive that is not on this page is refused at start with nginx's
\`[emerg] unknown directive\`; see [out of scope](#out-of-scope) for those that are refused by name. Times are written as
\`500ms\`, \`30s\`, \`1h30m\`, sizes as \`512\`, \`8k\`, \`1m\`. \`include\` may stand anywhere.

To see what a configuration does to a request, ask \`portico explain\`; to test one, see \`examples/\`.
`;

/** The whole page. */
export function referencePage(): string {
  let page = `${HEADER}\n${contents()}\n`;
  for (const section of SECTIONS) page += sectionText(section);
  page += variablesText();
  page += '\n## Out of scope\n\nThese are refused by name, with a line that says so:\n\n';
  for (const [what, names] of Object.entries(OUT_OF_SCOPE)) {
    page += `- ${what}: ${names.map((name) => `\`${name}\``).join(', ')}\n`;
  }
  page += `\nThese of them are accepted, because files carry them along:\n\n${table([ACCEPTED_MODULE])}`;
  return page;
}

function contents(): string {
  const titles = [...SECTIONS.map(({ title }) => title), 'Variables', 'Out of scope'];
  return titles
    .map(
      (title) =>
        `[${title}](#${title
          .toLowerCase()
          .replaceAll(' ', '-')
          .replace(/[^\w-]/g, '')})`,
    )
    .join(' · ');
}

function sectionText({ title, about, modules, nginx }: Section): string {
  const link =
    nginx === undefined
      ? ''
      : ` nginx's page: [${nginx.replace('http/', '')}](https://nginx.org/en/docs/${nginx}.html).`;
  return `\n## ${title}\n\n${about}${link}\n\n${table(modules)}`;
}

/** The directives of some modules, by name. */
function table(modules: readonly string[]): string {
  const byName = new Map<string, rows.AnyRow[]>();
  for (const module of MODULES) {
    if (!modules.includes(module.name)) continue;
    for (const level of Object.values(module.rows as rows.ModuleRows) as rows.Rows[]) {
      for (const [name, row] of Object.entries(level)) byName.set(name, [...(byName.get(name) ?? []), row]);
    }
  }
  let text = '| directive | syntax | default | contexts | differs |\n| --- | --- | --- | --- | --- |\n';
  for (const [name, found] of [...byName].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const bits = found.reduce((sum, row) => sum | row.in, 0);
    const contexts = CONTEXTS.filter(([bit]) => bits & bit).map(([, label]) => label);
    const [{ syntax, defaultText, note }] = found as [rows.AnyRow];
    const standard = defaultText === undefined ? '' : code(defaultText);
    text += `| \`${name}\` | ${code(syntax)} | ${standard} | ${contexts.join(', ')} | ${sentence(note)} |\n`;
  }
  return text;
}

function variablesText(): string {
  let text =
    '\n## Variables\n\nNames are as in nginx, whose pages say what they hold; one that is not there is empty (`-` in a log).\n';
  for (const [title, variables] of VARIABLE_GROUPS) {
    const names = variables
      .map(([name]) => name)
      .sort()
      .map((name) => `\`$${name}\``);
    text += `\n${title}: ${names.join(', ')}.\n`;
  }
  const families = VARIABLE_PREFIXES.map(([prefix]) => `\`$${prefix}NAME\``).sort();
  text += `\nFamilies: ${families.join(', ')}. And what \`set\`, \`map\`, \`geo\`, \`split_clients\`, \`auth_request_set\` and named captures make.\n`;
  return `${text}\nWhat differs:\n\n${VARIABLE_NOTES.map((note) => `- ${note}\n`).join('')}`;
}

function code(text: string): string {
  return text === '' ? '' : `\`${text.replaceAll('|', '\\|')}\``;
}

/** A note as the page shows it; one that begins with a parameter's name keeps its spelling. */
function sentence(note: string | undefined): string {
  if (note === undefined) return '';
  const isWord = !/^[a-z0-9]+[_=]|^(?:deferred|transparent|epoll|parameters)\b/.test(note);
  const text = isWord ? note[0]!.toUpperCase() + note.slice(1) : note;
  return /[.]$/.test(text) || /=$/.test(text) ? text : `${text}.`;
}

if (import.meta.main) process.stdout.write(referencePage());
