// TLS towards clients: the directives, as written. What is made of them (contexts, sessions, handshakes) stands in
// listen/tls-*.ts, the variables in ssl-variables.ts, checks of client certificates in ssl-verify.ts. Mirrors
// ngx_http_ssl_module.
import { readFileSync } from 'node:fs';
import { errnoText } from '../config/error.ts';
import {
  type Cf,
  count,
  custom,
  defineModule,
  flag,
  HTTP,
  oneOf,
  type Row,
  SERVER,
  size,
  someOf,
  text,
  time,
} from '../config/rows.ts';
import type { Template } from '../config/template.ts';
import { parseCount, parseSizeBytes } from '../config/values.ts';

const HS = HTTP | SERVER;

/** A file of `ssl_certificate` or `ssl_certificate_key`: as written, and where it is. */
export interface CertificateFile {
  readonly written: string;
  /** Path, or `data:…`; may have variables. */
  readonly path: Template;
  /** What a relative path is relative to. */
  readonly directory: string;
}

/** `ssl_session_cache`: where sessions are remembered, if they are. */
export interface SessionCacheSetting {
  readonly kind: 'off' | 'none' | 'builtin' | 'shared';
  /** Of a shared cache. */
  readonly zone: string;
  /** Sessions that it holds. */
  readonly capacity: number;
}

export interface ConfCommand {
  readonly name: string;
  readonly value: string;
}

/** nginx needs 8 pages for a zone, and says that 1 MB holds about 4000 sessions. */
const SMALLEST_ZONE_BYTES = 8 * 4096;
const SESSION_BYTES = 256;
const BUILTIN_SESSIONS = 20_480;

