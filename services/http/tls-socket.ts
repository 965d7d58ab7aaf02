/**
 * A client connection over TLS that is read and written by blocking system calls: BlockingSocket with an engine (tls-engine-thread.ts)
 * between the descriptor and the request. The handshake happens at the first read, in the time of the thread that serves, as in Gunicorn.
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker as Thread } from 'node:worker_threads';
import type { TlsFiles } from '../tls-options.ts';
import { type AllowThreads, BlockingSocket, type Endpoint } from './blocking-socket.ts';
import { ClientGone, TlsFailure } from './errors.ts';

const extension = path.extname(fileURLToPath(import.meta.url));
const PROGRAM = new URL(`./tls-engine-thread${extension}`, import.meta.url);
const NOTHING = new Uint8Array();
const WRITE_BYTES = 65536;

/** What a thread asks the engine for, about one connection; `open` begins a new one, `keep` hands plain text back for `resume`. */
export interface EngineRequest {
  readonly id: number;
  readonly kind: 'open' | 'resume' | 'feed' | 'write' | 'keep' | 'drop';
  readonly bytes: Uint8Array;
}

/** What has come of it. */
export interface EngineReply {
  readonly plain: Uint8Array;
  readonly cipher: Uint8Array;
  readonly isEnded: boolean;
  /** What is wrong with the client's TLS, in OpenSSL's words. */
  readonly error: string | null;
}

/** A thread's end of the line to the engine; it can be sent to the thread, its port in the transfer list. */
export interface EngineLine {
  readonly port: MessagePort;
  readonly signal: Int32Array;
}

/** Starts the engine of this process and gives so many lines to it. It ends with the process. */
export async function startTlsEngine(files: TlsFiles, lines: number): Promise<EngineLine[]> {
  const thread = new Thread(PROGRAM, { workerData: { files } });
  await new Promise((done, fail) => thread.once('message', done).once('error', fail));
  thread.unref();
  return Array.from({ length: lines }, () => {
    const { port1, port2 } = new MessageChannel();
    const signal = new Int32Array(new SharedArrayBuffer(4));
    thread.postMessage({ port: port2, signal }, [port2]);
    port1.unref();
    return { port: port1, signal };
  });
}

function ask({ port, signal }: EngineLine, request: EngineRequest): EngineReply {
  const seen = Atomics.load(signal, 0);
  port.postMessage(request);
  Atomics.wait(signal, 0, seen);
  return receiveMessageOnPort(port)?.message as EngineReply;
}

/** The bytes of one connection, decrypted. `id` names it to the engine; the first request of a connection opens it. */
export class TlsBlockingSocket extends BlockingSocket {
  readonly #line: EngineLine;
  readonly #id: number;
  #first: 'open' | 'resume' | null;
  #early: Buffer | null;
  #plain = Buffer.alloc(0);
  #isEnded = false;

  constructor(
    connection: { readonly fd: number; readonly peer: Endpoint; readonly local: Endpoint; readonly id: number },
    line: EngineLine,
    allowThreads: AllowThreads,
    early: Buffer | null,
    isNew: boolean,
  ) {
    super(connection.fd, connection.peer, connection.local, allowThreads);
    this.#line = line;
    this.#id = connection.id;
    this.#first = isNew ? 'open' : 'resume';
    this.#early = early;
  }

  protected override receive(): Buffer {
    if (this.#first) {
      this.#exchange(this.#first, NOTHING);
      // What was read ahead by the main thread; only a sign when there is plain text left.
      if (this.#early && this.#plain.length === 0) this.#exchange('feed', this.#early);
      this.#first = null;
    }
    while (this.#plain.length === 0 && !this.#isEnded) this.#exchange('feed', super.receive());
    const plain = this.#plain;
    this.#plain = Buffer.alloc(0);
    return plain;
  }

  protected override transmit(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += WRITE_BYTES) {
      this.#exchange('write', bytes.subarray(at, at + WRITE_BYTES));
    }
  }

  #exchange(kind: EngineRequest['kind'], bytes: Uint8Array): void {
    const reply = this.allowThreads(() => ask(this.#line, { id: this.#id, kind, bytes }));
    if (reply.plain.length > 0) this.#plain = Buffer.concat([this.#plain, reply.plain]);
    this.#isEnded ||= reply.isEnded;
    if (reply.cipher.length > 0) super.transmit(reply.cipher);
    if (reply.error !== null) throw new TlsFailure(reply.error);
    if (kind === 'write' && reply.isEnded) throw new ClientGone('EPIPE');
  }

  /** Leaves decrypted bytes for the next request of the connection; whether there are any. */
  keepPending(): boolean {
    const rest = Buffer.concat([this.pending ?? NOTHING, this.#plain]);
    if (rest.length > 0) ask(this.#line, { id: this.#id, kind: 'keep', bytes: rest });
    return rest.length > 0;
  }
}

/** Lets the engine forget a connection that is over. Waits until it has: its id may be used again at once. */
export function forgetConnection(line: EngineLine, id: number): void {
  ask(line, { id, kind: 'drop', bytes: NOTHING });
}
