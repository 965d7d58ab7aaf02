// npm's `prepack`: emits dist/, what the published package runs, because Node strips no types under node_modules.
// JavaScript and .d.ts from tsconfig.build.json, and beside them the files that the programs read: the default
// configuration, static files and the topology, at the same places as in the repository. Types are checked by `npm run
// check`, not here.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const COPIED = ['proxy/conf', 'proxy/html', 'stack/healthcheck.mjs', 'docker-compose.yml'];
/** Beside the sources in a folder that the load generator's pages come from. */
const ASSET = /\.(?:html|css|js|mjs|svg|json)$/;

/** Writes dist/ anew. */
export function emitDist(root: string): void {
  const dist = join(root, 'dist');
  rmSync(dist, { recursive: true, force: true });
  execFileSync(
    process.execPath,
    [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, 'tsconfig.build.json')],
    {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  );
  for (const path of COPIED) cpSync(join(root, path), join(dist, path), { recursive: true });
  for (const folder of ['load', 'stack', 'services', 'proxy']) {
    for (const name of readdirSync(join(root, folder), { recursive: true }) as string[]) {
      if (!ASSET.test(name) || name === 'bin.mjs' || /^(?:html|conf|temp)\//.test(name)) continue;
      mkdirSync(join(dist, folder, name, '..'), { recursive: true });
      cpSync(join(root, folder, name), join(dist, folder, name));
    }
  }
  // Declarations keep the spelling of their imports; consumers have no .ts files to find.
  for (const name of readdirSync(dist, { recursive: true }) as string[]) {
    if (!name.endsWith('.d.ts')) continue;
    const path = join(dist, name);
    writeFileSync(path, readFileSync(path, 'utf8').replace(/(["']\.{1,2}\/[^"'\n]*)\.ts(["'])/g, '$1.js$2'));
  }
}

if (import.meta.main) emitDist(ROOT);
