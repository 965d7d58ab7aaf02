// The package as npm packs it, installed in a project of its own: the tarball is unpacked (not linked: Node strips no types
// under node_modules, and that is what is tested), its dependencies are linked to this repository's.
import { execFileSync, type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

export interface InstalledPackage {
  readonly directory: string;
  /** Environment in which the project's own commands are found, as npm scripts have it. */
  readonly env: NodeJS.ProcessEnv;
  write(name: string, text: string): void;
  run(command: string, ...args: string[]): SpawnSyncReturns<string>;
  remove(): void;
}

/** Packs and installs. */
export function installPackage(): InstalledPackage {
  const directory = mkdtempSync(join(tmpdir(), 'portico-package-'));
  execFileSync('npm', ['pack', '--silent', '--pack-destination', directory], {
    cwd: REPOSITORY,
    env: { ...process.env, PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const modules = join(directory, 'node_modules');
  const own = join(modules, 'portico');
  mkdirSync(own, { recursive: true });
  const tarball = readdirSync(directory).find((name) => name.endsWith('.tgz'))!;
  execFileSync('tar', ['-xzf', join(directory, tarball), '-C', own, '--strip-components=1']);
  linkDependencies(join(REPOSITORY, 'node_modules'), modules);
  symlinkSync('../portico/stack/bin.mjs', join(modules, '.bin/portico'));
  chmodSync(join(own, 'stack/bin.mjs'), 0o755);
  writeFileSync(join(directory, 'package.json'), '{ "name": "project", "private": true, "type": "module" }\n');

  const env: NodeJS.ProcessEnv = { ...process.env, PATH: [join(modules, '.bin'), process.env['PATH']].join(delimiter) };
  delete env['NODE_OPTIONS'];
  delete env['VITEST'];
  return {
    directory,
    env,
    write: (name, text) => writeFileSync(join(directory, name), text),
    run: (command, ...args) => spawnSync(command, args, { cwd: directory, env, encoding: 'utf8', timeout: 60_000 }),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

function linkDependencies(from: string, to: string): void {
  for (const name of readdirSync(from)) {
    if (name === '.cache' || name === '.package-lock.json' || name === '.vite' || name === '.vite-temp') continue;
    if (name.startsWith('@') || name === '.bin') {
      mkdirSync(join(to, name), { recursive: true });
      for (const inner of readdirSync(join(from, name))) symlinkSync(join(from, name, inner), join(to, name, inner));
    } else symlinkSync(join(from, name), join(to, name));
  }
}
