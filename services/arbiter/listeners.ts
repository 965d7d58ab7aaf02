/**
 * The listening sockets of a master: bound once, listening before the first worker runs, shared by all workers, and never accepted
 * from here, so that what no worker has taken waits in the kernel's queue across restarts of all of them. Mirrors gunicorn/sock.py.
 */
import { spawnSync } from 'node:child_process';
import { statSync, unlinkSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { getSystemErrorMessage, getSystemErrorName } from 'node:util';
import { adopt, bindTcp, bindUnix, type NetHandle, type SocketName } from '../net-handle.ts';
import { reprString } from '../python-repr.ts';
import { resolveBindHost } from '../resolve-host.ts';

/** An address as `bind` gives it: a port and host, a unix socket's path, or a descriptor that is already bound. */
export type BindAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'fd'; readonly fd: number };

/** Parses one `bind` value; throws Error in Gunicorn's words. */
export function parseBindAddress(text: string, defaultPort = '8000'): BindAddress {
  const unix = /^unix:(?:\/\/)?(.*)$/.exec(text);
  if (unix) return { kind: 'unix', path: unix[1] ?? '' };
  if (text.startsWith('fd://')) {
    const fd = text.slice(5);
    if (!/^\d+$/.test(fd)) throw new Error(`${reprString(fd)} is not a valid file descriptor.`);
    return { kind: 'fd', fd: Number(fd) };
  }
  const netloc = text.replace(/^tcp:\/\//, '');
  let host = netloc;
  let port = defaultPort;
  const bracketed = /^\[?([^\]]*)\](?::(.*))?$/.exec(netloc);
  if (netloc.includes('[') && bracketed) {
    host = bracketed[1] ?? '';
    port = bracketed[2] ?? defaultPort;
  } else if (netloc.includes(':')) [host = '', port = defaultPort] = netloc.split(':');
  else if (netloc === '') host = '0.0.0.0';
  if (!/^\s*\+?\d+\s*$/.test(port)) throw new Error(`${reprString(port)} is not a valid port number.`);
  return { kind: 'tcp', host: host.toLowerCase(), port: Number(port) };
}

/** The address as Gunicorn's messages show it: a Python tuple, or a path. */
export function showBindAddress(address: BindAddress): string {
  if (address.kind === 'unix') return address.path;
  return address.kind === 'fd' ? String(address.fd) : `('${address.host}', ${address.port})`;
}

/** One bound socket. */
export interface Listener {
  /** As in `Listening at: ...`. */
  readonly name: string;
  readonly fd: number;
  /** The address and port that it has now (port 0 resolved), or a path. */
  readonly address: string;
  readonly port: number | null;
  close(unlink: boolean): void;
}

/** What bindListeners reports on the way. */
export interface ListenLog {
  error(message: string): void;
  debug(message: string): void;
}

/** No socket could be had for an address; everything was logged already and the master exits with status 1. */
export class CannotListen extends Error {
  override readonly name = 'CannotListen';
}

const RETRIES = 5;
const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/**
 * Binds and starts to listen at each address. Retries an address five times, a second apart, as Gunicorn does, then throws
 * CannotListen; `retryMs` is there for tests.
 */
export async function bindListeners(
  addresses: readonly BindAddress[],
  options: { readonly backlog: number; readonly umask: number; readonly log: ListenLog; readonly retryMs?: number },
): Promise<Listener[]> {
  const bound: Listener[] = [];
  const { log } = options;
  for (const address of addresses) {
    let listener: Listener | null = null;
    for (let attempt = 0; attempt < RETRIES && !listener; attempt++) {
      const result = await open(address, options.umask);
      if (typeof result === 'number') report(address, result, log);
      else {
        const status = listen([result.fd], options.backlog);
        if (status === 0) listener = result;
        else {
          result.close(false);
          report(address, status, log);
        }
      }
      if (!listener) {
        log.debug('Retrying in 1 second.');
        await sleep(options.retryMs ?? 1000);
      }
    }
    if (!listener) {
      log.error(`Can't connect to ${showBindAddress(address)}`);
      for (const each of bound) each.close(true);
      throw new CannotListen(showBindAddress(address));
    }
    bound.push(listener);
  }
  return bound;
}

