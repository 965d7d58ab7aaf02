// `node bench/idle.ts PORT COUNT`: opens that many keepalive connections, asks each once for the shortest answer, prints how many
// are open and holds them until its input ends. What the server's memory grew by is what an idle client costs it.
import { connect, type Socket } from 'node:net';

const [port, count] = process.argv.slice(2).map(Number) as [number, number];
const sockets: Socket[] = [];
// With the port, as every client sends it: Caddy keeps the access log of a site for its own names only.
const head = `GET /app/hello HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;
const AT_ONCE = 200;

function open(): Promise<void> {
  return new Promise((done, fail) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(head));
    // A server whose limit is lower leaves the rest waiting.
    socket.setTimeout(10_000, () => fail(new Error(`${sockets.length} connections were opened, and no more answered`)));
    socket.once('data', () => {
      socket.setTimeout(0);
      done();
    });
    socket.on('error', fail);
    sockets.push(socket);
  });
}

try {
  while (sockets.length < count) {
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - sockets.length) }, open));
  }
} catch (error) {
  process.stderr.write(`idle: ${(error as Error).message}\n`);
  process.exit(1);
}
process.stdout.write(`${sockets.length}\n`);
process.stdin.resume();
process.stdin.on('end', () => process.exit());
