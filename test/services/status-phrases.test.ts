// Reason phrases are the originals', not Node's; and what they come from does not weigh a pool's thread down.
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { HTTPException } from '../../services/apps/fastapi/responses.ts';
import { statusPhrase } from '../../services/apps/flask/app.ts';
import { HttpException } from '../../services/apps/flask/http-exception.ts';

it.each([
  [413, 'Request Entity Too Large', 'Request Entity Too Large'],
  [414, 'Request-URI Too Long', 'Request URI Too Long'],
  [418, "I'm a Teapot", "I'm a teapot"],
])('%i is %s in Starlette and %s in Werkzeug', (status, starlette, werkzeug) => {
  expect(new HTTPException(status).detail).toBe(starlette);
  expect(new HttpException(status).page).toContain(`<title>${status} ${werkzeug}</title>`);
  expect(statusPhrase(status)).toBe(werkzeug);
});

it('are there without node:http, half of the start of a thread that loads the application', async () => {
  const app = new URL('../../services/apps/fastapi.ts', import.meta.url).href;
  const code = `import(${JSON.stringify(app)}).then(() => require('node:worker_threads').parentPort.postMessage(process.moduleLoadList))`;
  const thread = new Worker(code, { eval: true });
  const loaded = await new Promise<string[]>((done, fail) => thread.once('message', done).once('error', fail));
  await thread.terminate();
  expect(loaded).toContain('NativeModule worker_threads');
  expect(loaded).not.toContain('NativeModule http');
});
