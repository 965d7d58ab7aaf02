// `node bench/messages.ts URL SECONDS CONNECTIONS`: WebSocket messages of 34 bytes, back and forth on each connection, closed
// loop; one line of JSON. Started by generators.ts.
import { WebSocket } from 'ws';

const [url, seconds, connections] = process.argv.slice(2) as [string, string, string];
const text = 'x'.repeat(34);
let requests = 0;
let errors = 0;
const sockets: WebSocket[] = [];
for (let i = 0; i < Number(connections); i++) {
  const socket = new WebSocket(url.replace(/^http/, 'ws'));
  socket.on('open', () => socket.send(text));
  socket.on('message', () => {
    requests++;
    socket.send(text);
  });
  socket.on('error', () => errors++);
  sockets.push(socket);
}
const startedMs = performance.now();
setTimeout(() => {
  const spentSeconds = (performance.now() - startedMs) / 1000;
  process.stdout.write(
    JSON.stringify({
      requests,
      requestsPerSecond: requests / spentSeconds,
      p50Ms: Number.NaN,
      p99Ms: Number.NaN,
      errors,
    }),
  );
  for (const socket of sockets) socket.terminate();
}, Number(seconds) * 1000);
