// The upstream behind the proxy under attack. It keeps the raw bytes of every connection, has them read by llhttp in its
// strict mode, and numbers its answers: so a test knows which requests reached it, for which client (X-Client, the
// client's address, is set by the proxy), and that nothing reached it that can be read in two ways.
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { FedConnection, headOf, type ParsedRequest } from './llhttp.ts';

export interface Forwarded extends ParsedRequest {
  /** Its number, which the answer carries in X-Up. */
  readonly number: number;
  /** Address of the client whose request it is. */
  readonly client: string;
  /** The body is whole. */
  isComplete: boolean;
  body: string;
}

export interface RecordingUpstream {
  readonly port: number;
  readonly requests: Forwarded[];
  /** What llhttp refused to read: its code, and the raw bytes of the connection. */
  readonly refused: { readonly fault: string; readonly bytes: string }[];
  stop(): Promise<void>;
}

class Wire extends FedConnection {
  readonly #socket: Socket;
  bytes = '';

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.bytes = (this.bytes + chunk.toString('latin1')).slice(-4000);
      this.push(chunk);
    });
    socket.on('end', () => this.push(null));
    socket.on('close', () => this.destroy());
    socket.on('error', () => this.destroy());
    this.on('error', () => undefined);
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#socket.write(chunk, () => done());
  }

  override _final(done: () => void): void {
    this.#socket.end();
    done();
  }

  override _destroy(_error: Error | null, done: () => void): void {
    this.#socket.destroy();
    done();
  }
}

/** Starts one. It answers 200 when a request is whole; one for a path with `early` in it, as soon as the head is there. */
export async function recordingUpstream(): Promise<RecordingUpstream> {
  const requests: Forwarded[] = [];
  const refused: { fault: string; bytes: string }[] = [];
  const wires = new Set<Wire>();
  const http = createHttp({ requireHostHeader: false, insecureHTTPParser: false, keepAliveTimeout: 0 });
  const take = (message: IncomingMessage, response: ServerResponse): void => {
    const client = String(message.headers['x-client'] ?? '');
    const entry: Forwarded = { ...headOf(message, ''), number: requests.length + 1, client, isComplete: false };
    requests.push(entry);
    const answer = (): void => {
      response.writeHead(200, { 'X-Up': String(entry.number), 'Content-Length': 3 }).end('up\n');
    };
    message.on('error', () => undefined);
    message.setEncoding('latin1');
    message.on('data', (chunk: string) => {
      entry.body += chunk;
    });
    message.on('end', () => {
      entry.isComplete = true;
      if (!isEarly) answer();
    });
    const isEarly = entry.target.includes('early');
    if (isEarly) answer();
  };
  http.on('request', take).on('checkContinue', take).on('checkExpectation', take);
  http.on('clientError', (error: NodeJS.ErrnoException, wire: Duplexish) => {
    // A proxy that gives up on a request (its client went away, or broke the body's framing) cuts it: no ambiguity.
    const isCut = error.code === 'HPE_INVALID_EOF_STATE' || error.code === 'ECONNRESET';
    if (!isCut) refused.push({ fault: error.code ?? error.message, bytes: (wire as unknown as Wire).bytes });
    wire.destroy();
  });
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const wire = new Wire(socket);
    wires.add(wire);
    wire.on('close', () => wires.delete(wire));
    http.emit('connection', wire);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    port: (server.address() as { port: number }).port,
    requests,
    refused,
    async stop() {
      for (const wire of wires) wire.destroy();
      http.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

interface Duplexish {
  destroy(): void;
}
