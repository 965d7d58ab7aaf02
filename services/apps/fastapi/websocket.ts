/** A WebSocket as a handler of the FastAPI-style framework sees it. */
import type { Receive, Send, WebSocketScope } from '../../asgi.ts';
import { HttpConnection } from './request.ts';

/** The peer has closed, or is gone. */
export class WebSocketDisconnect extends Error {
  override readonly name = 'WebSocketDisconnect';
  readonly code: number;

  constructor(code: number) {
    super(`code ${code}`);
    this.code = code;
  }
}

/** One WebSocket; accept() it before anything else. */
export class WebSocket extends HttpConnection<WebSocketScope> {
  readonly #receive: Receive;
  readonly #send: Send;

  constructor(scope: WebSocketScope, receive: Receive, send: Send) {
    super(scope);
    this.#receive = receive;
    this.#send = send;
  }

  async accept(subprotocol: string | null = null): Promise<void> {
    await this.#receive();
    await this.#send({ type: 'websocket.accept', subprotocol });
  }

  /** The next message, as text or bytes. Rejects with WebSocketDisconnect. */
  async receive(): Promise<string | Uint8Array> {
    const message = await this.#receive();
    if (message.type === 'websocket.receive') return message.text ?? message.bytes ?? '';
    throw new WebSocketDisconnect(message.type === 'websocket.disconnect' ? message.code : 1006);
  }

  send(data: string | Uint8Array): Promise<void> {
    return this.#send(
      typeof data === 'string' ? { type: 'websocket.send', text: data } : { type: 'websocket.send', bytes: data },
    );
  }

  close(code = 1000, reason = ''): Promise<void> {
    return this.#send({ type: 'websocket.close', code, reason });
  }
}
