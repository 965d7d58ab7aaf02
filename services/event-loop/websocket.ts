/**
 * A WebSocket on the ASGI side: the handshake happens when the application accepts, a close before that is a 403, messages become
 * websocket.receive and websocket.disconnect. Frames are the ws library's; it is loaded when the first WebSocket comes.
 */

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { AsgiHeader, ReceiveMessage, SendMessage, WebSocketScope } from '../asgi.ts';
import { loopGil } from '../gil/loop.ts';
import { httpDate } from '../http/http-date.ts';
import { PYTHON_PHRASES } from '../http/status-phrases.ts';
import { pathWithQuery } from '../log/uvicorn-log.ts';
import { traceback } from '../python-repr.ts';
import { Flag } from './flow.ts';
import type { Handshake } from './handshake.ts';
import type { AsgiServer } from './server.ts';

const PLAIN_TEXT = 'text/plain; charset=utf-8';
const SERVER_ERROR = Buffer.from('Internal Server Error');

const decode = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

/** One WebSocket, from its request head to its end. */
export class WebSocketSession {
  readonly #socket: Socket;
  readonly #server: AsgiServer;
  readonly #handshake: Handshake;
  readonly #scope: WebSocketScope;
  readonly #rest: Buffer;
  readonly #inbox: ReceiveMessage[] = [{ type: 'websocket.connect' }];
  readonly #changed = new Flag();
  #webSocket: WebSocket | null = null;
  #state: 'connecting' | 'open' | 'rejecting' | 'closed' = 'connecting';
  #rejection: { status: number; headers: readonly AsgiHeader[]; body: Buffer[] } | null = null;
  #pings: NodeJS.Timeout | null = null;

  constructor(socket: Socket, server: AsgiServer, handshake: Handshake, scope: WebSocketScope, rest: Buffer) {
    this.#socket = socket;
    this.#server = server;
    this.#handshake = handshake;
    this.#scope = scope;
    this.#rest = rest;
    socket.on('close', () => {
      if (this.#state !== 'open') this.#disconnected(1006, '');
    });
  }

  /** Runs the application. Never rejects. */
  async run(): Promise<void> {
    try {
      await this.#server.app(this.#scope, this.#receive, this.#send);
      if (this.#state === 'connecting') {
        this.#server.log.error('ASGI callable returned without completing handshake.');
        this.#answer(500, [], SERVER_ERROR);
      } else if (this.#state === 'open') this.#webSocket?.close(1000);
    } catch (error) {
      this.#server.log.error(`Exception in ASGI application\n${traceback(error)}`);
      if (this.#state === 'connecting') this.#answer(500, [], SERVER_ERROR);
      else this.#webSocket?.close(1011);
    }
  }

  /** The server is going away. */
  shutdown(): void {
    if (this.#state === 'open') this.#webSocket?.close(1012);
    else this.#socket.destroy();
  }

  #put(message: ReceiveMessage): void {
    this.#inbox.push(message);
    this.#changed.set();
  }

  #disconnected(code: number, reason: string): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    if (this.#pings) clearInterval(this.#pings);
    this.#put({ type: 'websocket.disconnect', code, reason });
  }

  readonly #receive = async (): Promise<ReceiveMessage> => {
    this.#webSocket?.resume();
    while (this.#inbox.length === 0) {
      this.#changed.clear();
      await this.#changed.wait();
    }
    return this.#inbox.shift() as ReceiveMessage;
  };

  readonly #send = async (message: SendMessage): Promise<void> => {
    if (this.#state === 'connecting') return this.#sendBeforeAccept(message);
    if (this.#state === 'rejecting') {
      this.#reject(message);
      return;
    }
    if (this.#state === 'closed') {
      throw new Error(
        `Unexpected ASGI message '${message.type}', after sending 'websocket.close' or response already completed.`,
      );
    }
    if (message.type === 'websocket.send') {
      const data = message.bytes ?? message.text ?? '';
      await new Promise<void>((done) => this.#webSocket?.send(data, () => done()));
    } else if (message.type === 'websocket.close') {
      this.#webSocket?.close(message.code ?? 1000, message.reason ?? '');
      this.#state = 'closed';
    } else {
      throw new Error(`Expected ASGI message 'websocket.send' or 'websocket.close', but got '${message.type}'.`);
    }
  };

  async #sendBeforeAccept(message: SendMessage): Promise<void> {
    const { type } = message;
    if (type === 'websocket.accept') {
      this.#log('[accepted]');
      await this.#accept(message.subprotocol ?? null, message.headers ?? []);
    } else if (type === 'websocket.close') {
      this.#log('403');
      this.#answer(403, [], Buffer.alloc(0));
    } else if (type === 'websocket.http.response.start') {
      this.#log(String(message.status));
      this.#state = 'rejecting';
      this.#rejection = { status: message.status, headers: message.headers ?? [], body: [] };
    } else {
      const expected = "'websocket.accept', 'websocket.close' or 'websocket.http.response.start'";
      throw new Error(`Expected ASGI message ${expected} but got '${type}'.`);
    }
  }

  #reject(message: SendMessage): void {
    if (message.type !== 'websocket.http.response.body' || !this.#rejection) {
      throw new Error(`Expected ASGI message 'websocket.http.response.body' but got '${message.type}'.`);
    }
    this.#rejection.body.push(Buffer.from(message.body ?? ''));
    if (message.more_body) return;
    const { status, headers, body } = this.#rejection;
    this.#answer(status, headers, Buffer.concat(body));
  }

