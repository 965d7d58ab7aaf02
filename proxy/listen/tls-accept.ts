// The TLS handshake of an accepted connection: the hello is looked at first, so that the server block is known (SNI)
// before anything is answered; then OpenSSL does the handshake and the connection goes on in the protocol agreed on.
// What is not TLS is told apart by its first byte. Mirrors ngx_http_ssl_handshake and ngx_http_ssl_servername.
import type { Socket } from 'node:net';
import { TLSSocket, type TLSSocketOptions } from 'node:tls';
import type { ClientConnection } from '../http/client.ts';
import { validHost } from '../http/request-checks.ts';
import { blocksModule } from '../modules/core-blocks.ts';
import { coreModule } from '../modules/core-rows.ts';
import { evaluateForHandshake } from '../modules/ssl-variables.ts';
import { Deadline } from '../timer.ts';
import { logConnection } from './connection-log.ts';
import { type ServerTls, tlsOf } from './tls-context.ts';
import { plainError } from './tls-errors.ts';
import { type ClientHello, looksLikeTls, parseClientHello } from './tls-hello.ts';
import type { SessionCache } from './tls-sessions.ts';

export type Protocol = 'plain' | 'h2' | 'http/1.1';
type Done = (socket: Socket, protocol: Protocol) => void;

const HTTP1 = ['http/1.1', 'http/1.0', 'http/0.9'];
const WITH_H2 = ['h2', ...HTTP1];
const DURING = 'SSL handshaking';

/** Fatal alerts, as records in the clear: unrecognized_name (RFC 6066), internal_error. */
const UNRECOGNIZED_NAME = Buffer.from([21, 3, 1, 0, 2, 2, 112]);
const INTERNAL_ERROR = Buffer.from([21, 3, 1, 0, 2, 2, 80]);

/** Secures `socket`, then calls `done`; a connection that cannot be secured is logged and closed here. */
export function acceptTls(socket: Socket, client: ClientConnection, done: Done): void {
  let seen: Buffer | undefined;
  const deadline = new Deadline(() => {
    logConnection(client, 'info', 'client timed out (110: Connection timed out)', DURING);
    stop();
    socket.destroy();
  });
  const stop = (): void => {
    deadline.close();
    socket.off('readable', onReadable);
    socket.off('end', onClose);
    socket.off('close', onClose);
    socket.off('error', onError);
  };
  const onClose = (): void => {
    if (seen === undefined) logConnection(client, 'info', 'client closed connection', DURING);
    else logConnection(client, 'info', 'peer closed connection in SSL handshake', DURING);
    stop();
    socket.destroy();
  };
  const onError = (error: Error): void => {
    logConnection(client, 'info', `recv() failed (${error.message})`, DURING);
    stop();
    socket.destroy();
  };
  const onReadable = (): void => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    seen = seen ? Buffer.concat([seen, chunk]) : chunk;
    if (!looksLikeTls(seen[0]!)) {
      stop();
      socket.unshift(seen);
      done(socket, 'plain');
      return;
    }
    const hello = parseClientHello(seen);
    if (hello === 'more') return;
    stop();
    socket.unshift(seen);
    handshake(socket, client, hello, done);
  };
  deadline.set(coreModule.server(client.listen.defaultServer).client_header_timeout);
  socket.on('readable', onReadable);
  // A client that half-closes: at that moment there is nothing to read, and the end is told by its own event.
  socket.on('end', onClose);
  socket.on('close', onClose);
  socket.on('error', onError);
}

/** Chooses the server by SNI; undefined: the name is not acceptable. */
function chooseServer(client: ClientConnection, hello: ClientHello | undefined): void {
  const name = hello?.serverName;
  if (name === undefined) return;
  const host = validHost(name);
  const found = host === undefined ? undefined : client.listen.table!.find(host);
  if (!found) return;
  client.sniServer = found.server;
}

function refuse(socket: Socket, alert: Buffer): void {
  socket.on('error', () => {});
  socket.end(alert);
  // The client's side may stay open for ever otherwise.
  socket.resume();
  socket.setTimeout(1000, () => socket.destroy());
}

function handshake(socket: Socket, client: ClientConnection, hello: ClientHello | undefined, done: Done): void {
  const { listen } = client;
  client.hello = hello;
  chooseServer(client, hello);
  const server = client.sniServer ?? listen.defaultServer;
  const own = tlsOf(server);
  if (own?.conf.ssl_reject_handshake) {
    logConnection(
      client,
      'info',
      'SSL_do_handshake() failed (SSL: error:0A0000EA:SSL routines::callback failed)',
      DURING,
    );
    refuse(socket, UNRECOGNIZED_NAME);
    return;
  }
  // A server without certificates of its own speaks with those of the default one.
  const tls = own?.conf.ssl_certificate ? own : tlsOf(listen.defaultServer);
  if (!tls) {
    refuse(socket, INTERNAL_ERROR);
    return;
  }
  let options: TLSSocketOptions;
  try {
    options = optionsFor(tls, client, hello);
  } catch (error) {
    logConnection(client, 'error', (error as Error).message, DURING);
    refuse(socket, INTERNAL_ERROR);
    return;
  }
  const secured = new TLSSocket(socket, options);
  if (tls.conf.ssl_buffer_size < 16_384) secured.setMaxSendFragment(Math.max(512, tls.conf.ssl_buffer_size));
  const deadline = new Deadline(() => {
    logConnection(client, 'info', 'client timed out (110: Connection timed out)', DURING);
    stop();
    secured.destroy();
  });
  deadline.set(coreModule.server(listen.defaultServer).client_header_timeout);
  const stop = (): void => {
    deadline.close();
    secured.off('secure', onSecure);
    secured.off('error', onError);
    secured.off('end', onEnd);
    secured.off('close', onEnd);
  };
  const onSecure = (): void => {
    stop();
    client.tls = secured;
    done(secured, secured.alpnProtocol === 'h2' ? 'h2' : 'http/1.1');
  };
  const onError = (error: Error & { code?: string }): void => {
    stop();
    logFailure(client, error);
    secured.on('error', () => {});
    secured.destroy();
  };
  const onEnd = (): void => {
    stop();
    logConnection(client, 'info', 'peer closed connection in SSL handshake', DURING);
    secured.on('error', () => {});
    secured.destroy();
  };
  secured.on('secure', onSecure);
  secured.on('error', onError);
  secured.on('end', onEnd);
  secured.on('close', onEnd);
}

