/**
 * TLS without a socket, for the threads of a worker that read and write by blocking calls: what Python's ssl.MemoryBIO is. A thread
 * hands in the bytes that it has read, or those that it wants to send, and waits; back come plain text, and bytes for the socket. The sockets
 * stay with the threads, so that when a worker accepts, blocks and closes is not touched by TLS. Runs as one thread a worker process.
 */
import { Duplex } from 'node:stream';
import { createSecureContext, TLSSocket } from 'node:tls';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { acceptsClient, type TlsFiles, tlsOptions } from '../tls-options.ts';
import type { EngineReply, EngineRequest } from './tls-socket.ts';

const { files } = workerData as { files: TlsFiles };
const options = tlsOptions(files);
const secureContext = createSecureContext(options);

/** One connection's TLS. */
class Engine {
  readonly #plain: Buffer[] = [];
  readonly #cipher: Buffer[] = [];
  readonly #raw: Duplex;
  readonly #tls: TLSSocket;
  #isEnded = false;
  #error: string | null = null;
  #events = 0;

  constructor() {
    this.#raw = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _encoding, done) => {
        this.#cipher.push(chunk);
        this.#events++;
        done();
      },
    });
    this.#tls = new TLSSocket(this.#raw, { ...options, secureContext, isServer: true });
    this.#tls.on('data', (bytes: Buffer) => {
      this.#plain.push(bytes);
      this.#events++;
    });
    this.#tls.on('secure', () => {
      if (!acceptsClient(this.#tls, files)) this.#fail('[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed');
    });
    this.#tls.on('end', () => this.#end());
    this.#tls.on('close', () => this.#end());
    this.#tls.on('error', (error: NodeJS.ErrnoException & { reason?: string }) => {
      const code = /^ERR_SSL_(.*)$/.exec(error.code ?? '')?.[1];
      if (code) this.#fail(`[SSL: ${code}] ${error.reason ?? error.message}`);
      else this.#end();
    });
  }

  #end(): void {
    this.#isEnded = true;
    this.#events++;
  }

  #fail(message: string): void {
    this.#error ??= message;
    this.#events++;
  }

  feed(bytes: Buffer): void {
    this.#raw.push(bytes.length > 0 ? bytes : null);
  }

  write(bytes: Buffer): void {
    this.#tls.write(bytes);
  }

  /** Plain text that was taken out and not used comes out again first. */
  keep(bytes: Buffer): void {
    this.#plain.unshift(bytes);
  }

  drop(): void {
    this.#tls.destroy();
  }

  /** All that has come of it. The streams in between need a turn or two of the loop: it is over when two pass without an event. */
  async settle(): Promise<EngineReply> {
    for (let quiet = 0, seen = this.#events; quiet < 2; ) {
      await new Promise((done) => setImmediate(done));
      quiet = this.#events === seen ? quiet + 1 : 0;
      seen = this.#events;
    }
    const reply = {
      plain: Buffer.concat(this.#plain.splice(0)),
      cipher: Buffer.concat(this.#cipher.splice(0)),
      isEnded: this.#isEnded,
      error: this.#error,
    };
    return reply;
  }
}

const engines = new Map<number, Engine>();

async function serve(request: EngineRequest): Promise<EngineReply> {
  if (request.kind === 'open') {
    engines.get(request.id)?.drop();
    engines.set(request.id, new Engine());
  }
  const engine = engines.get(request.id);
  if (!engine) return { plain: new Uint8Array(), cipher: new Uint8Array(), isEnded: true, error: null };
  if (request.kind === 'drop') {
    engine.drop();
    engines.delete(request.id);
  } else if (request.kind !== 'open' && request.kind !== 'resume') engine[request.kind](Buffer.from(request.bytes));
  // What is kept must stay until somebody asks.
  if (request.kind === 'keep')
    return { plain: new Uint8Array(), cipher: new Uint8Array(), isEnded: false, error: null };
  return engine.settle();
}

parentPort!.on('message', ({ port, signal }: { port: MessagePort; signal: Int32Array }) => {
  port.on('message', (request: EngineRequest) => {
    void serve(request).then((reply) => {
      port.postMessage(reply);
      Atomics.add(signal, 0, 1);
      Atomics.notify(signal, 0);
    });
  });
});
parentPort!.postMessage('ready');