  #log(outcome: string): void {
    const peer = this.#scope.client?.join(':') ?? '';
    this.#server.log.info(`${peer} - "WebSocket ${pathWithQuery(this.#scope)}" ${outcome}`);
  }

  async #accept(subprotocol: string | null, headers: readonly AsgiHeader[]): Promise<void> {
    const { WebSocketServer } = await import('ws');
    const { config } = this.#server;
    const { key, deflate } = this.#handshake;
    const acceptor = new WebSocketServer({
      noServer: true,
      maxPayload: config.webSocketMaxBytes,
      perMessageDeflate: deflate === null ? false : { threshold: 0, zlibDeflateOptions: { memLevel: 5 } },
    });
    const own = config.dialect.marksUpgrades ? this.#server.defaultHeaders().split('\r\n') : [];
    acceptor.on('headers', (lines) => {
      lines.push(...own.filter((line) => line !== ''));
      for (const [name, value] of headers) lines.push(`${decode(name).toLowerCase()}: ${decode(value)}`);
      // Last, whatever the client has offered.
      if (subprotocol !== null) lines.push(`Sec-WebSocket-Protocol: ${subprotocol}`);
    });
    // What was agreed is all that is left to accept.
    const fields = { upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': key };
    const request = {
      method: 'GET',
      headers: deflate === null ? fields : { ...fields, 'sec-websocket-extensions': deflate },
    } as unknown as IncomingMessage;
    await new Promise<void>((done) => {
      this.#socket.once('close', done);
      acceptor.handleUpgrade(request, this.#socket, this.#rest, (webSocket) => {
        this.#opened(webSocket);
        done();
      });
    });
  }

  #opened(webSocket: WebSocket): void {
    this.#webSocket = webSocket;
    this.#state = 'open';
    this.#server.log.info('connection open');
    this.#socket.resume();
    webSocket.on('message', (data: Buffer, isBinary: boolean) => {
      loopGil.enter();
      this.#put({ type: 'websocket.receive', ...(isBinary ? { bytes: data } : { text: data.toString('utf8') }) });
      if (this.#inbox.length >= this.#server.config.webSocketMaxQueue) webSocket.pause();
    });
    webSocket.on('close', (code, reason) => this.#disconnected(code, reason.toString()));
    webSocket.on('error', () => {});
    this.#keepAlive(webSocket);
  }

  // A peer that answers no ping within the timeout is gone, whatever TCP thinks.
  #keepAlive(webSocket: WebSocket): void {
    const { webSocketPingMs, webSocketPingTimeoutMs } = this.#server.config;
    if (webSocketPingMs <= 0) return;
    let answeredAt = performance.now();
    webSocket.on('pong', () => {
      answeredAt = performance.now();
    });
    this.#pings = setInterval(() => {
      if (performance.now() - answeredAt > webSocketPingMs + webSocketPingTimeoutMs) webSocket.terminate();
      else webSocket.ping();
    }, webSocketPingMs);
    this.#pings.unref();
  }

  /** Answers the handshake with an ordinary response and closes. What the application does not say of it is filled in. */
  #answer(status: number, headers: readonly AsgiHeader[], body: Buffer): void {
    const short = this.#rejection ? null : this.#server.config.dialect.deny(status);
    this.#state = 'closed';
    if (short) {
      this.#socket.end(short);
      return;
    }
    const lines = headers.map(([name, value]) => `${decode(name)}: ${decode(value)}`);
    const given = new Set(headers.map(([name]) => decode(name).toLowerCase()));
    const fields = { Date: httpDate(), Connection: 'close', 'Content-Length': body.length, 'Content-Type': PLAIN_TEXT };
    for (const [name, value] of Object.entries(fields)) {
      if (!given.has(name.toLowerCase())) lines.push(`${name}: ${value}`);
    }
    const reason = PYTHON_PHRASES[status] ?? '';
    this.#server.log.info(`connection rejected (${status} ${reason})`);
    this.#socket.write(Buffer.from(`HTTP/1.1 ${status} ${reason}\r\n${lines.join('\r\n')}\r\n\r\n`, 'latin1'));
    this.#socket.end(body);
  }
}
