// `http2 on` without TLS: the first bytes tell whether the client begins with HTTP/2's preface (RFC 9113 3.4), or speaks
// HTTP/1.x. Mirrors nginx from 1.25.1 on.
import type { Socket } from 'node:net';
import type { ClientConnection } from '../http/client.ts';
import { PREFACE } from '../http/h2-frames.ts';
import { coreModule } from '../modules/core-rows.ts';
import { Deadline } from '../timer.ts';

type Serve = (socket: Socket, client: ClientConnection) => void;

/** Looks at the first bytes, then goes on with one of the two. */
export function tellPreface(socket: Socket, client: ClientConnection, asH2: Serve, asHttp1: Serve): void {
  let seen: Buffer = Buffer.alloc(0);
  const deadline = new Deadline(() => socket.destroy());
  const stop = (): void => {
    deadline.close();
    socket.off('readable', onReadable);
    socket.off('error', onClose);
    socket.off('end', onClose);
    socket.off('close', onClose);
  };
  const onClose = (): void => {
    stop();
    socket.destroy();
  };
  const onReadable = (): void => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    seen = Buffer.concat([seen, chunk]);
    const known = Math.min(seen.length, PREFACE.length);
    const isPreface = seen.compare(PREFACE, 0, known, 0, known) === 0;
    if (isPreface && seen.length < PREFACE.length) return;
    stop();
    socket.unshift(seen);
    if (isPreface) asH2(socket, client);
    else asHttp1(socket, client);
  };
  deadline.set(coreModule.server(client.listen.defaultServer).client_header_timeout);
  socket.on('readable', onReadable);
  socket.on('error', onClose);
  socket.on('end', onClose);
  socket.on('close', onClose);
}
