// `proxy_ssl_*`: TLS towards upstream servers, as written, and the settings that a location's connections are made with.
// What happens on the wire stands in upstream/tls.ts. Mirrors ngx_http_proxy_set_ssl.
import { constants } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import type { Compiler } from '../config/compile.ts';
import { ConfigError, errnoText } from '../config/error.ts';
import { count, custom, defineModule, flag, HSL, someOf, template, text } from '../config/rows.ts';
import type { Template } from '../config/template.ts';
import type { Location } from '../http/location.ts';
import { applyConfCommands, type ContextSettings } from '../listen/tls-conf-commands.ts';
import { cannotLoad, readPem } from '../listen/tls-errors.ts';
import { secureContextFor, type UpstreamTls } from '../upstream/tls.ts';

const PROTOCOLS = ['SSLv2', 'SSLv3', 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;

export const proxySslModule = defineModule('proxy-ssl', {
  location: {
    proxy_ssl_session_reuse: flag(HSL, true),
    proxy_ssl_protocols: someOf(HSL, PROTOCOLS, ['TLSv1', 'TLSv1.1', 'TLSv1.2']),
    proxy_ssl_ciphers: text(HSL, 'DEFAULT'),
    proxy_ssl_name: template(HSL, { syntax: 'name' }),
    proxy_ssl_server_name: flag(HSL, false),
    proxy_ssl_verify: flag(HSL, false),
    proxy_ssl_verify_depth: count(HSL, 1),
    proxy_ssl_trusted_certificate: text(HSL, undefined, { syntax: 'file' }),
    proxy_ssl_crl: text(HSL, undefined, { syntax: 'file' }),
    proxy_ssl_certificate: template(HSL, { syntax: 'file' }),
    proxy_ssl_certificate_key: template(HSL, { syntax: 'file' }),
    proxy_ssl_password_file: custom<readonly string[]>(HSL, '1', {
      default: [],
      syntax: 'file',
      set(cf) {
        const path = cf.compiler.fullPath(cf.args[0]!, 'conf');
        try {
          return readFileSync(path, 'latin1').split('\n').filter(Boolean);
        } catch (error) {
          return cf.fail(`open() "${path}" failed ${errnoText(error)}`);
        }
      },
    }),
    proxy_ssl_conf_command: custom<readonly { name: string; value: string }[]>(HSL, '2', {
      default: [],
      isRepeatable: true,
      syntax: 'name value',
      set: (cf, previous) => [...(previous ?? []), { name: cf.args[0]!, value: cf.args[1]! }],
    }),
  },
});

/** Settings of a location that proxies over TLS; certificates that need no request are loaded and checked now. */
export function upstreamTls(location: Location, compiler: Compiler): UpstreamTls {
  const conf = proxySslModule.location(location);
  const settings: ContextSettings = {
    protocols: new Set(conf.proxy_ssl_protocols),
    ciphers: conf.proxy_ssl_ciphers,
    suites: '',
    curves: 'auto',
    signatures: '',
    certificate: undefined,
    privateKey: undefined,
    prefersServer: false,
    hasTickets: true,
    options: 0,
  };
  applyConfCommands(conf.proxy_ssl_conf_command, settings);
  const spoken = PROTOCOLS.slice(2).filter((p) => settings.protocols.has(p)) as ('TLSv1.2' | 'TLSv1.3')[];
  let secureOptions = settings.options;
  if (!settings.protocols.has('TLSv1.1')) secureOptions |= constants.SSL_OP_NO_TLSv1_1;
  if (!settings.protocols.has('TLSv1.2')) secureOptions |= constants.SSL_OP_NO_TLSv1_2;
  const path = (name: string): string => compiler.fullPath(name, 'conf');
  let base: SecureContextOptions = {
    ca: [],
    minVersion: spoken[0] ?? 'TLSv1.3',
    maxVersion: spoken.at(-1) ?? 'TLSv1.3',
    ciphers: [settings.suites, settings.ciphers].filter(Boolean).join(':'),
    secureOptions,
  };
  if (settings.curves !== 'auto') base.ecdhCurve = settings.curves;
  if (settings.signatures !== '') base.sigalgs = settings.signatures;
  if (settings.certificate && settings.privateKey) {
    base.cert = readPem(path(settings.certificate), (why) => `SSL_CONF_cmd("Certificate") failed ${why}`);
    base.key = readPem(path(settings.privateKey), (why) => `SSL_CONF_cmd("PrivateKey") failed ${why}`);
  }
  const { proxy_ssl_trusted_certificate: trusted, proxy_ssl_crl: crl } = conf;
  if (conf.proxy_ssl_verify) {
    if (trusted === undefined) throw new ConfigError('no proxy_ssl_trusted_certificate for proxy_ssl_verify');
    const load = (file: string): Buffer =>
      readPem(path(file), (why) => `SSL_CTX_load_verify_locations("${path(file)}") failed ${why}`);
    base = { ...base, ca: load(trusted) };
    if (crl !== undefined) base.crl = load(crl);
  }
  const passwords = conf.proxy_ssl_password_file;
  const tls: UpstreamTls = {
    base,
    certificate: conf.proxy_ssl_certificate,
    certificateKey: conf.proxy_ssl_certificate_key,
    load: (certificate, key) => loadPair(certificate, key, passwords, path),
    sendsServerName: conf.proxy_ssl_server_name,
    name: conf.proxy_ssl_name,
    verifies: conf.proxy_ssl_verify,
    verifyDepth: conf.proxy_ssl_verify_depth,
    reusesSessions: conf.proxy_ssl_session_reuse,
    contexts: new Map<string, SecureContext>(),
  };
  const { certificate, certificateKey } = tls;
  if (certificate && !certificateKey) {
    throw new ConfigError(`no "proxy_ssl_certificate_key" is defined for certificate "${certificate.source}"`);
  }
  if (isConstant(certificate) && isConstant(certificateKey)) secureContextFor(tls, undefined);
  return tls;
}

function isConstant(template: Template | undefined): boolean {
  return template === undefined || template.constant !== undefined;
}

/** Reads a certificate and its key, trying each password. Throws ConfigError with OpenSSL's text. */
function loadPair(
  certificate: string,
  key: string,
  passwords: readonly string[],
  path: (name: string) => string,
): SecureContextOptions {
  const read = (name: string, what: string): Buffer => {
    if (name.startsWith('data:')) return Buffer.from(name.slice(5), 'latin1');
    const full = path(name);
    return readPem(full, (why) => `cannot load ${what} "${full}": BIO_new_file() failed ${why}`);
  };
  const cert = read(certificate, 'certificate');
  const keyBytes = read(key, 'certificate key');
  let failure: unknown;
  for (const passphrase of passwords.length > 0 ? passwords : [undefined]) {
    const options: SecureContextOptions = { cert, key: keyBytes };
    if (passphrase !== undefined) options.passphrase = passphrase;
    try {
      createSecureContext({ ca: [], ...options });
      return options;
    } catch (error) {
      failure = error;
    }
  }
  throw cannotLoad(`certificate key "${key}"`, 'PEM_read_bio_PrivateKey()', failure);
}
