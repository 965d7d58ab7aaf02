/**
 * One request and its response on the ASGI side: the receive() and send() that the application gets, the head with Uvicorn's fields, the
 * framing of the body, and what happens when the application breaks the protocol. Mirrors RequestResponseCycle of Uvicorn.
 */
import type { AsgiApp, AsgiHeader, HttpScope, ReceiveMessage, SendMessage } from '../asgi.ts';
import { owe, settle } from '../cost/bill.ts';
import { ServerTiming } from '../http/server-timing.ts';
import { traceback } from '../python-repr.ts';
import { collectTimings } from '../timed.ts';
import type { Dialect } from './dialect.ts';
import { Flag } from './flow.ts';

const BAD_NAME = /[\x00-\x1f\x7f()<>@,;:[\]={} \t\\"]/;
const BAD_VALUE = /[\x00-\x08\x0a-\x1f\x7f]/;
const HIGH_WATER_BYTES = 65536;

/** What a cycle needs of its connection. */
export interface CycleConnection {
  readonly isClosing: boolean;
  readonly writable: Flag;
  write(data: Buffer): void;
  /** Holds back small writes until this turn of the loop has ended. */
  cork(): void;
  close(): void;
  pauseReading(): void;
  resumeReading(): void;
  onResponseComplete(): void;
}

/** A request that is over, for a log that is written then. */
export interface DoneRequest {
  readonly scope: HttpScope;
  readonly status: number;
  readonly headers: readonly AsgiHeader[];
  readonly sentBytes: number;
  readonly durationMs: number;
}

/** What a cycle needs of its server. */
export interface CycleServer {
  readonly defaultHeaders: () => string;
  readonly logError: (message: string) => void;
  readonly logWarning: (message: string) => void;
  readonly logAccess: ((scope: HttpScope, status: number) => void) | null;
  readonly logDone: ((done: DoneRequest) => void) | null;
  readonly dialect: Dialect;
}

class ProtocolError extends Error {
  override readonly name = 'RuntimeError';
}

/** One request in hand. */
export class Cycle {
  readonly scope: HttpScope;
  isDisconnected = false;
  isComplete = false;
  keepAlive: boolean;
  /** Whether the body is still to come in part. */
  moreBody = true;
  readonly changed = new Flag();
  readonly #connection: CycleConnection;
  readonly #server: CycleServer;
  readonly #timing: ServerTiming | null;
  #isStarted = false;
  #waitsForContinue: boolean;
  #isChunked: boolean | null = null;
  #expectedBytes = 0;
  #body: Buffer[] = [];
  #bodyBytes = 0;
  readonly #begun = performance.now();
  #status = 500;
  #headers: readonly AsgiHeader[] = [];
  #sentBytes = 0;
  #hasWarned = false;
  #isAnswered = false;
  #heldHead: string | null = null;
  // HTTP/1.0 without a length: the end of the connection is that of the body.
  #endsWithConnection = false;

  constructor(
    scope: HttpScope,
    connection: CycleConnection,
    server: CycleServer,
    request: { keepAlive: boolean; expectsContinue: boolean; requestStart: string | null },
  ) {
    this.scope = scope;
    this.#connection = connection;
    this.#server = server;
    this.keepAlive = request.keepAlive;
    this.#waitsForContinue = request.expectsContinue;
    this.#timing = request.requestStart === null ? null : new ServerTiming(request.requestStart);
  }

  /** Bytes of the body have come. */
  addBody(bytes: Buffer): void {
    this.#body.push(bytes);
    this.#bodyBytes += bytes.length;
    if (this.#bodyBytes > HIGH_WATER_BYTES) this.#connection.pauseReading();
    this.changed.set();
  }

  /** Fields after the body join those of the head, where Uvicorn's parser puts them. */
  addTrailers(fields: readonly (readonly [string, string])[]): void {
    (this.scope.headers as AsgiHeader[]).push(...fields.map(([name, value]) => field(name, value)));
  }

  /** Runs the application to its end, and answers for it when it fails. Never rejects. */
  async run(app: AsgiApp): Promise<void> {
    try {
      const result: unknown = await collectTimings(this.#timing?.timings ?? null, () =>
        app(this.scope, this.receive, this.send),
      );
      if (result !== undefined && result !== null) {
        this.#server.logError(`ASGI callable should return None, but returned '${String(result)}'.`);
        this.#connection.close();
      } else if (!this.#isStarted && !this.isDisconnected) {
        this.#logEarlyReturn();
        await this.#send500();
      } else if (!this.isComplete && !this.isDisconnected) {
        this.#logEarlyReturn();
        this.#connection.close();
      }
    } catch (error) {
      const text = this.#server.dialect.failure(this.isComplete);
      if (text !== null) this.#server.logError(`${text}\n${traceback(error)}`);
      if (this.#isStarted) this.#connection.close();
      else await this.#send500();
    } finally {
      if (this.#isStarted || this.#isAnswered) this.#server.logDone?.(this.#done());
    }
  }

  #done(): DoneRequest {
    return {
      scope: this.scope,
      status: this.#status,
      headers: this.#headers,
      sentBytes: this.#sentBytes,
      durationMs: performance.now() - this.#begun,
    };
  }

  /** Gives the task up: what an application sees as CancelledError ends it, so the answer is the one to an error. */
  async cancel(): Promise<void> {
    if (this.isComplete) return;
    this.#server.logError('Exception in ASGI application\nCancelledError: Task cancelled');
    if (this.#isStarted) this.#connection.close();
    else await this.#send500();
    this.isDisconnected = true;
  }

  readonly receive = async (): Promise<ReceiveMessage> => {
    const isThere = this.#bodyBytes > 0 || !this.moreBody;
    if (isThere && !this.#server.dialect.alwaysContinues) this.#waitsForContinue = false;
    if (this.#waitsForContinue && !this.#connection.isClosing) {
      this.#connection.write(Buffer.from('HTTP/1.1 100 Continue\r\n\r\n'));
      this.#waitsForContinue = false;
    }
    if (!this.isDisconnected && !this.isComplete) {
      this.#connection.resumeReading();
      await this.changed.wait();
      this.changed.clear();
    }
    if (this.isDisconnected || this.isComplete) return { type: 'http.disconnect' };
    const body = this.#body.length === 1 ? (this.#body[0] as Buffer) : Buffer.concat(this.#body);
    this.#body = [];
    this.#bodyBytes = 0;
    return { type: 'http.request', body, more_body: this.moreBody };
  };

  readonly send = async (message: SendMessage): Promise<void> => {
    if (!this.#connection.writable.isSet && !this.isDisconnected) await this.#connection.writable.wait();
    if (this.isDisconnected) return;
    if (!this.#isStarted) {
      if (message.type !== 'http.response.start') {
        throw new ProtocolError(`Expected ASGI message 'http.response.start', but got '${message.type}'.`);
      }
      this.#start(message.status, message.headers ?? []);
    } else if (!this.isComplete) {
      if (message.type !== 'http.response.body') {
        throw new ProtocolError(`Expected ASGI message 'http.response.body', but got '${message.type}'.`);
      }
      this.#write(Buffer.from(message.body ?? ''), message.more_body ?? false);
    } else {
      throw new ProtocolError(`Unexpected ASGI message '${message.type}' sent, after response already completed.`);
    }
  };

  #start(status: number, headers: readonly AsgiHeader[]): void {
    const { dialect } = this.#server;
    if (!dialect.holdsHeads) this.#isStarted = true;
    this.#waitsForContinue = false;
    owe('uvicorn.request');
    settle();
    this.#server.logAccess?.(this.scope, status);
    this.#status = status;
    this.#headers = headers;
    let fields = '';
    for (const [nameBytes, valueBytes] of headers) {
      const name = latin1(nameBytes).toLowerCase();
      const value = latin1(valueBytes);
      if (BAD_NAME.test(name)) throw new ProtocolError('Invalid HTTP header name.');
      if (BAD_VALUE.test(value)) throw new ProtocolError('Invalid HTTP header value.');
      if (name === 'content-length' && this.#isChunked === null) {
        this.#expectedBytes = Number(value);
        this.#isChunked = false;
      } else if (name === 'transfer-encoding' && value.toLowerCase() === 'chunked') {
        this.#expectedBytes = 0;
        this.#isChunked = true;
      } else if (
        name === 'connection' &&
        value
          .toLowerCase()
          .split(',')
          .some((token) => token.trim() === 'close')
      ) {
        this.keepAlive = false;
      }
      fields += `${dialect.holdsHeads ? latin1(nameBytes) : name}: ${value}\r\n`;
    }
    const version = this.scope.http_version;
    const isUnframed = this.#isChunked === null && this.scope.method !== 'HEAD' && status !== 204 && status !== 304;
    const isChunked = isUnframed && !(dialect.knowsHttp10 && version === '1.0');
    if (isChunked) this.#isChunked = true;
    else if (isUnframed) {
      this.#endsWithConnection = true;
      this.keepAlive = false;
    }
    const closes = !this.keepAlive;
    let head = dialect.head({ version, status, fields, isChunked, closes }, this.#server.defaultHeaders());
    if (this.#timing) head += `server-timing: ${this.#timing.value()}\r\n`;
    this.#isStarted = true;
    this.#connection.cork();
    if (dialect.holdsHeads) this.#heldHead = `${head}\r\n`;
    else this.#connection.write(Buffer.from(`${head}\r\n`, 'latin1'));
  }

  #logEarlyReturn(): void {
    const text = this.#server.dialect.earlyReturn(this.#isStarted);
    if (text !== null) this.#server.logError(text);
  }

  #writeHeldHead(): void {
    if (this.#heldHead === null) return;
    this.#connection.write(Buffer.from(this.#heldHead, 'latin1'));
    this.#heldHead = null;
  }

  #write(whole: Buffer, moreBody: boolean): void {
    const { cutsBodies } = this.#server.dialect;
    const isCut = cutsBodies && this.#isChunked === false && this.scope.method !== 'HEAD';
    const body = isCut ? whole.subarray(0, this.#expectedBytes) : whole;
    if (body.length > 0 || !moreBody) this.#writeHeldHead();
    if (this.scope.method !== 'HEAD') this.#sentBytes += body.length;
    if (this.scope.method === 'HEAD') this.#dropBody(body);
    else if (this.#endsWithConnection) this.#connection.write(body);
    else if (this.#isChunked) {
      if (body.length > 0) {
        this.#connection.cork();
        this.#connection.write(Buffer.from(`${body.length.toString(16)}\r\n`));
        this.#connection.write(body);
        this.#connection.write(Buffer.from(moreBody ? '\r\n' : '\r\n0\r\n\r\n'));
      } else if (!moreBody) this.#connection.write(Buffer.from('0\r\n\r\n'));
    } else {
      if (body.length > this.#expectedBytes) throw new ProtocolError('Response content longer than Content-Length');
      this.#expectedBytes -= body.length;
      if (body.length > 0) this.#connection.write(body);
    }
    if (moreBody) return;
    if (this.#expectedBytes !== 0 && cutsBodies) this.keepAlive = false;
    else if (this.#expectedBytes !== 0) throw new ProtocolError('Response content shorter than Content-Length');
    this.isComplete = true;
    this.changed.set();
    if (!this.keepAlive) this.#connection.close();
    this.#connection.onResponseComplete();
  }

  #dropBody(body: Buffer): void {
    this.#expectedBytes = 0;
    if (body.length === 0 || this.#hasWarned || !this.#server.dialect.warnsOfBodies) return;
    this.#hasWarned = true;
    const what = `(method=HEAD status=${this.#status}); dropping per RFC 9110.`;
    this.#server.logWarning(`ASGI app sent body bytes on a no-body response ${what}`);
  }

  async #send500(): Promise<void> {
    const { serverError } = this.#server.dialect;
    if (serverError) {
      this.#isAnswered = !this.#connection.isClosing;
      this.#connection.write(serverError);
      this.#connection.close();
      return;
    }
    const headers: AsgiHeader[] = [
      field('content-type', 'text/plain; charset=utf-8'),
      field('content-length', '21'),
      field('connection', 'close'),
    ];
    try {
      await this.send({ type: 'http.response.start', status: 500, headers });
      await this.send({ type: 'http.response.body', body: Buffer.from('Internal Server Error') });
    } catch {
      this.#connection.close();
    }
  }
}

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');

/** A header field from text. */
export function field(name: string, value: string): AsgiHeader {
  return [Buffer.from(name, 'latin1'), Buffer.from(value, 'latin1')];
}

/** Uvicorn's answer when limit_concurrency is exceeded: an application of its own. */
export const serviceUnavailable: AsgiApp = async (_scope, _receive, send) => {
  const headers = [
    field('content-type', 'text/plain; charset=utf-8'),
    field('content-length', '19'),
    field('connection', 'close'),
  ];
  await send({ type: 'http.response.start', status: 503, headers });
  await send({ type: 'http.response.body', body: Buffer.from('Service Unavailable') });
};
