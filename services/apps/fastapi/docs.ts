/**
 * /docs: Swagger UI on the application's own document. FastAPI's page loads it from a CDN; here its files come with @fastify/swagger-ui and
 * are served by the application, so that the page also works without a network.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { HTTPException, html, Response } from './responses.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.png': 'image/png',
};

let directory: string | null = null;

function assets(): string {
  directory ??= path.join(path.dirname(createRequire(import.meta.url).resolve('@fastify/swagger-ui')), 'static');
  return directory;
}

/** The page; `rootPath` is the prefix that the browser must put before every path. */
export function swaggerPage(title: string, rootPath: string): Response {
  return html(`
    <!DOCTYPE html>
    <html>
    <head>
    <meta name="viewport" content="width=device-width, initial-scale=1.0">
    <link type="text/css" rel="stylesheet" href="${rootPath}/docs/assets/swagger-ui.css">
    <link rel="shortcut icon" href="${rootPath}/docs/assets/favicon-32x32.png">
    <title>${title} - Swagger UI</title>
    </head>
    <body>
    <div id="swagger-ui">
    </div>
    <script src="${rootPath}/docs/assets/swagger-ui-bundle.js"></script>
    <script>
    const ui = SwaggerUIBundle({
        url: '${rootPath}/openapi.json',
        dom_id: '#swagger-ui',
        layout: 'BaseLayout',
        deepLinking: true,
        showExtensions: true,
        showCommonExtensions: true,
        presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset],
    })
    </script>
    </body>
    </html>
    `);
}

/** One of the page's files. Throws HTTPException 404 for anything else. */
export async function swaggerAsset(name: string): Promise<Response> {
  const type = TYPES[path.extname(name)];
  if (!type || !/^[\w.-]+$/.test(name)) throw new HTTPException(404);
  try {
    return new Response(await readFile(path.join(assets(), name)), { mediaType: type });
  } catch {
    throw new HTTPException(404);
  }
}
