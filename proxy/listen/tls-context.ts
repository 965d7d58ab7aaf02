// TLS settings of each server made into what a handshake needs: a secure context (certificates, protocols, ciphers,
// tickets) and its session cache. Made once when a configuration is loaded, so that `-t` finds what is wrong with the
// files. Mirrors ngx_http_ssl_merge_srv_conf, ngx_http_ssl_init and ngx_event_openssl.c.
import { constants, createHash, randomBytes, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { ConfigError } from '../config/error.ts';
import type { Config } from '../config/load.ts';
import type { Server } from '../http/virtual-server.ts';
import { type CertificateFile, certificateName, type SslValues, sslModule } from '../modules/ssl.ts';
import { certificatesOf, Stapler, shownTo } from './stapling.ts';
import { applyConfCommands, type ContextSettings } from './tls-conf-commands.ts';
import { cannotLoad, readPem, sslError } from './tls-errors.ts';
import type { ClientHello } from './tls-hello.ts';
import { SessionCache } from './tls-sessions.ts';

/** The natively held context behind a SecureContext; its setters take one file at a time, so errors can name it. */
interface NativeContext {
  setCert(pem: Buffer): void;
  setKey(pem: Buffer, passphrase?: string): void;
  addCACert(pem: Buffer): void;
  addCRL(pem: string): void;
  setDHParam(pem: Buffer): string | undefined;
  setSigalgs(list: string): void;
  enableTicketKeyCallback(): void;
  onticketkeycallback: (name: Buffer, iv: Buffer, isEncrypting: boolean) => unknown[];
}

/** The TLS side of a server. */
export class ServerTls {
  readonly server: Server;
  readonly conf: SslValues;
  readonly sessions: SessionCache | undefined;
  readonly #staple: Buffer | undefined;
  /** Certificates among which the issuers of ours are; read while the files can be. */
  readonly #issuers: readonly X509Certificate[] = [];
  readonly #leaves: readonly X509Certificate[] = [];
  /** By the fingerprint of the certificate. */
  readonly #staplers = new Map<string, Stapler>();
  /** Contexts by the default server of the address, whose protocols count (they are chosen before SNI is looked at). */
  readonly #contexts = new Map<Server, SecureContext>();
  /** Contexts of certificates with variables, by their contents. */
  readonly #variable = new Map<string, SecureContext>();
  /** Those that speak TLS 1.3 and give its clients tickets, which hold the session themselves. */
  readonly #ticketing = new WeakSet<SecureContext>();

  constructor(server: Server) {
    this.server = server;
    this.conf = sslModule.server(server);
    const { ssl_session_cache: cache, ssl_stapling_file: file } = this.conf;
    this.sessions = SessionCache.of(cache);
    if (this.conf.ssl_stapling && file !== undefined)
      this.#staple = readPem(file, (why) => `BIO_new_file("${file}") failed ${why}`, 'rb');
    else if (this.conf.ssl_stapling) {
      const { leaves, issuers } = certificatesOf(this.conf);
      this.#leaves = leaves;
      this.#issuers = issuers;
    }
  }

  /** Whether certificate files depend on the request. */
  get hasVariables(): boolean {
    const { ssl_certificate: certificates = [], ssl_certificate_key: keys = [] } = this.conf;
    return [...certificates, ...keys].some((f) => f.path.constant === undefined);
  }

  /** The OCSP response to show with a certificate: the file's, or the one fetched. `der`: where there is but one, that one. */
  stapleOf(der: Buffer, hello: ClientHello | undefined): Buffer | undefined {
    if (this.#staple) return this.#staple;
    const { ssl_certificate: files = [], ssl_protocols: versions } = this.conf;
    const certificate =
      files.length > 1 ? shownTo(hello, this.#leaves, versions.has('TLSv1.3')) : new X509Certificate(der);
    if (!certificate) return undefined;
    let stapler = this.#staplers.get(certificate.fingerprint256);
    if (!stapler) {
      const { ssl_stapling_responder: responder, ssl_stapling_verify: isVerified } = this.conf;
      stapler = new Stapler(certificate, this.#issuers, responder, isVerified);
      this.#staplers.set(certificate.fingerprint256, stapler);
    }
    return stapler.current();
  }

  /**
   * The session cache of a handshake. TLS 1.3 with tickets has none: nobody would ever ask for the sessions that OpenSSL
   * offers to keep, two for each handshake (nginx leaves them out from 1.23.2 on).
   */
  sessionsFor(context: SecureContext, offersTls13: boolean): SessionCache | undefined {
    return offersTls13 && this.#ticketing.has(context) ? undefined : this.sessions;
  }

  /** The context for addresses whose default server is `standard`. */
  contextFor(standard: Server): SecureContext {
    let context = this.#contexts.get(standard);
    if (!context) {
      const { ssl_certificate: certificates = [], ssl_certificate_key: keys = [] } = this.conf;
      const files = this.hasVariables ? [] : loadPairs(certificates, keys, (f) => certificateName(f, f.path.constant!));
      context = this.#make(standard, files);
      this.#contexts.set(standard, context);
    }
    return context;
  }

  /** The context of certificates whose names are known only now; `evaluate` fills the variables in. */
  variableContext(standard: Server, evaluate: (file: CertificateFile) => string): SecureContext {
    const { ssl_certificate: certificates = [], ssl_certificate_key: keys = [] } = this.conf;
    const files = loadPairs(certificates, keys, (file) => certificateName(file, evaluate(file)));
    const key = createHash('sha256');
    for (const { certificate, privateKey } of files) key.update(certificate.bytes).update(privateKey.bytes);
    const digest = key.digest('hex');
    let context = this.#variable.get(digest);
    if (!context) {
      context = this.#make(standard, files);
      if (this.#variable.size >= 1000) this.#variable.clear();
      this.#variable.set(digest, context);
    }
    return context;
  }

  #make(standard: Server, files: readonly Pair[]): SecureContext {
    const { conf } = this;
    const settings: ContextSettings = {
      protocols: new Set(sslModule.server(standard).ssl_protocols),
      ciphers: conf.ssl_ciphers,
      suites: '',
      curves: conf.ssl_ecdh_curve,
      signatures: '',
      certificate: undefined,
      privateKey: undefined,
      prefersServer: conf.ssl_prefer_server_ciphers,
      hasTickets: conf.ssl_session_tickets,
      options: constants.SSL_OP_NO_RENEGOTIATION,
    };
    applyConfCommands(conf.ssl_conf_command, settings);
    const context = baseContext(settings, conf, idContext(files, conf));
    const native = context.context as NativeContext;
    for (const { certificate, privateKey } of files) {
      try {
        native.setCert(certificate.bytes);
      } catch (error) {
        throw cannotLoad(
          `certificate "${certificate.name}"`,
          'PEM_read_bio_X509_AUX()',
          error,
          'Expecting: TRUSTED CERTIFICATE',
        );
      }
      setKey(native, privateKey, conf.ssl_password_file);
    }
    if (settings.certificate !== undefined && settings.privateKey !== undefined) {
      native.setCert(
        readPem(settings.certificate, (why) => `SSL_CONF_cmd("Certificate", "${settings.certificate}") failed ${why}`),
      );
      native.setKey(
        readPem(settings.privateKey, (why) => `SSL_CONF_cmd("PrivateKey", "${settings.privateKey}") failed ${why}`),
      );
    }
    if (conf.ssl_verify_client !== 'off') addAuthorities(native, conf.ssl_client_certificate);
    addAuthorities(native, conf.ssl_trusted_certificate);
    addCrls(native, conf.ssl_crl);
    addDhParam(native, conf.ssl_dhparam);
    if (settings.signatures !== '') native.setSigalgs(settings.signatures);
    rotateTicketKeys(native, conf.ssl_session_ticket_key);
    if (settings.hasTickets && settings.protocols.has('TLSv1.3')) this.#ticketing.add(context);
    return context;
  }
}

interface Loaded {
  readonly name: string;
  readonly bytes: Buffer;
}

interface Pair {
  readonly certificate: Loaded;
  readonly privateKey: Loaded;
}

function loadPairs(
  certificates: readonly CertificateFile[],
  keys: readonly CertificateFile[],
  nameOf: (file: CertificateFile) => string,
): Pair[] {
  const load = (file: CertificateFile, what: string): Loaded => {
    const name = nameOf(file);
    if (name.startsWith('data:')) return { name, bytes: Buffer.from(name.slice('data:'.length), 'latin1') };
    return { name, bytes: readPem(name, (why) => `cannot load ${what} "${name}": BIO_new_file() failed ${why}`) };
  };
  return certificates.map((certificate, i) => ({
    certificate: load(certificate, 'certificate'),
    privateKey: load(keys[i]!, 'certificate key'),
  }));
}

function setKey(native: NativeContext, key: Loaded, passwords: readonly string[]): void {
  let failure: unknown;
  for (const password of passwords.length ? passwords : [undefined]) {
    try {
      native.setKey(key.bytes, password);
      return;
    } catch (error) {
      failure = error;
    }
  }
  const { code } = failure as { code?: string };
  if (code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH') {
    throw new ConfigError(`SSL_CTX_use_PrivateKey("${key.name}") failed ${sslError(failure)}`);
  }
  throw cannotLoad(`certificate key "${key.name}"`, 'PEM_read_bio_PrivateKey()', failure);
}

function baseContext(settings: ContextSettings, conf: SslValues, sessionIdContext: string): SecureContext {
  const spoken = (['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const).filter((p) => settings.protocols.has(p));
  const holes: Readonly<Record<string, number>> = {
    'TLSv1.1': constants.SSL_OP_NO_TLSv1_1,
    'TLSv1.2': constants.SSL_OP_NO_TLSv1_2,
  };
  let secureOptions = settings.options;
  for (const [protocol, option] of Object.entries(holes)) {
    if (!settings.protocols.has(protocol)) secureOptions |= option;
  }
  if (settings.prefersServer) secureOptions |= constants.SSL_OP_CIPHER_SERVER_PREFERENCE;
  if (!settings.hasTickets) secureOptions |= constants.SSL_OP_NO_TICKET;
  const options: SecureContextOptions = {
    // No system authorities: clients are verified with those that are named, or not at all.
    ca: [],
    secureOptions,
    minVersion: spoken[0] ?? 'TLSv1.3',
    maxVersion: spoken.at(-1) ?? 'TLSv1.3',
    sessionIdContext,
    sessionTimeout: Math.max(1, Math.floor(conf.ssl_session_timeout / 1000)),
    ticketKeys: conf.ssl_session_ticket_key.length ? ticketKeyOf(conf.ssl_session_ticket_key[0]!) : sharedTicketKeys,
  };
  const attempts: readonly (readonly [string, string, SecureContextOptions])[] = [
    [
      'SSL_CTX_set_cipher_list',
      conf.ssl_ciphers,
      { ciphers: [settings.suites, settings.ciphers].filter(Boolean).join(':') },
    ],
    ['SSL_CTX_set1_curves_list', settings.curves, { ecdhCurve: settings.curves }],
  ];
  for (const [call, value, option] of attempts) {
    try {
      // Each alone first, so that the message names the one that is wrong.
      if (value !== DEFAULT_CIPHERS && value !== 'auto') createSecureContext({ ca: [], ...option });
    } catch (error) {
      throw new ConfigError(`${call}("${value}") failed ${sslError(error)}`);
    }
    Object.assign(options, option);
  }
  return createSecureContext(options);
}

const DEFAULT_CIPHERS = 'HIGH:!aNULL:!MD5';

/** Sessions are good for servers with the same certificates and authorities only (ngx_ssl_session_id_context). */
function idContext(files: readonly Pair[], conf: SslValues): string {
  const digest = createHash('md5').update('HTTP');
  for (const { certificate } of files) digest.update(certificate.bytes);
  if (files.length === 0) for (const file of conf.ssl_certificate ?? []) digest.update(file.written);
  if (conf.ssl_verify_client !== 'off') digest.update(conf.ssl_client_certificate ?? '');
  return digest.digest('hex');
}

function locations(path: string): Buffer {
  return readPem(
    path,
    (why) =>
      `SSL_CTX_load_verify_locations("${path}") failed ${why.replace(/\)$/, ' error:05880002:x509 certificate routines::system lib)')}`,
  );
}

function addAuthorities(native: NativeContext, path: string | undefined): void {
  if (path === undefined) return;
  const bytes = locations(path);
  if (!bytes.includes('-----BEGIN ')) {
    throw new ConfigError(
      `SSL_CTX_load_verify_locations("${path}") failed (SSL: error:05800088:x509 certificate routines::no certificate or crl found)`,
    );
  }
  const blocks = bytes
    .toString('latin1')
    .match(/-----BEGIN [A-Z0-9 ]*CERTIFICATE-----[\s\S]*?-----END [A-Z0-9 ]*CERTIFICATE-----/g);
  // Each once: clients are sent the names of all.
  native.addCACert(Buffer.from([...new Set(blocks ?? [])].join('\n'), 'latin1'));
}

function addCrls(native: NativeContext, path: string | undefined): void {
  if (path === undefined) return;
  const bytes = readPem(
    path,
    (why) =>
      `X509_LOOKUP_load_file("${path}") failed ${why.replace(/\)$/, ' error:05880002:x509 certificate routines::system lib)')}`,
  );
  const lists = bytes.toString('latin1').match(/-----BEGIN X509 CRL-----[\s\S]*?-----END X509 CRL-----\n?/g) ?? [];
  for (const list of lists) native.addCRL(list);
}

function addDhParam(native: NativeContext, path: string | undefined): void {
  if (path === undefined) return;
  const bytes = readPem(path, (why) => `BIO_new_file("${path}") failed ${why}`);
  try {
    native.setDHParam(bytes);
  } catch (error) {
    throw new ConfigError(`PEM_read_bio_DHparams("${path}") failed ${sslError(error, 'Expecting: DH PARAMETERS')}`);
  }
}

/** Ticket keys that all workers of a master share; made anew for each master. */
let sharedTicketKeys: Buffer = randomBytes(48);

export function makeTicketKeys(): Uint8Array {
  return sharedTicketKeys;
}

export function setTicketKeys(keys: Buffer): void {
  sharedTicketKeys = keys;
}

/** nginx's files hold name, AES key, HMAC key (48 bytes), or name, HMAC key, AES key (80); Node wants the latter, short. */
function ticketKeyOf(file: Buffer): Buffer {
  const name = file.subarray(0, 16);
  if (file.length === 48) return Buffer.concat([name, file.subarray(32, 48), file.subarray(16, 32)]);
  return Buffer.concat([name, file.subarray(16, 32), file.subarray(48, 64)]);
}

/** With several keys the first one encrypts and all of them decrypt. */
function rotateTicketKeys(native: NativeContext, files: readonly Buffer[]): void {
  if (files.length < 2) return;
  const keys = files.map(ticketKeyOf);
  native.onticketkeycallback = (name, _iv, isEncrypting) => {
    const at = isEncrypting ? 0 : keys.findIndex((k) => k.subarray(0, 16).equals(name));
    const key = keys[at];
    if (!key) return [0];
    const [hmac, aes] = [key.subarray(16, 32), key.subarray(32, 48)];
    if (isEncrypting) return [1, hmac, aes, key.subarray(0, 16), randomBytes(16)];
    return [at === 0 ? 1 : 2, hmac, aes];
  };
  native.enableTicketKeyCallback();
}

/** The TLS side of a server; undefined when it has none. */
export function tlsOf(server: Server): ServerTls | undefined {
  return server.tls as ServerTls | undefined;
}

/** Makes and checks the TLS side of all servers. Throws ConfigError in nginx's words. */
export function prepareTls(config: Config): void {
  for (const server of config.servers) {
    const conf = sslModule.server(server);
    const { ssl_certificate: certificates, ssl_certificate_key: keys = [], ssl } = conf;
    const where = ssl ? `the "ssl" directive in ${ssl.file}:${ssl.line}` : '';
    if (certificates) {
      if (ssl && keys.length === 0) throw new ConfigError(`no "ssl_certificate_key" is defined for ${where}`);
      if (keys.length < certificates.length) {
        const last = certificates.at(-1)!.written;
        throw new ConfigError(
          `no "ssl_certificate_key" is defined for certificate "${last}"${ssl ? ` and ${where}` : ''}`,
        );
      }
    } else if (!conf.ssl_reject_handshake) {
      if (ssl) throw new ConfigError(`no "ssl_certificate" is defined for ${where}`);
      continue;
    }
    if (conf.ssl_ocsp !== 'off') throw new ConfigError('"ssl_ocsp" is out of Portico\'s scope');
    const tls = new ServerTls(server);
    server.tls = tls;
    tls.contextFor(server);
    if (
      conf.ssl_verify_client !== 'off' &&
      conf.ssl_verify_client !== 'optional_no_ca' &&
      conf.ssl_client_certificate === undefined
    ) {
      throw new ConfigError('no ssl_client_certificate for ssl_verify_client');
    }
  }
  for (const listen of config.listens) {
    const isMissing = (server: Server): boolean => {
      const conf = sslModule.server(server);
      return !conf.ssl_certificate && !conf.ssl_reject_handshake;
    };
    const standard = sslModule.server(listen.defaultServer);
    if (standard.ssl) listen.isSsl = true;
    if (!listen.isSsl || standard.ssl_certificate) continue;
    const missing = isMissing(listen.defaultServer) ? listen.defaultServer : listen.servers.find(isMissing);
    if (missing) {
      throw new ConfigError(
        `no "ssl_certificate" is defined for the "listen ... ssl" directive in ${missing.file}:${missing.line}`,
      );
    }
  }
}
