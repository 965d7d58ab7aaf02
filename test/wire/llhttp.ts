// Node's llhttp as the strict second opinion: raw bytes go in, the requests that it sees come out, and the first thing
// that it refuses. Used on what clients send (differential) and on what a proxy forwarded (it must be unambiguous).
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Duplex } from 'node:stream';

/** A request as llhttp read it. */
export interface ParsedRequest {
  readonly method: string;
  readonly target: string;
  readonly version: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

export interface Parsed {
  /** Those that are whole, but for what it threw away with a fault in the same bytes. */
  readonly requests: readonly ParsedRequest[];
  /** Heads that it took. */
  readonly heads: number;
  /** llhttp's code for what it refused (`HPE_…`), if anything. */
  readonly fault: string | undefined;
}

/** A connection whose bytes are given to it, and whose answers go nowhere. */
export class FedConnection extends Duplex {
  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done();
  }
}

/** llhttp's view of a request. */
export function headOf(message: IncomingMessage, body: string): ParsedRequest {
  const headers: [string, string][] = [];
  const { rawHeaders } = message;
  for (let i = 0; i < rawHeaders.length; i += 2) headers.push([rawHeaders[i]!, rawHeaders[i + 1]!]);
  return { method: message.method!, target: message.url!, version: message.httpVersion, headers, body };
}

/** Reads `bytes` as the whole of what one client sends. */
export function parseStrictly(bytes: string): Promise<Parsed> {
  return new Promise((done) => {
    const requests: ParsedRequest[] = [];
    let fault: string | undefined;
    let heads = 0;
    const server = createServer({ requireHostHeader: false, insecureHTTPParser: false });
    const take = (message: IncomingMessage, response: ServerResponse): void => {
      let body = '';
      heads++;
      message.on('error', () => undefined);
      message.setEncoding('latin1').on('data', (chunk: string) => {
        body += chunk;
      });
      message.on('end', () => {
        requests.push(headOf(message, body));
        response.end();
      });
    };
    server.on('request', take).on('checkContinue', take).on('checkExpectation', take);
    const tunnel = (message: IncomingMessage): void => {
      heads++;
      requests.push(headOf(message, ''));
      connection.destroy();
    };
    server.on('connect', tunnel).on('upgrade', tunnel);
    server.on('clientError', (error: NodeJS.ErrnoException) => {
      fault ??= error.code ?? error.message;
      connection.destroy();
    });
    const connection = new FedConnection();
    connection.on('error', () => undefined);
    connection.on('close', () => {
      server.closeAllConnections();
      done({ requests, heads, fault });
    });
    server.emit('connection', connection);
    connection.push(Buffer.from(bytes, 'latin1'));
    // An end that is there at once would cut off the bodies: they are read a turn later.
    setImmediate(() => setImmediate(() => setImmediate(() => connection.push(null))));
  });
}