/** Whether HTTP/2 is offered: `listen … http2`, or `http2 on` of the server. */
function offersH2(client: ClientConnection): boolean {
  return client.listen.isHttp2 || blocksModule.server(client.sniServer ?? client.listen.defaultServer).http2;
}

function optionsFor(tls: ServerTls, client: ClientConnection, hello: ClientHello | undefined): TLSSocketOptions {
  const standard = client.listen.defaultServer;
  const context = tls.hasVariables
    ? tls.variableContext(standard, (file) => evaluateForHandshake(client, file.path))
    : tls.contextFor(standard);
  const verify = tls.conf.ssl_verify_client;
  const options: TLSSocketOptions = {
    isServer: true,
    secureContext: context,
    ALPNProtocols: offersH2(client) ? WITH_H2 : HTTP1,
    requestCert: verify !== 'off',
    // A bad certificate is answered with nginx's page, not with an alert.
    rejectUnauthorized: false,
  };
  const sessions = tls.sessionsFor(context, hello?.offersTls13 ?? false);
  if (sessions || tls.conf.ssl_stapling) options.server = new HandshakeEvents(tls, sessions, hello, context) as never;
  return options;
}

/** What node:tls asks of a server during one handshake: sessions and OCSP responses. */
class HandshakeEvents {
  readonly #tls: ServerTls;
  readonly #sessions: SessionCache | undefined;
  readonly #hello: ClientHello | undefined;
  readonly _sharedCreds: unknown;

  constructor(tls: ServerTls, sessions: SessionCache | undefined, hello: ClientHello | undefined, context: unknown) {
    this.#tls = tls;
    this.#sessions = sessions;
    this.#hello = hello;
    this._sharedCreds = context;
  }

  listenerCount(name: string): number {
    if (name === 'newSession' || name === 'resumeSession') return this.#sessions ? 1 : 0;
    return name === 'OCSPRequest' && this.#tls.conf.ssl_stapling ? 1 : 0;
  }

  emit(name: string, first: unknown, second: unknown, third?: unknown): boolean {
    const sessions = this.#sessions;
    const { conf } = this.#tls;
    if (name === 'newSession' && sessions) {
      sessions.put(first as Buffer, second as Buffer);
      (third as () => void)();
      return true;
    }
    if (name === 'resumeSession' && sessions) {
      // A TLS 1.3 client names its session in the pre-shared key, not in the session id.
      const done = second as (error: null, session: Buffer | null) => void;
      sessions.get(this.#hello?.pskIdentity ?? (first as Buffer), (session) => done(null, session));
      return true;
    }
    if (name === 'OCSPRequest' && conf.ssl_stapling) {
      const staple = this.#tls.stapleOf(first as Buffer, this.#hello);
      (third as (error: null, response: Buffer | null) => void)(null, staple ?? null);
      return true;
    }
    return false;
  }
}

/** What nginx takes for the client's doing, and logs as information only (ngx_ssl_connection_error). */
const CLIENT_FAULTS =
  /BAD_CHANGE_CIPHER_SPEC|BLOCK_CIPHER_PAD|DIGEST_CHECK|ERROR_IN_RECEIVED|EXCESSIVE_MESSAGE|LENGTH_MISMATCH|NO_CIPHERS|BAD_LENGTH|BAD_DIGEST|BAD_ECC|BAD_EXTENSION|BAD_PACKET|BAD_PROTOCOL|BAD_RECORD|NO_SHARED|NO_SUITABLE|NO_RENEGOTIATION|UNEXPECTED_MESSAGE|UNEXPECTED_RECORD|UNKNOWN_PROTOCOL|UNSUPPORTED_PROTOCOL|UNSAFE_LEGACY|WRONG_VERSION|DECRYPTION_FAILED|HTTP_REQUEST|HTTPS_PROXY|VERSION_TOO_LOW|BAD_KEY_SHARE|BAD_CIPHER|BINDER_DOES_NOT|BAD_PSK|BAD_LEGACY|CLIENTHELLO_TLSEXT|INAPPROPRIATE_FALLBACK|PARSE_TLSEXT|SCSV_RECEIVED|CALLBACK_FAILED|CERT_CB_ERROR|MISSING_|RECORD_LENGTH|PACKET_LENGTH|_ALERT_|CERTIFICATE_VERIFY_FAILED|NO_APPLICATION_PROTOCOL|REQUIRED_CIPHER|NO_COMPRESSION|INVALID_ALERT|WRONG_SSL_VERSION|TOO_MANY_WARN/;

function logFailure(client: ClientConnection, error: Error & { code?: string; reason?: string }): void {
  const code = error.code ?? '';
  if (code === 'ECONNRESET' || code === 'EPIPE') {
    logConnection(client, 'info', 'peer closed connection in SSL handshake (104: Connection reset by peer)', DURING);
    return;
  }
  const level = code.startsWith('ERR_SSL') && CLIENT_FAULTS.test(code) ? 'info' : 'crit';
  logConnection(client, level, `SSL_do_handshake() failed (SSL: ${plainError(error.message)})`, DURING);
}
