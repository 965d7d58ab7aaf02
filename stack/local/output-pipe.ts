// The pipe between a local process and the terminal. It has to be a real pipe: Node's own stdio "pipes" are sockets, and
// a program that opens /dev/stdout (nginx's `access_log /dev/stdout`) cannot open a socket. So a FIFO is made, opened at
// both ends and unlinked at once; stdout and stderr share it, which keeps their lines in the order they were written.
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';

/** The reading end as a stream, and the writing end as a descriptor to hand to a child. */
export interface OutputPipe {
  reader: Socket;
  writerFd: number;
  /** Closes our copy of the writing end; the reader ends when the last process that has one is gone. */
  closeWriter(): void;
}

/** Makes a pipe; `path` is where its FIFO stands for a moment. */
export function createOutputPipe(path: string): OutputPipe {
  rmSync(path, { force: true });
  execFileSync('mkfifo', ['-m', '600', path]);
  let readerFd: number | undefined;
  try {
    readerFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writerFd = openSync(path, constants.O_WRONLY);
    return {
      reader: new Socket({ fd: readerFd, readable: true, writable: false }),
      writerFd,
      closeWriter: () => closeSync(writerFd),
    };
  } finally {
    rmSync(path, { force: true });
  }
}
