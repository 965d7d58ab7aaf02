// What is measured: each case says what is asked for, by which generator, and which peers can do it at all.

/** What a peer must be able to do to take part; `close` is to close a connection behind a request that says so. */
export type Ability = 'proxy' | 'tls' | 'close' | 'static' | 'gzip' | 'http2' | 'websocket' | 'workers';

/** An app server: the program, how it is started, and the application (see app-servers.ts). */
export interface AppServer {
  readonly program: 'gunicorn' | 'uvicorn';
  readonly args: readonly string[];
  readonly app: 'wsgi' | 'asgi' | 'flask' | 'fastapi' | 'def';
}

export interface Case {
  readonly name: string;
  readonly path: string;
  readonly needs: readonly Ability[];
  /** The program that makes the load; wrk where nothing is said. */
  readonly generator?: 'wrk' | 'upload' | 'h2load' | 'resume' | 'messages';
  readonly isTls?: boolean;
  /** Every request on a connection of its own. */
  readonly isClosing?: boolean;
  /** Headers that each request carries. */
  readonly headers?: readonly string[];
  /** Each peer runs twice, with one worker and with so many, the same number of connections for each, and is held against itself. */
  readonly scaledTo?: number;
  /** Runs in front of that many server blocks. */
  readonly servers?: number;
  /** Measures this app server, the original and ours, and no proxy. */
  readonly appServer?: AppServer;
}

const GTHREAD = ['-k', 'gthread', '--threads', '4'];

export const CASES: readonly Case[] = [
  { name: 'proxied keepalive, 34 B', path: '/app/hello', needs: ['proxy'] },
  { name: 'proxied keepalive, TLS', path: '/app/hello', needs: ['proxy', 'tls'], isTls: true },
  { name: 'proxied, no upstream keepalive', path: '/plain/hello', needs: ['proxy', 'static'] },
  { name: 'proxied 64 KB', path: '/app/64k', needs: ['proxy'] },
  { name: 'proxied 1 MB', path: '/app/1m', needs: ['proxy'] },
  { name: 'upload of 64 KB', path: '/app/upload', needs: ['proxy'], generator: 'upload' },
  { name: 'static 1 KB', path: '/static/1k', needs: ['static'] },
  { name: 'static 64 KB', path: '/static/64k', needs: ['static'] },
  { name: 'static 10 MB', path: '/static/10m', needs: ['static'] },
  { name: 'static 64 KB, gzip', path: '/gzip/64k', needs: ['gzip'], headers: ['Accept-Encoding: gzip'] },
  { name: 'full TLS handshakes', path: '/app/hello', needs: ['proxy', 'tls', 'close'], isTls: true, isClosing: true },
  {
    name: 'resumed TLS handshakes',
    path: '/app/hello',
    needs: ['proxy', 'tls', 'close'],
    isTls: true,
    generator: 'resume',
  },
  { name: 'proxied over HTTP/2', path: '/app/hello', needs: ['proxy', 'http2'], isTls: true, generator: 'h2load' },
  { name: 'WebSocket messages', path: '/ws', needs: ['websocket'], generator: 'messages' },
  { name: 'proxied, 2 workers against 1', path: '/app/hello', needs: ['proxy', 'workers'], scaledTo: 2 },
  { name: 'proxied, 500 server blocks', path: '/app/hello', needs: ['proxy', 'workers'], servers: 500 },
  appCase('Gunicorn sync, bare WSGI', { program: 'gunicorn', args: ['-k', 'sync'], app: 'wsgi' }),
  appCase('Gunicorn gthread, bare WSGI', { program: 'gunicorn', args: GTHREAD, app: 'wsgi' }),
  appCase('Gunicorn gthread, Flask', { program: 'gunicorn', args: GTHREAD, app: 'flask' }),
  appCase('Uvicorn, bare ASGI', { program: 'uvicorn', args: [], app: 'asgi' }),
  appCase('Uvicorn, FastAPI async def', { program: 'uvicorn', args: [], app: 'fastapi' }),
  appCase('Uvicorn, FastAPI def', { program: 'uvicorn', args: [], app: 'def' }),
];

function appCase(name: string, appServer: AppServer): Case {
  return { name, path: '/', needs: [], appServer };
}
