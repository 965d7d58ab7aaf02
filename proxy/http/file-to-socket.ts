// sendfile(2), which Node does not have: the system moves bytes from a file to a socket, and they never come here.
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { descriptorOf } from '../listen/sockets.ts';

type Sendfile = (out: number, from: number, at: BigInt64Array, count: number) => number;

/** Undefined until it is first wanted. */
let sendfile: Sendfile | null | undefined;
const offset = new BigInt64Array(1);

/** Whether files can be sent so; where this system or machine cannot, they are read and written. */
export function hasSendfile(): boolean {
  return loaded() !== null;
}

/** Loads it when it is first wanted, which costs some ms once; null where it is not to be had. */
function loaded(): Sendfile | null {
  if (sendfile === undefined) sendfile = load();
  return sendfile;
}

function load(): Sendfile | null {
  if (process.platform !== 'linux') return null;
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    return koffi.load(null).func('int64_t sendfile64(int out, int in, void *offset, size_t count)') as Sendfile;
  } catch {
    return null;
  }
}

/**
 * Moves up to `count` bytes of the open file `fd`, from `at` on, to a plain socket that has nothing left to write. Returns how many
 * the system took: fewer than `count` when the client is slow. 0 says that they are to be read and written: that finds out, too,
 * what is wrong with the file or the connection.
 */
export function moveFile(socket: Socket, fd: number, at: number, count: number): number {
  const send = loaded();
  const out = descriptorOf(socket);
  if (!send || out < 0) return 0;
  offset[0] = BigInt(at);
  return Math.max(send(out, fd, offset, count), 0);
}
