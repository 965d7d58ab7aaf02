// An upstream server that answers with the bytes a test gives it and keeps what it was sent: for what a well-behaved
// HTTP library would never send.
import { createServer, type Server, type Socket } from 'node:net';

export interface FakeRequest {
  /** Head and body as received so far, latin1. */
  readonly text: string;
  readonly socket: Socket;
  /** Number of the connection that it came on, from 1. */
  readonly connection: number;
}

export interface FakeUpstream {
  readonly port: number;
  /** Every request, in order. */
  readonly requests: FakeRequest[];
  connections: number;
  stop(): Promise<void>;
}

/** Calls `answer` for every request, once its head (and a body of Content-Length) is there. */
export async function fakeUpstream(answer: (request: FakeRequest) => void): Promise<FakeUpstream> {
  const sockets = new Set<Socket>();
  const upstream = { port: 0, requests: [] as FakeRequest[], connections: 0 };
  const server: Server = createServer((socket) => {
    const connection = ++upstream.connections;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    socket.setEncoding('latin1');
    let pending = '';
    socket.on('data', (chunk: string) => {
      pending += chunk;
      for (;;) {
        const head = pending.indexOf('\r\n\r\n');
        if (head < 0) return;
        const length = Number(/^content-length: (\d+)/im.exec(pending.slice(0, head))?.[1] ?? 0);
        const isChunked = /^transfer-encoding: chunked/im.test(pending.slice(0, head));
        const last = isChunked ? pending.indexOf('0\r\n\r\n', head + 4) : 0;
        if (last < 0 || pending.length < head + 4 + length) return;
        const end = isChunked ? last + 5 : head + 4 + length;
        const request = { text: pending.slice(0, end), socket, connection };
        pending = pending.slice(end);
        upstream.requests.push(request);
        answer(request);
      }
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  upstream.port = (server.address() as { port: number }).port;
  return Object.assign(upstream, {
    stop: () =>
      new Promise<void>((done) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => done());
      }),
  });
}

/** A complete response with Content-Length. */
export function ok(body: string, ...headers: string[]): string {
  return ['HTTP/1.1 200 OK', `Content-Length: ${body.length}`, ...headers, '', body].join('\r\n');
}
