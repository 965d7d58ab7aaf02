// Accepts the connections of one bound socket and hands each to the protocol it speaks: HTTP/1.x, TLS, HTTP/2, with a
// PROXY protocol header in front where that was asked for. The first step of a request's path. Mirrors
// ngx_event_accept and ngx_http_init_connection.
import { Server, type Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { ClientConnection, counters } from '../http/client.ts';
import { serveHttp1 } from '../http/connection.ts';
import { serveH2 } from '../http/h2-connection.ts';
import { awaitProtocol } from '../http/open-connections.ts';
import { processLog } from '../log.ts';
import { blocksModule } from '../modules/core-blocks.ts';
import { coreModule } from '../modules/core-rows.ts';
import type { ListenAddress } from './address.ts';
import { tellPreface } from './preface.ts';
import { readProxyHeader } from './proxy-protocol.ts';
import { type Acceptor, acceptConnections, type SharedReader } from './shared-read.ts';
import { addressOf, descriptorOf, type Handle, type SocketPlan } from './sockets.ts';
import { acceptTls } from './tls-accept.ts';

/** What the process is limited to; set when it starts to serve. */
export const limits = {
  /** The events block's. */
  workerConnections: 512,
  /** An accepted connection with this descriptor or a higher one leaves too few for the rest of the work. */
  lastDescriptor: Number.POSITIVE_INFINITY,
  /** Stops accepting for a while: no descriptors are left. */
  onNoDescriptors: (): void => {},
};

/** net.Server on a handle that is bound already: `_listen2` is how a cluster's workers do it, for pipes as well. */
interface AdoptingServer {
  _handle: Handle;
  _listen2(address: null, port: -1, family: -1, backlog: number): void;
}

export class Listener implements Acceptor {
  readonly key: string;
  readonly #server: Server;
  #addresses: readonly ListenAddress[];
  /** Local addresses need not be asked for when the socket has only one. */
  #isSingle: boolean;
  #isShared: boolean;

  constructor(plan: SocketPlan) {
    this.key = plan.key;
    this.#addresses = plan.addresses;
    this.#isSingle = isSingle(plan);
    this.#isShared = isPlain(plan);
    this.#server = new Server();
    this.#server.on('error', (error) => processLog.log?.write('alert', `accept() failed (${error.message})`));
  }

  /** Starts to accept on a bound handle; resolves when connections are queued by the system. */
  listen(handle: Handle, backlog: number): Promise<void> {
    return new Promise((done, failed) => {
      this.#server.once('error', failed);
      this.#server.once('listening', () => {
        this.#server.off('error', failed);
        done();
      });
      const server = this.#server as unknown as AdoptingServer;
      server._handle = handle;
      server._listen2(null, -1, -1, backlog);
      acceptConnections(handle, this);
    });
  }

  /** Goes over to the addresses of a new configuration, for connections to come. */
  use(plan: SocketPlan): void {
    this.#addresses = plan.addresses;
    this.#isSingle = isSingle(plan);
    this.#isShared = isPlain(plan);
  }

  /** Accepts no more. Connections that are there live on. */
  close(): void {
    this.#server.close();
  }

  failed(status: number): void {
    processLog.log?.write('alert', `accept() failed (${-status}: ${getSystemErrorName(status)})`);
  }

  /** Plain HTTP/1.x reads in place; TLS, HTTP/2 and the PROXY protocol look at the stream first. */
  isShared(): boolean {
    return this.#isShared;
  }

  /** Serves a connection; returns what reads its bytes when it reads shared. */
  accept(socket: Socket): SharedReader | undefined {
    counters.accepted++;
    if (descriptorOf(socket) >= limits.lastDescriptor) limits.onNoDescriptors();
    if (counters.active >= limits.workerConnections) {
      processLog.log?.write('alert', `${limits.workerConnections} worker_connections are not enough`);
      socket.destroy();
      return undefined;
    }
    counters.handled++;
    const client = this.#client(socket);
    if (!client) {
      // The client has gone already.
      socket.destroy();
      return undefined;
    }
    const { listen } = client;
    if (listen.soKeepalive !== undefined) socket.setKeepAlive(listen.soKeepalive);
    if (coreModule.location(listen.defaultServer.root).tcp_nodelay && listen.family !== 'unix') socket.setNoDelay(true);
    if (this.#isShared) {
      const connection = serveHttp1(socket, client);
      return (bytes) => connection.readShared(bytes);
    }
    const known = awaitProtocol(socket, client);
    if (listen.isProxyProtocol) readProxyHeader(socket, client, () => serve(socket, client, known));
    else serve(socket, client, known);
    return undefined;
  }

  #client(socket: Socket): ClientConnection | undefined {
    const first = this.#addresses[0]!;
    if (first.family === 'unix') {
      return new ClientConnection(first, { address: 'unix:', port: 0 }, { address: first.text, port: 0 });
    }
    const { remoteAddress, remotePort } = socket;
    if (remoteAddress === undefined) return undefined;
    const remote = { address: remoteAddress, port: remotePort! };
    if (this.#isSingle) return new ClientConnection(first, remote, { address: first.host, port: first.port });
    const { localAddress, localPort } = socket;
    if (localAddress === undefined) return undefined;
    const exact = addressOf(this.#addresses, localAddress);
    return new ClientConnection(exact, remote, { address: localAddress, port: localPort! });
  }
}

function isSingle(plan: SocketPlan): boolean {
  return plan.addresses.length === 1 && !plan.addresses[0]!.isWildcard;
}

function isPlain(plan: SocketPlan): boolean {
  return plan.addresses.every(
    (a) => !a.isSsl && !a.isHttp2 && !a.isProxyProtocol && !blocksModule.server(a.defaultServer).http2,
  );
}

/** Starts the protocol of a connection whose first bytes are the client's own. */
function serve(socket: Socket, client: ClientConnection, known: () => void): void {
  const { listen } = client;
  const asHttp1 = (plain: Socket): void => {
    serveHttp1(plain, client);
    known();
  };
  const asH2 = (plain: Socket): void => {
    serveH2(plain, client);
    known();
  };
  if (listen.isSsl) {
    acceptTls(socket, client, (secured, protocol) => {
      if (protocol === 'h2') asH2(secured);
      else asHttp1(secured);
    });
  } else if (listen.isHttp2) asH2(socket);
  else if (blocksModule.server(listen.defaultServer).http2) tellPreface(socket, client, asH2, asHttp1);
  else asHttp1(socket);
}
