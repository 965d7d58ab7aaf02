// Accepted sockets that all read into one buffer. Node gives each read of a socket 64 KB of fresh memory; a proxy reads
// little and often, so that is most of its garbage. What a reader wants to keep it copies before it returns. Node
// offers this (`onread`) for sockets that connect; for accepted ones the socket is made here, from the same handle.
import { Socket, type SocketConstructorOpts } from 'node:net';
import { beginEvent, endEvent } from '../event-end.ts';
import type { Handle } from './sockets.ts';

const readBuffer = Buffer.allocUnsafeSlow(65_536);

/** Takes bytes that are valid until it returns. */
export type SharedReader = (bytes: Buffer) => void;

export interface Acceptor {
  /** Whether connections accepted now may read shared. */
  isShared(): boolean;
  /** Takes a connection over; for one that reads shared, returns what reads (undefined: it was closed). */
  accept(socket: Socket): SharedReader | undefined;
  failed(status: number): void;
}

interface AcceptingHandle extends Handle {
  onconnection: (status: number, client: Handle | undefined) => void;
}

/** Makes the listening `handle` give its connections to `acceptor`. */
export function acceptConnections(handle: Handle, acceptor: Acceptor): void {
  (handle as AcceptingHandle).onconnection = (status, client) => {
    if (status !== 0 || !client) acceptor.failed(status);
    else if (acceptor.isShared()) openShared(client, acceptor);
    else acceptor.accept(adopt(client, {}));
  };
}

/** A socket on an accepted handle, as net.Server makes its own. */
function adopt(handle: Handle, options: SocketConstructorOpts): Socket {
  return new Socket({ ...options, handle, allowHalfOpen: true } as object);
}

function openShared(client: Handle, acceptor: Acceptor): void {
  let reader: SharedReader | undefined;
  const callback = (length: number, buffer: Uint8Array): boolean => {
    beginEvent();
    try {
      reader?.((buffer as Buffer).subarray(0, length));
    } finally {
      endEvent();
    }
    return true;
  };
  reader = acceptor.accept(adopt(client, { onread: { buffer: readBuffer, callback } }));
}