export const sslModule = defineModule('ssl', {
  server: {
    ssl: custom<{ file: string; line: number } | undefined>(HS, 'flag', {
      default: undefined,
      syntax: 'on | off',
      defaultText: 'off',
      set(cf) {
        cf.compiler.warn('the "ssl" directive is deprecated, use the "listen ... ssl" directive instead', cf.directive);
        const value = cf.args[0]!.toLowerCase();
        if (value === 'on') return { file: cf.directive.file, line: cf.directive.line };
        if (value === 'off') return undefined;
        return cf.fail(`invalid value "${cf.args[0]}" in "ssl" directive, it must be "on" or "off"`);
      },
    }),
    ssl_certificate: files('file'),
    ssl_certificate_key: files('file'),
    ssl_password_file: custom<readonly string[]>(HS, '1', {
      default: [],
      syntax: 'file',
      set: (cf) =>
        readOnce(cf)
          .split('\n')
          .map((line) => line.replace(/\r$/, ''))
          .filter((line) => line !== ''),
    }),
    ssl_protocols: someOf(
      HS,
      ['SSLv2', 'SSLv3', 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'],
      ['TLSv1', 'TLSv1.1', 'TLSv1.2'],
      { note: 'SSLv2 and SSLv3 are accepted and never spoken.' },
    ),
    ssl_ciphers: text(HS, 'HIGH:!aNULL:!MD5', { syntax: 'ciphers' }),
    ssl_prefer_server_ciphers: flag(HS, false),
    ssl_buffer_size: size(HS, '16k', { note: 'The largest TLS record that is sent.' }),
    ssl_dhparam: path(),
    ssl_ecdh_curve: text(HS, 'auto', { syntax: 'curve' }),
    ssl_client_certificate: path(),
    ssl_trusted_certificate: path(
      'Names of these authorities are sent to clients, too, which nginx does for ssl_client_certificate only.',
    ),
    ssl_crl: path(),
    ssl_verify_client: oneOf(HS, ['off', 'on', 'optional', 'optional_no_ca'], 'off'),
    ssl_verify_depth: count(HS, 1),
    ssl_session_cache: custom<SessionCacheSetting>(HS, '1-2', {
      default: { kind: 'none', zone: '', capacity: 0 },
      syntax: 'off | none | [builtin[:size]] [shared:name:size]',
      defaultText: 'none',
      set: parseSessionCache,
    }),
    ssl_session_tickets: flag(HS, true),
    ssl_session_ticket_key: custom<readonly Buffer[]>(HS, '1', {
      default: [],
      isRepeatable: true,
      syntax: 'file',
      note: 'Tickets are encrypted with AES-128, with 80-byte keys as well.',
      set(cf, previous) {
        const key = read(cf, [48, 80]);
        return [...(previous ?? []), key];
      },
    }),
    ssl_session_timeout: time(HS, '5m'),
    ssl_reject_handshake: flag(HS, false),
    ssl_early_data: flag(HS, false, { note: 'Accepted; clients are never offered early data.' }),
    ssl_conf_command: custom<readonly ConfCommand[]>(HS, '2', {
      default: [],
      isRepeatable: true,
      syntax: 'name value',
      note: 'Protocol, MinProtocol, MaxProtocol, CipherString, Ciphersuites, Curves, Groups, SignatureAlgorithms, Certificate, PrivateKey, Options.',
      set(cf, previous) {
        const [name, value] = cf.args as [string, string];
        const isFile = /^(certificate|privatekey)$/i.test(name);
        return [...(previous ?? []), { name, value: isFile ? cf.compiler.fullPath(value, 'conf') : value }];
      },
    }),
    ssl_stapling: flag(HS, false, {
      note: 'What keeps a certificate from it is told with its first handshake. Of several certificates, only the one that is sure to be shown has its status shown: over TLS 1.2 not to clients that take more than one kind.',
    }),
    ssl_stapling_file: path(),
    ssl_stapling_responder: text(HS, undefined, { syntax: 'url' }),
    ssl_stapling_verify: flag(HS, false),
    ssl_ocsp: oneOf(HS, ['off', 'on', 'leaf'], 'off', {
      note: 'Refused when on: client certificates are not checked with OCSP.',
    }),
    ssl_ocsp_responder: text(HS, undefined, { syntax: 'url', note: 'Accepted; see ssl_ocsp.' }),
    ssl_ocsp_cache: custom<string>(HS, '1', {
      default: 'off',
      defaultText: 'off',
      syntax: 'off | shared:name:size',
      note: 'Accepted; see ssl_ocsp.',
      set: readOcspCache,
    }),
  },
});

/** The values of a server. */
export type SslValues = ReturnType<typeof sslModule.server>;

/** The name of a certificate file, once its variables are known: `data:…` or an absolute path. */
export function certificateName({ directory }: CertificateFile, value: string): string {
  return value.startsWith('data:') || value.startsWith('/') ? value : directory + value;
}

function files(syntax: string): Row<readonly CertificateFile[] | undefined> {
  return custom<readonly CertificateFile[] | undefined>(HS, '1', {
    default: undefined,
    isRepeatable: true,
    syntax,
    set(cf, previous) {
      const written = cf.args[0]!;
      const file = { written, path: cf.template(written), directory: cf.compiler.options.confPrefix };
      return [...(previous ?? []), file];
    },
  });
}

function path(note?: string): Row<string | undefined> {
  return custom<string | undefined>(HS, '1', {
    default: undefined,
    syntax: 'file',
    ...(note === undefined ? {} : { note }),
    set: (cf) => (cf.args[0] === '' ? undefined : cf.compiler.fullPath(cf.args[0]!, 'conf')),
  });
}

/** Contents of password files, which may be pipes: the master reads them once and hands them to its workers. */
export const passwordFiles = new Map<string, string>();

function readOnce(cf: Cf): string {
  const full = cf.compiler.fullPath(cf.args[0]!, 'conf');
  const known = passwordFiles.get(full);
  if (known !== undefined) return known;
  const text = read(cf).toString('latin1');
  passwordFiles.set(full, text);
  return text;
}

function read(cf: Cf, sizes?: readonly number[]): Buffer {
  const full = cf.compiler.fullPath(cf.args[0]!, 'conf');
  let bytes: Buffer;
  try {
    bytes = readFileSync(full);
  } catch (error) {
    return cf.fail(`open() "${full}" failed ${errnoText(error)}`);
  }
  if (sizes && !sizes.includes(bytes.length)) cf.fail(`"${full}" must be ${sizes.join(' or ')} bytes`);
  return bytes;
}

/** Checked as nginx does; nothing is kept there. */
function readOcspCache(cf: Cf): string {
  const [value] = cf.args as [string];
  if (value === 'off') return value;
  const bytes = parseSizeBytes(/^shared:[^:]+:(.*)$/.exec(value)?.[1] ?? '');
  if (bytes === undefined) return cf.fail(`invalid OCSP cache "${value}"`);
  return bytes < SMALLEST_ZONE_BYTES ? cf.fail(`OCSP cache "${value}" is too small`) : value;
}

function parseSessionCache(cf: Cf): SessionCacheSetting {
  let kind: SessionCacheSetting['kind'] = 'none';
  let zone = '';
  let capacity = BUILTIN_SESSIONS;
  for (const arg of cf.args) {
    const invalid = (): never => cf.fail(`invalid session cache "${arg}"`);
    if (arg === 'off' || arg === 'none') kind = arg;
    else if (arg === 'builtin') kind = kind === 'shared' ? kind : 'builtin';
    else if (/^builtin:./.test(arg)) {
      const sessions = parseCount(arg.slice('builtin:'.length)) ?? invalid();
      if (kind !== 'shared') [kind, capacity] = ['builtin', sessions];
    } else if (/^shared:./.test(arg)) {
      const match = /^shared:([^:]+):(.*)$/.exec(arg);
      const bytes = match ? parseSizeBytes(match[2]!) : undefined;
      if (!match || bytes === undefined) return invalid();
      if (bytes < SMALLEST_ZONE_BYTES) cf.fail(`session cache "${arg}" is too small`);
      [kind, zone, capacity] = ['shared', match[1]!, Math.floor(bytes / SESSION_BYTES)];
    } else invalid();
  }
  return { kind, zone, capacity };
}
