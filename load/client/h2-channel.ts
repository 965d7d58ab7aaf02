// Streams of HTTP/2, on undici: a connection is one undici Client, and each of its places for a stream is a channel that
// carries one request at a time. http: URLs get HTTP/2 with prior knowledge.
import { Client, type Dispatcher } from 'undici';
import type { Connector } from './connect.ts';
import type { Channel, Exchange, Origin } from './exchange.ts';
import { type FailureKind, failureOf } from './failure.ts';
import { madeBy } from './made-by.ts';

/** The channels of one connection. */
export function h2Channels(
  origin: Origin,
  connector: Connector,
  streams: number,
  onDone: (channel: Channel, exchange: Exchange) => void,
): Channel[] {
  const connection = new H2Connection(origin, connector, streams);
  return Array.from({ length: streams }, () => new H2Channel(origin, connection, onDone));
}

class H2Connection {
  readonly #client: Client;
  isOpen = false;

  constructor(origin: Origin, connector: Connector, streams: number) {
    const { ALPNProtocols: _, ...tls } = connector.tlsOptions(origin, []);
    // useH2c is there, and missing in the types.
    const options: Client.Options & { useH2c: boolean } = {
      allowH2: true,
      useH2c: !origin.isTls,
      pipelining: streams,
      maxConcurrentStreams: streams,
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { ...tls, lookup: connector.lookup },
    };
    this.#client = new Client(origin.href, options);
    this.#client.on('connect', () => {
      this.isOpen = true;
    });
    this.#client.on('disconnect', () => {
      this.isOpen = false;
    });
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    this.#client.dispatch(options, handler);
  }

  close(): void {
    void this.#client.destroy();
  }
}

class H2Channel implements Channel {
  readonly origin: Origin;
  current: Exchange | undefined;
  readonly #connection: H2Connection;
  readonly #onDone: (channel: Channel, exchange: Exchange) => void;
  #controller: Dispatcher.DispatchController | undefined;

  constructor(origin: Origin, connection: H2Connection, onDone: (channel: Channel, exchange: Exchange) => void) {
    this.origin = origin;
    this.#connection = connection;
    this.#onDone = onDone;
  }

  get isOpen(): boolean {
    return this.#connection.isOpen;
  }

  start(exchange: Exchange): void {
    this.current = exchange;
    exchange.freeMs = performance.now();
    let head = '';
    let bodyStart = '';
    const { plan, path, fields } = exchange.request;
    const isCurrent = (): boolean => this.current === exchange;
    this.#connection.dispatch(
      {
        path,
        method: plan.method as Dispatcher.HttpMethod,
        headers: fields,
        body: plan.body === undefined ? null : Buffer.from(plan.body),
      },
      {
        onRequestStart: (controller) => {
          this.#controller = controller;
          exchange.sentMs = performance.now();
        },
        onResponseStart: (_controller, status, headers) => {
          if (!isCurrent() || status < 200) return;
          exchange.headMs = performance.now();
          exchange.status = status;
          exchange.serverTiming = [headers['server-timing'] ?? ''].flat().join(', ');
          if (status >= 500) head = `\r\nserver: ${headers['server'] ?? ''}\r\n`;
        },
        onResponseData: (_controller, chunk) => {
          exchange.receivedBytes += chunk.length;
          if (exchange.status >= 500 && bodyStart.length < 1024) bodyStart += chunk.toString('latin1');
        },
        onResponseEnd: () => {
          if (!isCurrent()) return;
          if (exchange.status >= 500) exchange.madeBy = madeBy(head, bodyStart);
          this.#finish(undefined);
        },
        onResponseError: (_controller, error) => {
          if (isCurrent()) this.#finish(failureOf(error));
        },
      },
    );
  }

  abort(kind: FailureKind): void {
    const isConnecting = !this.isOpen;
    const controller = this.#controller;
    this.#finish(kind === 'timeout' && isConnecting ? 'connect-timeout' : kind);
    // Ends the stream, not the connection that it shares.
    controller?.abort(new Error('the generator gave up'));
  }

  close(): void {
    this.#connection.close();
  }

  #finish(failure: FailureKind | undefined): void {
    const exchange = this.current;
    if (exchange === undefined) return;
    this.current = undefined;
    this.#controller = undefined;
    exchange.endMs = performance.now();
    exchange.failure = failure;
    this.#onDone(this, exchange);
  }
}
