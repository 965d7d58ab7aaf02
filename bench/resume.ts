// `node bench/resume.ts URL SECONDS CONNECTIONS`: one TLS connection after the other in each of the lanes, one request each, all
// with the session of the lane's last one; one line of JSON. A handshake that was not resumed counts as an error. Started by
// generators.ts. Host is the address with its port, as every client sends it: Caddy keeps the access log of a site for its own
// names only. The key exchange is the one that all peers have.
import { connect } from 'node:tls';

const [address, seconds, connections] = process.argv.slice(2) as [string, string, string];
const url = new URL(address);
const head = `GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: close\r\n\r\n`;
const endsMs = performance.now() + Number(seconds) * 1000;
const tookMs: number[] = [];
let errors = 0;

/** One connection; the session to go on with. */
function once(session: Buffer | undefined): Promise<Buffer | undefined> {
  return new Promise((done) => {
    const beganMs = performance.now();
    let next = session;
    let isAnswered = false;
    const socket = connect({
      port: Number(url.port),
      host: url.hostname,
      rejectUnauthorized: false,
      ecdhCurve: 'X25519:P-256',
      ...(session === undefined ? {} : { session }),
    });
    socket.on('secureConnect', () => {
      if (session !== undefined && !socket.isSessionReused()) errors++;
      socket.write(head);
    });
    socket.on('session', (fresh) => {
      next = fresh;
    });
    socket.on('data', () => {
      isAnswered = true;
    });
    socket.on('end', () => socket.destroy());
    socket.on('error', () => {});
    socket.setTimeout(5000, () => socket.destroy());
    socket.on('close', () => {
      if (isAnswered && session !== undefined) tookMs.push(performance.now() - beganMs);
      else if (!isAnswered) errors++;
      done(next);
    });
  });
}

async function lane(): Promise<void> {
  let session: Buffer | undefined;
  while (performance.now() < endsMs) session = await once(session);
}

await Promise.all(Array.from({ length: Number(connections) }, lane));
tookMs.sort((a, b) => a - b);
process.stdout.write(
  JSON.stringify({
    requests: tookMs.length,
    requestsPerSecond: tookMs.length / Number(seconds),
    p50Ms: tookMs[Math.floor(tookMs.length * 0.5)] ?? null,
    p99Ms: tookMs[Math.floor(tookMs.length * 0.99)] ?? null,
    errors,
  }),
);
