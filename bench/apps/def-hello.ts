// A plain `def` endpoint, which runs in the thread pool. Its twin is def_hello.py.
import { fastapi } from '../../services/apps/fastapi/app.ts';

export const app = fastapi({ module: import.meta.url });

app.getSync('/', { name: 'hello' }, () => ({ message: 'Hello from a thread' }));
