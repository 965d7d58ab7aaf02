/**
 * The few parts of Node's TCP and pipe handles that the app servers need and that node:net does not offer: binding without
 * listening, accepting without a stream, and blocking mode. Declared here once, so that the rest stays typed.
 */
import net from 'node:net';

/** A client's or listener's handle, as libuv has it. */
export interface NetHandle {
  readonly fd: number;
  onconnection?: (status: number, client?: NetHandle) => void;
  listen(backlog: number): number;
  /** Puts the socket's name into `out`; gives a negative errno, also the one that a bind() left for later. */
  getsockname?(out: SocketName): number;
  getpeername?(out: SocketName): number;
  setBlocking(isBlocking: boolean): number;
  setNoDelay?(isOn: boolean): number;
  close(done?: () => void): void;
  unref(): void;
  ref(): void;
}

/** What getsockname and getpeername fill in. */
export interface SocketName {
  address?: string;
  port?: number;
  family?: string;
}

type CreateServerHandle = (
  address: string | null,
  port: number,
  family: number,
  fd?: number,
  flags?: number,
) => NetHandle | number;

const createServerHandle = (net as unknown as { _createServerHandle: CreateServerHandle })._createServerHandle;

const UV_TCP_REUSEPORT = 2;

/** Binds a TCP address without listening. Gives a negative errno when that fails at once; ask getsockname for a late one. */
export function bindTcp(
  address: string,
  port: number,
  options: { readonly reusePort?: boolean } = {},
): NetHandle | number {
  return createServerHandle(address, port, net.isIP(address), undefined, options.reusePort ? UV_TCP_REUSEPORT : 0);
}

/** Binds a unix socket without listening. */
export function bindUnix(path: string): NetHandle | number {
  return createServerHandle(path, -1, -1);
}

/** A handle on a descriptor that the parent process left us. */
export function adopt(fd: number): NetHandle | number {
  return createServerHandle(null, 0, 0, fd);
}
