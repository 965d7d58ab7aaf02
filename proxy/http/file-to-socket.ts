// sendfile(2), which Node does not have: the system moves bytes from a file to a socket, and they never come here.
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { descriptorOf } from '../listen/sockets.ts';

type Sendfile = (out: number, from: number, at: BigInt64Array, count: number) => number;

/** Undefined until the first file is sent. */
let sendfile: Sendfile | null | undefined;
const offset = new BigInt64Array(1);

/** Loads it when the first file is sent, which costs some ms once; null where this system or machine has it not. */
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
  if (sendfile === undefined) sendfile = load();
  const out = descriptorOf(socket);
  if (!sendfile || out < 0) return 0;
  offset[0] = BigInt(at);
  return Math.max(sendfile(out, fd, offset, count), 0);
}
