// The client of the wire tests: writes bytes as they are, reads until the server closes (its timeouts are short, so it
// always does), and takes the answers apart by their framing.
import { connect } from 'node:net';

export interface Answer {
  readonly status: number;
  /** X-Up: number of the upstream's request that it answers; 0 for the proxy's own. */
  readonly up: number;
  /** The connection goes on after it, by its Connection header. */
  readonly isKept: boolean;
  /** All of its body came. */
  readonly isWhole: boolean;
}

export interface Transcript {
  /** Address of the client, which no other has had. */
  readonly client: string;
  /** All that came. */
  readonly bytes: string;
  readonly answers: readonly Answer[];
  /** Bytes that are no answer: an HTTP/0.9 body, or what no client could frame. */
  readonly rest: string;
  /** 'closed' by FIN, 'cut' by RST, 'hangs' when nothing happened for too long. */
  readonly end: 'closed' | 'cut' | 'hangs';
}

const PATIENCE_MS = 10_000;

let clients = 0;

/** A loopback address that no client had before: where many connections come and go, ports are used again. */
export function newAddress(): string {
  const n = 0x1_0000 + (clients++ % 0xfd_0000);
  return `127.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;
}

/** Sends `pieces` to `port`, one after another in writes of their own, and resolves when the connection is over. */
export function attack(
  port: number,
  pieces: string | readonly string[],
  patienceMs = PATIENCE_MS,
): Promise<Transcript> {
  return new Promise((done) => {
    const client = newAddress();
    const socket = connect({ port, host: '127.0.0.1', localAddress: client, noDelay: true });
    let bytes = '';
    let end: Transcript['end'] = 'closed';
    socket.setTimeout(patienceMs, () => {
      end = 'hangs';
      socket.destroy();
    });
    socket.setEncoding('latin1');
    socket.on('connect', () => {
      const all = typeof pieces === 'string' ? [pieces] : [...pieces];
      const next = (): void => {
        const piece = all.shift();
        if (piece !== undefined && !socket.destroyed) socket.write(piece, 'latin1', () => setImmediate(next));
      };
      next();
    });
    socket.on('data', (chunk: string) => {
      bytes += chunk;
    });
    socket.on('error', () => {
      end = 'cut';
    });
    socket.on('close', () => done({ client, bytes, ...takeApart(bytes), end }));
  });
}

/** The answers in `bytes`. HEAD is not used by the tests, so framing follows from the heads alone. */
function takeApart(bytes: string): { answers: Answer[]; rest: string } {
  const answers: Answer[] = [];
  let at = 0;
  while (at < bytes.length) {
    const stop = bytes.indexOf('\r\n\r\n', at);
    const status = Number(/^HTTP\/1\.\d (\d{3}) /.exec(bytes.slice(at, at + 13))?.[1] ?? 0);
    if (stop < 0 || status === 0) break;
    const head = bytes.slice(at, stop + 2);
    at = stop + 4;
    if (status === 100) continue;
    const length = Number(/^content-length: (\d+)\r$/im.exec(head)?.[1] ?? 0);
    if (status !== 204 && status !== 304) {
      at = /^transfer-encoding: chunked\r$/im.test(head) ? endOfChunks(bytes, at) : at + length;
    }
    answers.push({
      status,
      up: Number(/^x-up: (\d+)\r$/im.exec(head)?.[1] ?? 0),
      isKept: /^connection: keep-alive\r$/im.test(head),
      isWhole: at <= bytes.length,
    });
  }
  return { answers, rest: bytes.slice(at) };
}

function endOfChunks(bytes: string, from: number): number {
  let at = from;
  for (;;) {
    const stop = bytes.indexOf('\r\n', at);
    const size = Number.parseInt(bytes.slice(at, stop), 16);
    if (stop < 0 || Number.isNaN(size)) return bytes.length + 1;
    at = stop + 2 + size + 2;
    if (size === 0) return at;
  }
}

/** Runs `act` on each item, `width` of them at a time, and keeps their order. */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  width: number,
  act: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      results[index] = await act(items[index]!, index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, work));
  return results;
}
