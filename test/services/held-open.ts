// A client that has its whole answer, sees that the server has closed, and keeps its own side open: who waits for it?
import { once } from 'node:events';
import net from 'node:net';
import { get } from './server-process.ts';

/** Asks beside such a client; tells whether the answer came while it kept its side open, or only when it closed. */
export async function askBesideOneHeldOpen(
  port: number,
): Promise<{ next: number | undefined; came: 'meanwhile' | 'then' }> {
  const held = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  held.on('error', () => {});
  held.write('GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n');
  held.resume();
  await once(held, 'end');
  let came: 'meanwhile' | 'then' = 'meanwhile';
  const answer = get(port, '/').then((all) => ({ next: all?.status, came }));
  // Gunicorn waits 2 s for the client at most.
  const closing = setTimeout(() => {
    came = 'then';
    held.destroy();
  }, 1200);
  const seen = await answer;
  clearTimeout(closing);
  held.destroy();
  return seen;
}
