/**
 * A WebSocket on the ASGI side: the handshake happens when the application accepts, a close before that is a 403, messages become
 * websocket.receive and websocket.disconnect. Frames are the ws library's; it is loaded when the first WebSocket comes.
 */

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { AsgiHeader, ReceiveMessage, SendMessage, WebSocketScope } from '../asgi.ts';
import { loopGil } from '../gil/loop.ts';
import { PYTHON_PHRASES } from '../http/status-phrases.ts';
import { traceback } from '../python-repr.ts';
import { Flag } from './flow.ts';
import type { RequestHead } from './request-parser.ts';
import type { AsgiServer } from './server.ts';

const decode = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

/** One WebSocket, from its request head to its end. */
export class WebSocketSession {
  readonly #socket: Socket;
  readonly #server: AsgiServer;
  readonly #head: RequestHead;
  readonly #scope: WebSocketScope;
  readonly #rest: Buffer;
  readonly #inbox: ReceiveMessage[] = [{ type: 'websocket.connect' }];
  readonly #changed = new Flag();
  #webSocket: WebSocket | null = null;
  #state: 'connecting' | 'open' | 'rejecting' | 'closed' = 'connecting';
  #rejection: { status: number; headers: readonly AsgiHeader[]; body: Buffer[] } | null = null;
  #pings: NodeJS.Timeout | null = null;

  constructor(socket: Socket, server: AsgiServer, head: RequestHead, scope: WebSocketScope, rest: Buffer) {
    this.#socket = socket;
    this.#server = server;
    this.#head = head;
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
        this.#answer(500, [], 'Internal Server Error');
      } else if (this.#state === 'open') this.#webSocket?.close(1000);
    } catch (error) {
      this.#server.log.error(`Exception in ASGI application\n${traceback(error)}`);
      if (this.#state === 'connecting') this.#answer(500, [], 'Internal Server Error');
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
      this.#server.log.info(`${this.#peer()} - "WebSocket ${this.#scope.path}" [accepted]`);
      await this.#accept(message.subprotocol ?? null, message.headers ?? []);
    } else if (type === 'websocket.close') {
      this.#server.log.info(`${this.#peer()} - "WebSocket ${this.#scope.path}" 403`);
      this.#answer(403, [], '');
    } else if (type === 'websocket.http.response.start') {
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
    this.#answer(status, headers, Buffer.concat(body).toString('latin1'));
  }

  #peer(): string {
    return this.#scope.client ? this.#scope.client.join(':') : '';
  }

  async #accept(subprotocol: string | null, headers: readonly AsgiHeader[]): Promise<void> {
    const { WebSocketServer } = await import('ws');
    const { config } = this.#server;
    const acceptor = new WebSocketServer({
      noServer: true,
      maxPayload: config.webSocketMaxBytes,
      perMessageDeflate: config.webSocketDeflate ? { threshold: 0, serverNoContextTakeover: false } : false,
      handleProtocols: () => subprotocol ?? false,
    });
    acceptor.on('headers', (lines) => {
      lines.push(
        ...this.#server
          .defaultHeaders()
          .split('\r\n')
          .filter((line) => line !== ''),
      );
      for (const [name, value] of headers) lines.push(`${decode(name)}: ${decode(value)}`);
    });
    acceptor.on('wsClientError', (error) => this.#answer(400, [], error.message));
    const fields = Object.fromEntries(this.#head.headers);
    const request = {
      method: this.#head.method,
      url: this.#head.target,
      headers: fields,
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

  /** Answers the handshake with an ordinary response and closes. */
  #answer(status: number, headers: readonly AsgiHeader[], body: string): void {
    this.#state = 'closed';
    const fields = headers.map(([name, value]) => `${decode(name)}: ${decode(value)}\r\n`).join('');
    const hasLength = /^content-length:/im.test(fields);
    const own = hasLength ? '' : `content-length: ${body.length}\r\n`;
    const type = fields === '' ? 'content-type: text/plain; charset=utf-8\r\n' : '';
    const head = `HTTP/1.1 ${status} ${PYTHON_PHRASES[status] ?? ''}\r\n${this.#server.defaultHeaders()}${fields}${type}${own}connection: close\r\n\r\n`;
    this.#socket.end(Buffer.from(head + body, 'latin1'));
  }
}
