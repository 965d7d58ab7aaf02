// The upstream behind each of the two servers: listens on several ports, keeps every request as it came, and answers
// with the bytes that the case gives. It closes a connection when the request asks for it, or when a script ends in
// CLOSE, or answers nothing (HANG_UP).
import { createServer, type Server, type Socket } from 'node:net';

/** An answer: close at once, without a byte. */
export const HANG_UP = '';
/** Behind an answer: close after it, whatever the request said. */
export const CLOSE = '\0close';

const MOST_PORTS = 6;

export interface ScriptedUpstream {
  readonly ports: readonly number[];
  /** Forgets what came and answers with `script` from now on. */
  load(script: readonly string[]): void;
  /** What came since: each as `UP_port #connection`, then the bytes. */
  received(): string[];
  stop(): Promise<void>;
}

/** Starts one. */
export async function scriptedUpstream(): Promise<ScriptedUpstream> {
  const sockets = new Set<Socket>();
  let script: readonly string[] = [];
  let requests: string[] = [];
  let connections = 0;
  const serve = (index: number, socket: Socket): void => {
    const number = ++connections;
    sockets.add(socket);
    socket.setEncoding('latin1');
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    let pending = '';
    const answer = (length: number): void => {
      const text = pending.slice(0, length);
      pending = pending.slice(length);
      const reply = script[Math.min(requests.length, script.length - 1)] ?? NOTHING_SCRIPTED;
      requests.push(`UP_${index} #${number}\n${text}`);
      const closes = reply.endsWith(CLOSE) || /^connection: close/im.test(text) || / HTTP\/1\.0\r\n/.test(text);
      const bytes = reply.endsWith(CLOSE) ? reply.slice(0, -CLOSE.length) : reply;
      if (bytes === HANG_UP) socket.destroy();
      else if (closes && !/^HTTP\/1\.1 101 /.test(bytes)) socket.end(bytes, 'latin1');
      else socket.write(bytes, 'latin1');
    };
    socket.on('data', (chunk: string) => {
      pending += chunk;
      // A TLS handshake finds nobody to shake hands with.
      if (pending.startsWith('\x16')) socket.end();
      for (let length = messageLength(pending); length > 0; length = messageLength(pending)) answer(length);
    });
  };
  const servers: Server[] = [];
  for (let i = 0; i < MOST_PORTS; i++) {
    const server = createServer((socket) => serve(i, socket));
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    servers.push(server);
  }
  return {
    ports: servers.map((server) => (server.address() as { port: number }).port),
    load: (answers) => {
      script = answers;
      requests = [];
      connections = 0;
    },
    received: () => requests,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
    },
  };
}

const NOTHING_SCRIPTED = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\nX-From: upstream\r\n\r\nunscripted';

/** Length of the whole request that `text` begins with; 0 when more of it must come. */
function messageLength(text: string): number {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return 0;
  const head = text.slice(0, end + 2);
  if (/^transfer-encoding: chunked/im.test(head)) {
    const last = text.indexOf('\r\n0\r\n\r\n', end);
    return last < 0 ? 0 : last + 7;
  }
  const length = end + 4 + Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
  return text.length < length ? 0 : length;
}
