// What HTTP/2 has to say in one turn of the event loop leaves in one write, whichever callbacks of the turn said it.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, expect, it, vi } from 'vitest';
import { H2Output } from '../../proxy/http/h2-output.ts';

const open: { destroy(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.destroy();
});

it('sends the frames of one turn in one write', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  open.push({ destroy: () => server.close() });
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  open.push(client);
  const [socket] = (await once(server, 'connection')) as [Socket];
  open.push(socket);
  const write = vi.spyOn(socket, 'write');
  const output = new H2Output(socket, 60_000);
  output.send(Buffer.from('one '));
  // As another upstream's answer: a callback of its own, with its own ticks, before the turn is over.
  process.nextTick(() => process.nextTick(() => output.send(Buffer.from('two'))));
  let got = '';
  for await (const chunk of client) {
    got += chunk;
    if (got.length === 7) break;
  }
  expect(got).toBe('one two');
  expect(write).toHaveBeenCalledTimes(1);
});
