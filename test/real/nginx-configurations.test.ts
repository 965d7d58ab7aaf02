// `-t` on configurations with a mistake (and some with only a warning): what stands on stderr and the exit status are
// nginx's own. Needs nginx 1.22, as nginx-differential.test.ts.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BAD_CONFIGURATIONS, DIFFERENCES } from './differential/bad-configurations.ts';
import { findNginx } from './differential/twin.ts';

const nginx = findNginx();
if ('reason' in nginx) console.log(`nginx-configurations: skipped, ${nginx.reason}`);

const MANY = fileURLToPath(new URL('./differential/test-many.ts', import.meta.url));

describe.skipIf('reason' in nginx)('-t', () => {
  const root = mkdtempSync(join(tmpdir(), 'portico-texts-'));
  const dirs = BAD_CONFIGURATIONS.map((_, i) => join(root, String(i)));
  const ours = new Map<string, string>();

  beforeAll(() => {
    BAD_CONFIGURATIONS.forEach(([, conf], i) => {
      mkdirSync(join(dirs[i]!, 'logs'), { recursive: true });
      writeFileSync(join(dirs[i]!, 'nginx.conf'), conf, 'latin1');
    });
    const run = spawnSync(process.execPath, [MANY, ...dirs], { encoding: 'latin1', maxBuffer: 1 << 26 });
    for (const [, dir, text, code] of run.stderr.matchAll(/^=(\/.*)\n([\s\S]*?)^=exit (\d+)$/gm)) {
      ours.set(dir!, `${code}\n${neutral(text!, dir!)}`);
    }
    // All of them were answered, by a process that came to its own end.
    const end = { status: run.status, signal: run.signal, answered: ours.size };
    expect(end, run.stderr.slice(-800)).toEqual({ status: 0, signal: null, answered: dirs.length });
  });

  afterAll(() => rmSync(root, { recursive: true, force: true }));

  BAD_CONFIGURATIONS.forEach(([title], i) => {
    test(title, () => {
      if ('reason' in nginx) return;
      const dir = dirs[i]!;
      const args = ['-p', `${dir}/`, '-c', 'nginx.conf', '-e', 'error.log', '-t'];
      const real = spawnSync(nginx.program[0]!, args, { encoding: 'latin1' });
      const theirs = `${real.status}\n${neutral(real.stderr, dir)}`;
      const reason = DIFFERENCES[title];
      if (reason) expect(ours.get(dir), reason).not.toBe(theirs);
      else expect(ours.get(dir)).toBe(theirs);
    });
  });
});

function neutral(text: string, dir: string): string {
  return text.replaceAll(dir, 'DIR');
}
