// Sends the same requests (valid, odd and broken) to nginx and to our proxy on the same configuration, and compares
// status line, header names, order and values, body, whether the connection can be used again, the access log line,
// and what the upstream received. What may differ says so, with its reason, in its case.
// Needs nginx 1.22 (Debian 12's package; install-peers.sh installs it); skipped elsewhere.
import { beforeAll, describe, expect, test } from 'vitest';
import type { Case, Part } from './differential/group.ts';
import { GROUPS } from './differential/groups.ts';
import { findNginx, OURS, type Run, runTwin } from './differential/twin.ts';

const nginx = findNginx();
if ('reason' in nginx) console.log(`nginx-differential: skipped, ${nginx.reason}`);

const PARTS: readonly Part[] = ['head', 'body', 'reuse', 'log', 'upstream'];

function titleOf(one: Case, at: number): string {
  const first = typeof one.send === 'string' ? one.send : (one.send[0] ?? '');
  return `${at + 1} ${one.title ?? ''}${one.title ? ': ' : ''}${JSON.stringify(first.split('\r\n')[0]!.slice(0, 70))}`;
}

for (const group of GROUPS) {
  describe.skipIf('reason' in nginx)(group.name, () => {
    let real: Run;
    let ours: Run;
    beforeAll(async () => {
      if ('reason' in nginx) return;
      [real, ours] = await Promise.all([runTwin(nginx.program, group), runTwin(OURS, group)]);
    });

    group.cases.forEach((one, at) => {
      test(titleOf(one, at), () => {
        const theirs = real.cases[at]!;
        const own = ours.cases[at]!;
        for (const part of PARTS) {
          if (one.differs?.parts.includes(part))
            expect(own[part], `${part}: ${one.differs.reason}`).not.toBe(theirs[part]);
          else expect(own[part], part).toBe(theirs[part]);
        }
      });
    });

    test.skipIf(group.errorsDiffer)('error log', () => {
      expect(ours.errors).toEqual(real.errors);
    });
  });
}
