#!/usr/bin/env node
// The installed command. Plain JavaScript, because it must run on whatever Node the machine has (20 or newer): it finds
// the Node that the package pins and hands over to it. In the repository it starts portico.ts, in the published package
// dist/stack/portico.js.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const source = join(here, 'portico.ts');
const main = existsSync(source) ? source : join(here, '../dist/stack/portico.js');
const node = pinnedNode();

if (node === undefined) {
  process.stderr.write(
    `portico: needs Node 24 and runs under ${process.version}; the package "node" that brings it is not installed ` +
      '(was npm told --ignore-scripts?). Run npm ci, or put Node 24 on the PATH.\n',
  );
  process.exit(1);
} else {
  const args = [main, ...process.argv.slice(2)];
  // To be replaced is best: same pid, same signals. Nodes before 23.11 cannot, and stay as a go-between.
  if (process.execve && process.platform !== 'win32') process.execve(node, [node, ...args], process.env);
  else goBetween(node, args);
}

function pinnedNode() {
  try {
    const path = join(dirname(createRequire(import.meta.url).resolve('node/package.json')), 'bin', 'node');
    if (existsSync(path)) return path;
  } catch {
    // Not installed; this Node may do.
  }
  return Number(process.versions.node.split('.')[0]) >= 24 ? process.execPath : undefined;
}

function goBetween(file, args) {
  // The IPC channel tells the child of our end, even at kill -9; it then stops what it has started.
  const child = spawn(file, args, { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] });
  // In a terminal a Ctrl-C reaches the child by itself; what is sent to this pid alone is passed on.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
  for (const name of ['SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'])
    process.on(name, () => child.kill(name));
  child.on('error', (error) => {
    process.stderr.write(`portico: ${file}: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (status, name) => process.exit(status ?? 128 + (constants.signals[name] ?? 0)));
}
