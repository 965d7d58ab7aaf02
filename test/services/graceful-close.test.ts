// How connections are closed after a response: Gunicorn 27 half-closes and waits for the client in the worker itself, 20.1 just closes.
import { expect, it, onTestFinished } from 'vitest';
import { askBesideOneHeldOpen } from './held-open.ts';
import { gunicorn } from './server-process.ts';

const FLASK = 'services/apps/flask.ts:app';

it.each([
  ['sync', [], 'current', 'then'],
  ['sync', [], 'debian-12', 'meanwhile'],
  ['gthread', ['--threads', '2'], 'current', 'then'],
  ['gthread', ['--threads', '2'], 'debian-12', 'meanwhile'],
])('%s %j, profile %s: a request beside a client that keeps its side open is answered %s', async (...args) => {
  const [kind, flags, profile, came] = args;
  const env = profile === 'current' ? {} : { PORTICO_SERVICES_PROFILE: profile };
  const { server, port } = await gunicorn(['-k', kind, ...flags, FLASK], { env });
  onTestFinished(async () => void (await server.stop()));
  expect(await askBesideOneHeldOpen(port)).toEqual({ next: 200, came });
});

it.each([
  ['sync', []],
  ['gthread', ['--threads', '2']],
])('%s: does so also where the system cannot be asked to half-close', async (kind, flags) => {
  const env = { NODE_OPTIONS: `--import ${new URL('./without-koffi.ts', import.meta.url)}` };
  const { server, port } = await gunicorn(['-k', kind, ...flags, FLASK], { env });
  onTestFinished(async () => void (await server.stop()));
  expect(await askBesideOneHeldOpen(port)).toEqual({ next: 200, came: 'then' });
});
