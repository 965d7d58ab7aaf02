/** An application for thread-pool.test.ts: plain `def` endpoints that answer at once, sleep, or take much. */
import { fastapi } from '../../services/apps/fastapi/app.ts';
import { int, str } from '../../services/apps/fastapi/schema.ts';
import { sleep } from '../../services/gil/python.ts';

export const app = fastapi({ module: import.meta.url });
app.getSync('/', {}, () => ({ message: 'Hello' }));
app.getSync('/io', { query: { ms: int() } }, ({ query }) => {
  sleep(query.ms);
  return { io_ms: query.ms };
});
app.getSync('/length', { query: { text: str() } }, ({ query }) => ({ length: query.text.length }));
