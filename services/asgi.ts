/**
 * ASGI 3.0 as TypeScript types: how a server calls an asynchronous web application. An app is an async function of the scope and of two
 * functions that receive and send messages; one call serves one request, one WebSocket, or the lifespan of the process.
 */

/** A header field as bytes, the name in lower case. */
export type AsgiHeader = readonly [name: Uint8Array, value: Uint8Array];

interface ConnectionScope {
  readonly asgi: { readonly version: string; readonly spec_version: string };
  readonly http_version: string;
  readonly path: string;
  readonly raw_path: Uint8Array;
  readonly query_string: Uint8Array;
  readonly root_path: string;
  readonly headers: readonly AsgiHeader[];
  client: readonly [host: string, port: number] | null;
  readonly server: readonly [host: string, port: number | null] | null;
  scheme: string;
  /** A copy, one a connection, of what the lifespan handler has put there. */
  readonly state: Record<string, unknown>;
  readonly extensions?: Readonly<Record<string, unknown>>;
}

/** One HTTP request. */
export interface HttpScope extends ConnectionScope {
  readonly type: 'http';
  readonly method: string;
}

/** One WebSocket connection. */
export interface WebSocketScope extends ConnectionScope {
  readonly type: 'websocket';
  readonly subprotocols: readonly string[];
}

/** The life of the application in one process. */
export interface LifespanScope {
  readonly type: 'lifespan';
  readonly asgi: { readonly version: string; readonly spec_version: string };
  readonly state: Record<string, unknown>;
}

export type Scope = HttpScope | WebSocketScope | LifespanScope;

/** What an application can receive. */
export type ReceiveMessage =
  | { readonly type: 'http.request'; readonly body: Uint8Array; readonly more_body: boolean }
  | { readonly type: 'http.disconnect' }
  | { readonly type: 'websocket.connect' }
  | { readonly type: 'websocket.receive'; readonly text?: string; readonly bytes?: Uint8Array }
  | { readonly type: 'websocket.disconnect'; readonly code: number; readonly reason?: string }
  | { readonly type: 'lifespan.startup' }
  | { readonly type: 'lifespan.shutdown' };

/** What an application can send. */
export type SendMessage =
  | {
      readonly type: 'http.response.start';
      readonly status: number;
      readonly headers?: readonly AsgiHeader[];
      readonly trailers?: boolean;
    }
  | { readonly type: 'http.response.body'; readonly body?: Uint8Array; readonly more_body?: boolean }
  | {
      readonly type: 'websocket.accept';
      readonly subprotocol?: string | null;
      readonly headers?: readonly AsgiHeader[];
    }
  | { readonly type: 'websocket.send'; readonly text?: string | null; readonly bytes?: Uint8Array | null }
  | { readonly type: 'websocket.close'; readonly code?: number; readonly reason?: string | null }
  | {
      readonly type: 'websocket.http.response.start';
      readonly status: number;
      readonly headers?: readonly AsgiHeader[];
    }
  | { readonly type: 'websocket.http.response.body'; readonly body?: Uint8Array; readonly more_body?: boolean }
  | { readonly type: 'lifespan.startup.complete' }
  | { readonly type: 'lifespan.startup.failed'; readonly message?: string }
  | { readonly type: 'lifespan.shutdown.complete' }
  | { readonly type: 'lifespan.shutdown.failed'; readonly message?: string };

/** Waits for the next message. */
export type Receive = () => Promise<ReceiveMessage>;

/** Sends a message; resolves when the transport can take more. */
export type Send = (message: SendMessage) => Promise<void>;

/** An ASGI application. */
export type AsgiApp = (scope: Scope, receive: Receive, send: Send) => Promise<void>;
