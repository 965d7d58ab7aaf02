/**
 * /redoc. FastAPI's page loads ReDoc from a CDN. Its npm package brings 110 others (85 MB) for one file, so it is no dependency of ours:
 * where the application's own project has `redoc` installed, that file is served and the page is ReDoc; elsewhere the page is a plain
 * reference made from the same document, and says so. Both work without a network.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { JsonSchema } from './schema.ts';

/** Where the page finds the bundle. */
export const REDOC_ASSET = '/redoc/assets/redoc.standalone.js';

let bundle: Buffer | null | undefined;

/** ReDoc's standalone bundle from the project in whose directory this process runs; null when it is not installed there. */
export function redocBundle(directory = process.cwd()): Buffer | null {
  if (bundle !== undefined) return bundle;
  try {
    const manifest = createRequire(path.join(directory, 'package.json')).resolve('redoc/package.json');
    bundle = readFileSync(path.join(path.dirname(manifest), 'bundles/redoc.standalone.js'));
  } catch {
    bundle = null;
  }
  return bundle;
}

const escaped = (text: unknown): string =>
  String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** FastAPI's page around ReDoc. */
export function redocPage(title: string, rootPath: string): string {
  return `<!DOCTYPE html>
<html>
<head>
<title>${escaped(title)} - ReDoc</title>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body { margin: 0; padding: 0; }</style>
</head>
<body>
<noscript>ReDoc requires Javascript to function. Please enable it to browse the documentation.</noscript>
<redoc spec-url="${escaped(rootPath)}/openapi.json"></redoc>
<script src="${escaped(rootPath)}${REDOC_ASSET}"></script>
</body>
</html>
`;
}

interface Described {
  readonly summary?: string;
  readonly parameters?: readonly { name: string; in: string; required: boolean; schema: JsonSchema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { schema: JsonSchema }>> };
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
}

function typeOf(schema: JsonSchema): string {
  if (typeof schema['$ref'] === 'string') {
    const name = schema['$ref'].split('/').at(-1);
    return `<a href="#${escaped(name)}">${escaped(name)}</a>`;
  }
  if (Array.isArray(schema['anyOf'])) return (schema['anyOf'] as JsonSchema[]).map(typeOf).join(' or ');
  if (schema['type'] === 'array') return `list of ${typeOf((schema['items'] ?? {}) as JsonSchema)}`;
  const limits = Object.entries(schema).filter(([key]) => /imum|Length/.test(key) || key === 'default');
  return [schema['type'] ?? 'anything', ...limits.map(([key, value]) => `${key} ${JSON.stringify(value)}`)]
    .map(escaped)
    .join(', ');
}

function operation(where: string, method: string, { summary, parameters, requestBody, responses }: Described): string {
  const rows = (parameters ?? []).map(
    (each) =>
      `<tr><td><code>${escaped(each.name)}</code></td><td>${escaped(each.in)}</td><td>${each.required ? 'required' : ''}</td><td>${typeOf(each.schema)}</td></tr>`,
  );
  const bodies = Object.entries(requestBody?.content ?? {}).map(
    ([type, { schema }]) => `<p>Body: ${escaped(type)}, ${typeOf(schema)}</p>`,
  );
  const answers = Object.entries(responses).map(
    ([status, { description }]) => `<li><code>${escaped(status)}</code> ${escaped(description)}</li>`,
  );
  return `<h2><code>${method.toUpperCase()} ${escaped(where)}</code></h2><p>${escaped(summary ?? '')}</p>${rows.length > 0 ? `<table>${rows.join('')}</table>` : ''}${bodies.join('')}<ul>${answers.join('')}</ul>`;
}

/** The plain reference for a document. */
export function plainReference(document: JsonSchema): string {
  const { title, version } = document['info'] as { title: string; version: string };
  const paths = document['paths'] as Record<string, Record<string, Described>>;
  const operations = Object.entries(paths).flatMap(([where, item]) =>
    Object.entries(item).map(([method, described]) => operation(where, method, described)),
  );
  const { schemas = {} } = (document['components'] ?? {}) as { schemas?: Record<string, JsonSchema> };
  const models = Object.entries(schemas).map(([name, schema]) => {
    const fields = Object.entries((schema['properties'] ?? {}) as Record<string, JsonSchema>);
    const rows = fields.map(
      ([field, each]) => `<tr><td><code>${escaped(field)}</code></td><td>${typeOf(each)}</td></tr>`,
    );
    return `<h3 id="${escaped(name)}">${escaped(name)}</h3><table>${rows.join('')}</table>`;
  });
  return `<!DOCTYPE html>
<html lang="en">
<head>
<title>${escaped(title)} - reference</title>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body { font: 16px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; } td { padding: 0 1rem 0 0; } .note { background: #eee; padding: .5rem 1rem; }</style>
</head>
<body>
<h1>${escaped(title)} ${escaped(version)}</h1>
<p class="note">This is a plain reference and not ReDoc: the <code>redoc</code> package is not installed in this project. After <code>npm install redoc</code> and a restart ReDoc is served here, without a network too.</p>
${operations.join('\n')}
<h2>Schemas</h2>
${models.join('\n')}
</body>
</html>
`;
}
