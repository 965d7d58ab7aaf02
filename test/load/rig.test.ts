// What scenarios and sweeps stand on: servers that are whole when the load begins.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { familyOf } from '../../load/rig/processes.ts';
import { Rig } from '../../load/rig/rig.ts';

let rig: Rig;

beforeEach(() => {
  rig = new Rig();
});
afterEach(() => rig.close());

it.each([
  ['gunicorn', ['-w', '3']],
  ['uvicorn', ['--workers', '3']],
] as const)('%s is up when all of its workers are', async (role, flags) => {
  const { program } = await rig[role](...flags);
  expect(familyOf([program.pid])).toHaveLength(4);
});

it('tells why a server does not come up', async () => {
  await expect(rig.gunicorn('-k', 'nope')).rejects.toThrow(/gunicorn.*did not say.*class uri 'nope' invalid/s);
});
