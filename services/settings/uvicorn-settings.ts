/**
 * The settings of one start of Uvicorn, resolved: command line, UVICORN_* variables, WEB_CONCURRENCY and FORWARDED_ALLOW_IPS, env file.
 * Also what they mean for the server of one process.
 */
import { readFileSync } from 'node:fs';
import { UVICORN } from '../event-loop/dialect.ts';
import type { AsgiConfig } from '../event-loop/server.ts';
import { AllowList } from '../http/allow-list.ts';
import { ClickError, parseOptions } from './click.ts';
import { coerce, type SettingRow } from './setting.ts';
import { UVICORN_ROWS, type UvicornSettings } from './uvicorn-rows.ts';

export type { UvicornSettings } from './uvicorn-rows.ts';

/** What a command line asks for. */
export interface UvicornCommand {
  readonly kind: 'run' | 'help' | 'version';
  readonly settings: UvicornSettings;
  readonly app: string;
  readonly workers: number;
  readonly warnings: readonly string[];
}

const ROWS: readonly SettingRow[] = UVICORN_ROWS;

/** Uvicorn's defaults, for servers that are not started by its command line. */
export function uvicornDefaults(): UvicornSettings {
  return Object.fromEntries(ROWS.map((row) => [row.name, coerce(row, row.default)])) as unknown as UvicornSettings;
}

/** Reads a command line. Throws ClickError (status 2). Puts the variables of an env file into `env`. */
export function readUvicornCommand(argv: readonly string[], env: NodeJS.ProcessEnv = process.env): UvicornCommand {
  const parsed = parseOptions(argv, ROWS, env);
  const defaults = uvicornDefaults();
  if (parsed.help || parsed.version) {
    return { kind: parsed.help ? 'help' : 'version', settings: defaults, app: '', workers: 1, warnings: [] };
  }
  const settings: Record<string, unknown> = { ...defaults };
  const warnings: string[] = [];
  for (const row of ROWS) {
    if (!parsed.values.has(row.name)) continue;
    settings[row.name] = coerce(row, parsed.values.get(row.name));
    if (row.unhonoured) warnings.push(`"${row.name}" has no effect: ${row.unhonoured}.`);
  }
  const resolved = Object.freeze(settings) as unknown as UvicornSettings;
  if (resolved.env_file !== null) readEnvFile(resolved.env_file, env);
  const workers = resolved.workers ?? Number(env['WEB_CONCURRENCY'] ?? 1);
  if (resolved.reload && workers > 1) warnings.push('"workers" flag is ignored when reloading is enabled.');
  return { kind: 'run', settings: resolved, app: parsed.app ?? '', workers: Math.max(1, workers), warnings };
}

function readEnvFile(file: string, env: NodeJS.ProcessEnv): void {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new ClickError(`Invalid value for '--env-file': Path '${file}' does not exist.`);
  }
  for (const line of text.split('\n')) {
    const [, name, value = ''] = /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (name && !(name in env)) env[name] = value.replace(/^(["'])(.*)\1$/, '$2').replace(/\s+#.*$/, '');
  }
}

/** The server that these settings describe. Throws when a TLS file cannot be read. */
export function asgiConfig(settings: UvicornSettings, env: NodeJS.ProcessEnv = process.env): AsgiConfig {
  const trusted = settings.forwarded_allow_ips ?? env['FORWARDED_ALLOW_IPS'] ?? '127.0.0.1';
  const limit = settings.limit_max_requests;
  const jitter = Math.floor(Math.random() * (settings.limit_max_requests_jitter + 1));
  return {
    rootPath: settings.root_path,
    keepAliveMs: settings.timeout_keep_alive * 1000,
    gracefulMs: settings.timeout_graceful_shutdown === null ? null : settings.timeout_graceful_shutdown * 1000,
    limitConcurrency: settings.limit_concurrency,
    limitRequests: limit === null ? null : limit + jitter,
    trusted: settings.proxy_headers
      ? new AllowList(
          trusted.split(',').map((each) => each.trim()),
          'keep',
        )
      : null,
    hasServerHeader: settings.server_header,
    hasDateHeader: settings.date_header,
    headers: settings.headers.map((text) => {
      const colon = text.indexOf(':');
      return [text.slice(0, colon), text.slice(colon + 1)] as const;
    }),
    lifespan: settings.lifespan as AsgiConfig['lifespan'],
    hasWebSockets: settings.ws !== 'none' && settings.interface !== 'wsgi',
    webSocketMaxBytes: settings.ws_max_size,
    webSocketMaxQueue: settings.ws_max_queue,
    webSocketPingMs: settings.ws_ping_interval * 1000,
    webSocketPingTimeoutMs: settings.ws_ping_timeout * 1000,
    webSocketDeflate: /^(1|true|t|yes|y|on)$/i.test(settings.ws_per_message_deflate),
    backlog: settings.backlog,
    tls: tlsFiles(settings),
    dialect: UVICORN,
  };
}

function tlsFiles(settings: UvicornSettings): AsgiConfig['tls'] {
  if (settings.ssl_certfile === null && settings.ssl_keyfile === null) return null;
  if (settings.ssl_certfile === null) throw new Error('ssl_keyfile needs ssl_certfile beside it');
  return {
    certFile: settings.ssl_certfile,
    keyFile: settings.ssl_keyfile,
    keyPassword: settings.ssl_keyfile_password,
    caFile: settings.ssl_ca_certs,
    certReqs: settings.ssl_cert_reqs,
    ciphers: settings.ssl_ciphers,
  };
}
