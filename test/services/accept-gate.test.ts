// What a worker cannot serve stays in the kernel, where any worker that is free can take it.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { NetHandle } from '../../services/net-handle.ts';
import { AcceptGate } from '../../services/workers/accept-gate.ts';
import { systemCalls } from '../../services/workers/system-calls.ts';
import { begun, get, gunicorn } from './server-process.ts';

const FLASK = 'services/apps/flask.ts:app';
const TURNS = 20;
const LOOKS = 5;

if (!systemCalls?.epollCtl) console.log('accept-gate: skipped where there is no epoll, or no koffi to ask it');

/** Connections that a listener's kernel queue holds, which nobody has accepted: its rx_queue (proc_net_tcp). */
function waitingAt(port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const line of readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1)) {
    const [, address = '', , state, queues = ''] = line.trim().split(/\s+/);
    if (address.endsWith(local) && state === '0A') return Number.parseInt(queues.split(':')[1] ?? '', 16);
  }
  throw new Error(`nobody listens at ${port}`);
}

describe.skipIf(!systemCalls?.epollCtl)('the gate before a listener', () => {
  it('keeps the event loop from accepting while it is shut, and from nothing else', async () => {
    const server = net.createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    const clients: net.Socket[] = [];
    const connect = async (): Promise<void> => {
      const client = net.connect(port, '127.0.0.1');
      clients.push(client);
      await once(client, 'connect');
    };
    onTestFinished(() => {
      for (const client of clients) client.destroy();
    });
    let accepted = 0;
    server.on('connection', (socket) => {
      accepted++;
      socket.on('error', () => {});
    });
    const first = once(server, 'connection');
    await connect();
    await first;
    const gate = new AcceptGate([(server as unknown as { _handle: NetHandle })._handle]);
    gate.isOpen = false;
    await connect();
    for (let n = 0; n < TURNS; n++) await turn();
    expect(accepted).toBe(1);
    const second = once(server, 'connection');
    gate.isOpen = true;
    await second;
  });

  it('is shut by a gthread worker that has worker_connections', async () => {
    const flags = ['--threads', '1', '--worker-connections', '2', '--keep-alive', '30', FLASK];
    const { server, port } = await gunicorn(['-k', 'gthread', ...flags]);
    onTestFinished(async () => void (await server.stop()));
    const kept = net.connect(port, '127.0.0.1');
    onTestFinished(() => void kept.destroy());
    kept.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await once(kept, 'data');
    const { answer } = await begun(port, '/io?ms=1500');
    const third = get(port, '/');
    await server.until(() => waitingAt(port) === 1, 'a connection to wait in the kernel');
    // And not for the moment only that the loop needs to accept it.
    for (let look = 0; look < LOOKS; look++) {
      await pause(20);
      expect(waitingAt(port)).toBe(1);
    }
    kept.destroy();
    await server.until(() => waitingAt(port) === 0, 'the connection to be accepted');
    expect((await answer)?.status).toBe(200);
    expect((await third)?.status).toBe(200);
  });
});
