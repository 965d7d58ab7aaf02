/** Applications for apps.test.ts: timed functions in a view, in an async operation and in a plain `def`; dependencies and their order. */
import { fastapi } from '../../services/apps/fastapi/app.ts';
import { flask } from '../../services/apps/flask/app.ts';
import { sleep } from '../../services/gil/python.ts';
import { timed } from '../../services/timed.ts';

const generate = timed(function generate(count: number): number[] {
  sleep(5);
  return Array.from({ length: count }, (_, n) => n);
});
const fetchAll = timed(async function fetchAll(): Promise<string> {
  await Promise.resolve();
  return 'all';
});

export const wsgi = flask('timed');
wsgi.get('/', () => ({ generated: generate(3) }));

export const asgi = fastapi({ module: import.meta.url });
asgi.get('/', {}, async () => ({ fetched: await fetchAll() }));
asgi.getSync('/def', {}, () => ({ generated: generate(2) }));
