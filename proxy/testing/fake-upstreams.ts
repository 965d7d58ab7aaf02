// The far side of a configuration under test: an HTTP server of its own for each upstream that the test declares, and
// the map from the configuration's names and addresses to them. A name gets an address out of a block that is routed
// nowhere (RFC 2544), so that logs and `$upstream_addr` show one; what the test does not declare refuses connections.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { HostAddress } from '../resolver-hosts.ts';
import type { Peer, PeerAddress } from '../upstream/peer.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { throwawayCertificate } from './throwaway-certificate.ts';
import type { FakeAnswer, FakeUpstream, UpstreamRecord, UpstreamRequest } from './types.ts';

interface Ports {
  readonly plain: number;
  readonly tls: number;
}

/** Nobody listens there, and binding it needs a privilege. */
const REFUSED: PeerAddress = { family: 4, host: '127.0.0.1', port: 1 };

export class FakeUpstreams {
  readonly #ports = new Map<string, Ports | null>();
  readonly #servers: Server[] = [];
  readonly #addresses = new Map<string, string>();
  readonly #names = new Map<string, string>();
  readonly records: Record<string, UpstreamRecord> = {};

  /** Starts a server for each. */
  static async start(declared: Readonly<Record<string, FakeUpstream>>): Promise<FakeUpstreams> {
    const fakes = new FakeUpstreams();
    for (const [name, fake] of Object.entries(declared)) await fakes.#add(name, fake);
    return fakes;
  }

  async #add(name: string, fake: FakeUpstream): Promise<void> {
    const requests: UpstreamRequest[] = [];
    this.records[name] = { requests };
    if (fake === null) {
      this.#ports.set(name.toLowerCase(), null);
      return;
    }
    const answerOf = answering(fake);
    const serve = (message: IncomingMessage, response: ServerResponse): void => {
      void receive(message).then(async (request) => {
        requests.push(request);
        try {
          send(response, await answerOf(request));
        } catch {
          message.socket.destroy();
        }
      });
    };
    const { certificate: cert, key } = await throwawayCertificate();
    const plain = await listen(createServer({ keepAliveTimeout: 0 }, serve));
    const tls = await listen(createTlsServer({ cert, key, keepAliveTimeout: 0 }, serve));
    this.#servers.push(plain, tls);
    this.#ports.set(name.toLowerCase(), { plain: portOf(plain), tls: portOf(tls) });
  }

  /** The address that stands for a host name. */
  lookup(host: string): readonly HostAddress[] {
    let address = this.#addresses.get(host);
    if (address === undefined) {
      const number = this.#addresses.size + 1;
      address = `198.18.${number >> 8}.${number & 255}`;
      this.#addresses.set(host, address);
      this.#names.set(address, host);
    }
    return [{ address, family: 4 }];
  }

  /** Where a connection to `peer` goes: the fake declared for the server as written, for its host, or for the upstream. */
  route(peer: Peer, upstream: Upstream, isTls: boolean): PeerAddress {
    const { host, port } = peer.address;
    const name = this.#names.get(host) ?? host;
    for (const key of [peer.server, `${name}:${port}`, peer.name, name, upstream.name]) {
      const ports = this.#ports.get(key.toLowerCase());
      if (ports === null) return REFUSED;
      if (ports) return { family: 4, host: '127.0.0.1', port: isTls ? ports.tls : ports.plain };
    }
    return REFUSED;
  }

  async stop(): Promise<void> {
    for (const server of this.#servers) {
      const closed = new Promise((done) => server.close(done));
      server.closeAllConnections();
      await closed;
    }
  }
}

async function listen<T extends Server>(server: T): Promise<T> {
  await new Promise<void>((done, failed) => {
    server.once('error', failed);
    server.listen(0, '127.0.0.1', done);
  });
  server.unref();
  return server;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

type Answering = (request: UpstreamRequest) => string | FakeAnswer | Promise<string | FakeAnswer>;

function answering(fake: Exclude<FakeUpstream, null>): Answering {
  if (typeof fake === 'function') return fake;
  if (!Array.isArray(fake)) return () => fake as string | FakeAnswer;
  const list = fake as readonly (string | FakeAnswer)[];
  let next = 0;
  return () => list[Math.min(next++, list.length - 1)] ?? {};
}

async function receive(message: IncomingMessage): Promise<UpstreamRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks).toString();
  const { rawHeaders } = message;
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(message.headers))
    headers[name] = Array.isArray(value) ? value.join(', ') : value!;
  return {
    method: message.method!,
    url: message.url!,
    httpVersion: message.httpVersion,
    headers,
    rawHeaders: rawHeaders.flatMap((name, i) => (i % 2 === 0 ? [[name, rawHeaders[i + 1]!] as const] : [])),
    body,
    json: () => JSON.parse(body) as unknown,
  };
}

function send(response: ServerResponse, answer: string | FakeAnswer): void {
  const { status = 200, headers = {}, body = '' } = typeof answer === 'string' ? { body: answer } : answer;
  const isRaw = typeof body === 'string' || body instanceof Uint8Array;
  response.statusCode = status;
  if (!isRaw) response.setHeader('content-type', 'application/json');
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.end(isRaw ? body : JSON.stringify(body));
}
