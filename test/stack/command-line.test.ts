// The `portico` command itself: help, unknown subcommands, wrong flags, broken files; and the installed `portico`, which
// has to work whatever Node the machine has.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PORTICO } from './portico-project.ts';

const BIN = fileURLToPath(new URL('../../stack/bin.mjs', import.meta.url));
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'portico-command-'));
});

afterAll(() => {
  rmSync(directory, { recursive: true });
});

function run(main: string, ...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [main, ...args], { cwd: directory, encoding: 'utf8' });
}

test('help is on stdout with status 0, for the whole and for each subcommand', () => {
  for (const args of [
    ['--help'],
    ['up', '--help'],
    ['down', '-h'],
    ['ps', '--help'],
    ['certs', '--help'],
    ['help', 'up'],
  ]) {
    const { status, stdout, stderr } = run(PORTICO, ...args);
    expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' });
    expect(stdout).toMatch(/^Usage: /);
    expect(stdout).toContain('Examples:');
  }
});

test('no subcommand, an unknown one and wrong arguments are status 2, on stderr', () => {
  expect(run(PORTICO)).toMatchObject({ status: 2, stdout: '' });
  expect(run(PORTICO, 'start').stderr).toMatch(/^portico: no such command: start\n/);
  for (const args of [
    ['up', '--sacle', 'a=1'],
    ['up', '--scale', 'wsgi'],
    ['ps', 'extra'],
    ['down', '--now'],
  ]) {
    const { status, stderr } = run(PORTICO, ...args);
    expect({ args, status }).toEqual({ args, status: 2 });
    expect(stderr).toContain(`Try 'portico ${args[0]} --help'.`);
  }
});

test('a missing or broken compose file, or one that cannot run here, is one line and status 1', () => {
  const refused = (text: string | undefined, ...args: string[]): string => {
    if (text !== undefined) writeFileSync(join(directory, 'broken.yml'), text);
    const { status, stdout, stderr } = run(PORTICO, 'up', ...args);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^portico: [^\n]+\n$/);
    return stderr;
  };
  expect(refused(undefined)).toContain('no docker-compose.yml here');
  expect(refused(undefined, '-f', 'none.yml')).toContain('none.yml: cannot be read (ENOENT)');
  expect(refused('services: {web: {comand: x}}', '-f', 'broken.yml')).toContain(
    'broken.yml:1: services.web additional property "comand"',
  );
  expect(refused('services: {web: {image: x}}', '-f', 'broken.yml')).toContain('services.web has no command');
  expect(refused('services: {web: {command: x, ports: ["80:80"]}}', '-f', 'broken.yml', '--scale', 'web=2')).toContain(
    'only one replica',
  );
  expect(refused('services: {web: {command: x}}', '-f', 'broken.yml', 'db')).toContain('no such service: db');
});

test('the installed command hands over arguments and exit status', () => {
  expect(run(BIN, '--version').stdout).toMatch(/^portico \d+\.\d+\.\d+\n$/);
  expect(run(BIN, 'nope').status).toBe(2);
  expect(run(BIN, 'certs', '--days').status).toBe(2);
});