/** With reuse_port: the addresses that the workers will bind, each for itself. The master only holds the port, so that 0 is one port. */
export async function reserveAddresses(addresses: readonly BindAddress[]): Promise<Listener[]> {
  const reserved: Listener[] = [];
  for (const address of addresses) {
    if (address.kind !== 'tcp') throw new Error('reuse_port is for TCP addresses only');
    const handle = bindTcp(await resolveBindHost(address.host), address.port, { reusePort: true });
    if (typeof handle === 'number') throw new Error(errnoText(handle));
    const name: SocketName = {};
    const late = handle.getsockname?.(name) ?? 0;
    if (late < 0) throw new Error(errnoText(late));
    reserved.push(tcpListener(handle, name.address ?? '', name.port ?? 0));
  }
  return reserved;
}

/** Binds and listens once, without retries: Uvicorn's way. Gives the error's text when it fails. */
export async function bindOnce(
  address: BindAddress,
  options: { readonly backlog: number; readonly umask: number },
): Promise<Listener | string> {
  const result = await open(address, options.umask);
  const status = typeof result === 'number' ? result : listen([result.fd], options.backlog);
  if (status === 0) return result as Listener;
  if (typeof result !== 'number') result.close(false);
  return errnoText(status);
}

// As str(OSError) gives it.
function errnoText(errno: number): string {
  return `[Errno ${-errno}] ${MESSAGES[getSystemErrorName(errno)] ?? getSystemErrorMessage(errno)}`;
}

function report(address: BindAddress, errno: number, log: ListenLog): void {
  const shown = showBindAddress(address);
  const code = getSystemErrorName(errno);
  if (code === 'EADDRINUSE') log.error(`Connection in use: ${shown}`);
  if (code === 'EADDRNOTAVAIL') log.error(`Invalid address: ${shown}`);
  log.error(`connection to ${shown} failed: ${errnoText(errno)}`);
}

// strerror() of the C library, where libuv words it differently.
const MESSAGES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'Address already in use',
  EADDRNOTAVAIL: 'Cannot assign requested address',
  EACCES: 'Permission denied',
  ENOENT: 'No such file or directory',
};

async function open(address: BindAddress, umask: number): Promise<Listener | number> {
  if (address.kind === 'fd') return adopted(address.fd);
  if (address.kind === 'unix') return openUnix(address.path, umask);
  const host = await resolveBindHost(address.host);
  const handle = bindTcp(host, address.port);
  if (typeof handle === 'number') return handle;
  const name: SocketName = {};
  // libuv keeps EADDRINUSE of bind() for later, and gives it here.
  const late = handle.getsockname?.(name) ?? 0;
  if (late < 0) {
    handle.close();
    return late;
  }
  return tcpListener(handle, name.address ?? host, name.port ?? address.port);
}

function tcpListener(handle: NetHandle, address: string, port: number): Listener {
  const host = isIPv6(address) ? `[${address}]` : address;
  return { name: `http://${host}:${port}`, fd: handle.fd, address, port, close: () => handle.close() };
}

function openUnix(path: string, umask: number): Listener | number {
  try {
    if (!statSync(path).isSocket()) throw new Error(`${reprString(path)} is not a socket`);
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const before = process.umask(umask);
  const handle = bindUnix(path);
  process.umask(before);
  if (typeof handle === 'number') return handle;
  const close = (unlink: boolean): void => {
    handle.close();
    if (unlink) rmIfThere(path);
  };
  return { name: `unix:${path}`, fd: handle.fd, address: path, port: null, close };
}

function rmIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** A listener on a descriptor from elsewhere: a socket that systemd or an older master has bound. */
export function adopted(fd: number): Listener | number {
  const handle = adopt(fd);
  if (typeof handle === 'number') return handle;
  const name: SocketName = {};
  if (handle.getsockname && handle.getsockname(name) === 0 && name.address !== undefined) {
    return tcpListener(handle, name.address, name.port ?? 0);
  }
  return { name: `fd://${fd}`, fd, address: `fd://${fd}`, port: null, close: () => handle.close() };
}

// Node cannot listen without accepting: its listen() also watches the socket. So another process says listen(2) on the shared socket
// and goes; the queue stays open as long as this process holds the descriptor.
const LISTEN_AND_LEAVE = `const net = require('node:net'); const [backlog, count] = process.argv.slice(1).map(Number);
for (let fd = 3; fd < 3 + count; fd++) { const status = net._createServerHandle(null, 0, 0, fd).listen(backlog);
if (status < 0) process.exit(-status); } process.exit(0);`;

function listen(fds: readonly number[], backlog: number): number {
  const { status } = spawnSync(process.execPath, ['-e', LISTEN_AND_LEAVE, String(backlog), String(fds.length)], {
    stdio: ['ignore', 'ignore', 'inherit', ...fds],
    env: {},
  });
  return status === null ? -5 : -status;
}
