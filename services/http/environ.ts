/**
 * From a parsed request to the environ of PEP 3333, key by key as Gunicorn's wsgi.create() makes it, SCRIPT_NAME included.
 */

import { reprString } from '../python-repr.ts';
import type { Environ, WsgiErrors, WsgiFile, WsgiHeaders } from '../wsgi.ts';
import type { BlockingSocket } from './blocking-socket.ts';
import { RequestError } from './errors.ts';
import type { WsgiRequest } from './request.ts';

/** What is the same for all requests of a worker. */
export interface EnvironBase {
  readonly serverSoftware: string;
  readonly isMultithread: boolean;
  readonly isMultiprocess: boolean;
  readonly errors: WsgiErrors;
}

/** The standard wsgi.file_wrapper: an iterable over a file's blocks that the server may recognize. */
export class FileWrapper implements Iterable<Uint8Array> {
  readonly file: WsgiFile;
  readonly #blockBytes: number;

  constructor(file: WsgiFile, blockBytes = 8192) {
    this.file = file;
    this.#blockBytes = blockBytes;
  }

  *[Symbol.iterator](): Iterator<Uint8Array> {
    for (let block = this.file.read(this.#blockBytes); block.length > 0; block = this.file.read(this.#blockBytes))
      yield block;
  }

  close(): void {
    this.file.close?.();
  }
}

/** Percent-decoding as WSGI wants it: bytes, one a character. A `%` that begins no code stays. */
export function unquote(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** Builds the environ of a request. Throws RequestError when SCRIPT_NAME does not fit the path. */
export function createEnviron(
  request: WsgiRequest,
  socket: BlockingSocket,
  base: EnvironBase,
  earlyHints: (headers: WsgiHeaders) => void,
): Environ {
  const environ = {
    'wsgi.errors': base.errors,
    'wsgi.version': [1, 0],
    'wsgi.multithread': base.isMultithread,
    'wsgi.multiprocess': base.isMultiprocess,
    'wsgi.run_once': false,
    'wsgi.file_wrapper': (file: WsgiFile, blockBytes?: number) => new FileWrapper(file, blockBytes),
    'wsgi.input_terminated': true,
    SERVER_SOFTWARE: base.serverSoftware,
    'wsgi.input': request.body,
    'gunicorn.socket': socket,
    REQUEST_METHOD: request.method,
    QUERY_STRING: request.query,
    RAW_URI: request.uri,
    SERVER_PROTOCOL: `HTTP/${request.version.join('.')}`,
    'wsgi.early_hints': earlyHints,
  } as unknown as Environ;

  let host: string | null = null;
  let scriptName = process.env['SCRIPT_NAME'] ?? '';
  for (const [name, value] of request.headers) {
    if (name === 'HOST') host = value;
    else if (name === 'SCRIPT_NAME') scriptName = value;
    else if (name === 'CONTENT-TYPE') {
      environ.CONTENT_TYPE = value;
      continue;
    } else if (name === 'CONTENT-LENGTH') {
      environ.CONTENT_LENGTH = value;
      continue;
    }
    const key = `HTTP_${name.replaceAll('-', '_')}`;
    environ[key] = key in environ ? `${environ[key] as string},${value}` : value;
  }
  environ['wsgi.url_scheme'] = request.scheme;
  environ.REMOTE_ADDR = socket.peer.address;
  if (socket.peer.port !== null) environ.REMOTE_PORT = String(socket.peer.port);
  setServer(environ, socket, host, request.scheme);

  if (scriptName && !request.path.startsWith(scriptName)) {
    const about = `Request path ${reprString(request.path)} does not start with SCRIPT_NAME ${reprString(scriptName)}`;
    throw new RequestError('ConfigurationProblem', about);
  }
  environ.PATH_INFO = unquote(request.path.slice(scriptName.length));
  environ.SCRIPT_NAME = scriptName;
  if (request.proxy) {
    environ['PROXY_PROTOCOL'] = request.proxy.protocol;
    environ.REMOTE_ADDR = request.proxy.clientAddress ?? '';
    environ.REMOTE_PORT = String(request.proxy.clientPort ?? 'None');
    environ['PROXY_ADDR'] = request.proxy.proxyAddress;
    environ['PROXY_PORT'] = String(request.proxy.proxyPort ?? 'None');
  }
  return environ;
}

// A unix socket has no name and port of its own, so those of the Host field stand in for them.
function setServer(environ: Environ, socket: BlockingSocket, host: string | null, scheme: string): void {
  if (socket.local.port !== null) {
    environ.SERVER_NAME = socket.local.address;
    environ.SERVER_PORT = String(socket.local.port);
    return;
  }
  const [name = '', port] = host?.split(':') ?? [socket.local.address];
  environ.SERVER_NAME = name;
  environ.SERVER_PORT = port ?? (host === null ? '' : scheme === 'https' ? '443' : '80');
}
