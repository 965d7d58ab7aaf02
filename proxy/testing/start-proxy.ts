// startProxy: runs an nginx.conf inside a test, without nginx, root, DNS, certificates or a free port 80. The listen
// addresses of the configuration are moved to ports that the kernel gives, its upstreams to fakes that the test declares
// (fake-upstreams.ts), its logs into memory; everything in between is the proxy itself. Requests still see the
// configured ports (`$server_port`, redirects), and `fetch` takes the URLs that clients would use.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { ConfigError } from '../config/error.ts';
import { type Config, loadConfig } from '../config/load.ts';
import { openConnections } from '../http/open-connections.ts';
import type { ListenAddress } from '../listen/address.ts';
import { Listener, limits } from '../listen/listener.ts';
import { ListenSockets, type SocketPlan } from '../listen/sockets.ts';
import { prepareTls } from '../listen/tls-context.ts';
import { ErrorLog, LogFile } from '../log.ts';
import { AccessLogFile } from '../modules/access-log-file.ts';
import { processModule } from '../modules/process.ts';
import type { Surroundings } from '../surroundings.ts';
import { adaptDirectives } from './adapt.ts';
import { FakeUpstreams } from './fake-upstreams.ts';
import { missingFiles, prefixOf } from './packaged-files.ts';
import { publicFetch } from './public-fetch.ts';
import { throwawayCertificate } from './throwaway-certificate.ts';
import type { AccessLogEntry, ErrorLogEntry, StartOptions, TestedProxy } from './types.ts';

/** A listen address of the configuration and where it really listens. */
export interface MappedAddress {
  readonly listen: ListenAddress;
  readonly host: string;
  readonly port: number;
}

/**
 * Starts `conf` (the path of a file, or the text itself) in this process. Rejects with nginx's own words when the
 * configuration is wrong. A file that holds only `server` and `upstream` blocks is put into an `http` block.
 */
export async function startProxy(conf: string, options: StartOptions = {}): Promise<TestedProxy> {
  const scratch = mkdtempSync(join(tmpdir(), 'portico-test-'));
  const fakes = await FakeUpstreams.start(options.upstreams ?? {});
  const errorLog: ErrorLogEntry[] = [];
  const accessLog: AccessLogEntry[] = [];
  try {
    const config = await load(conf, options, scratch, fakes, errorLog);
    collectLogs(config, accessLog, errorLog);
    prepareTls(config);
    const { mapped, close } = await open(config, errorLog);
    return testedProxy(mapped, { accessLog, errorLog, fakes, scratch, close });
  } catch (error) {
    await fakes.stop();
    rmSync(scratch, { recursive: true, force: true });
    throw error;
  }
}

async function load(
  conf: string,
  options: StartOptions,
  scratch: string,
  fakes: FakeUpstreams,
  errorLog: ErrorLogEntry[],
): Promise<Config> {
  const isText = /[{\n]/.test(conf);
  const prefix = `${resolve(options.prefix ?? (isText ? '.' : prefixOf(resolve(conf))))}/`;
  const confFile = isText ? `${prefix}nginx.conf` : resolve(conf);
  const confPrefix = `${dirname(confFile)}/`;
  const extraFiles = missingFiles(confPrefix);
  for (const [name, text] of Object.entries(options.files ?? {})) extraFiles.set(resolve(confPrefix, name), text);
  if (isText) extraFiles.set(confFile, Buffer.from(conf).toString('latin1'));

  const { certificate, key } = await throwawayCertificate();
  const certificates = { certificate: join(scratch, 'certificate.pem'), key: join(scratch, 'key.pem') };
  writeFileSync(certificates.certificate, certificate);
  writeFileSync(certificates.key, key);
  const surroundings: Surroundings = {
    adapt: (directives) => adaptDirectives(directives, { confPrefix, scratch, ...certificates }),
    lookup: (host) => fakes.lookup(host),
    route: (peer, upstream, isTls) => fakes.route(peer, upstream, isTls),
  };
  const warn = (message: string): void => {
    errorLog.push({ file: '', level: 'warn', message, line: `[warn] ${message}` });
  };
  const config = await loadConfig({ prefix, confFile, warn, extraFiles, surroundings });
  if (config.listens.length === 0) throw new ConfigError(`no server listens in ${confFile}`);
  return config;
}

function collectLogs(config: Config, accessLog: AccessLogEntry[], errorLog: ErrorLogEntry[]): void {
  for (const file of config.logFiles) {
    if (file instanceof AccessLogFile) {
      file.observer = (line, values) => accessLog.push({ file: file.path, line, values });
    } else collectErrors(file, errorLog);
  }
}

const ERROR_LINE = /^\S+ \S+ \[(\w+)\] \d+#\d+: (?:\*\d+ )?([\s\S]*)\n$/;

function collectErrors(file: LogFile, errorLog: ErrorLogEntry[]): LogFile {
  file.sink = (text) => {
    const [, level = '', message = ''] = ERROR_LINE.exec(text) ?? [];
    errorLog.push({ file: file.path, level, message, line: text.slice(0, -1) });
  };
  return file;
}

/** Binds a port for each listen address. */
async function open(config: Config, errorLog: ErrorLogEntry[]) {
  const standard = new ErrorLog([{ file: collectErrors(new LogFile('logs/error.log'), errorLog), level: 'error' }]);
  const log = processModule.core(config).error_log ?? standard;
  limits.workerConnections = Math.max(limits.workerConnections, 65_536);
  const sockets = new ListenSockets();
  const listeners: Listener[] = [];
  const mapped: MappedAddress[] = [];
  for (const listen of config.listens) {
    const host = listen.family === 6 ? '::1' : '127.0.0.1';
    const plan: SocketPlan = {
      key: listen.text,
      family: listen.family === 6 ? 6 : 4,
      host,
      port: 0,
      isIpv6Only: true,
      backlog: 511,
      isReuseport: false,
      // Seen from inside, the connection came to the configured address.
      addresses: [{ ...listen, host: listen.isWildcard ? host : listen.host, isWildcard: false, log }],
    };
    let reason = '';
    const isOpen = await sockets.open([plan], 1, (_, text) => {
      reason = text;
    });
    if (!isOpen) throw new Error(reason);
    const handle = sockets.handlesOf(plan)[0]!;
    const name: { port?: number } = {};
    handle.getsockname!(name);
    const listener = new Listener(plan);
    await listener.listen(handle, plan.backlog);
    listeners.push(listener);
    mapped.push({ listen, host, port: name.port! });
  }
  const own = new Set(config.servers);
  const close = (): void => {
    for (const listener of listeners) listener.close();
    sockets.close();
    for (const connection of [...openConnections])
      if (own.has(connection.client.listen.defaultServer)) connection.destroy();
  };
  return { mapped, close };
}

interface Parts {
  readonly accessLog: readonly AccessLogEntry[];
  readonly errorLog: readonly ErrorLogEntry[];
  readonly fakes: FakeUpstreams;
  readonly scratch: string;
  readonly close: () => void;
}

function testedProxy(
  mapped: readonly MappedAddress[],
  { accessLog, errorLog, fakes, scratch, close }: Parts,
): TestedProxy {
  const baseOf = ({ listen, host, port }: MappedAddress): string =>
    `${listen.isSsl ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const client = publicFetch(mapped);
  const servers = new Set(mapped.flatMap(({ listen }) => listen.servers));
  const stop = async (): Promise<void> => {
    await client.close();
    close();
    await fakes.stop();
    rmSync(scratch, { recursive: true, force: true });
  };
  return {
    urls: Object.fromEntries(mapped.map((one) => [one.listen.text, baseOf(one)])),
    url: baseOf(mapped[0]!),
    urlOf(wanted) {
      const found =
        mapped.find(({ listen }) => listen.text === wanted || String(listen.port) === wanted) ??
        mapped.find(({ listen }) => listen.table!.find(wanted.toLowerCase()));
      if (!found) throw new Error(`nothing listens on "${wanted}", and no server has that name`);
      return baseOf(found);
    },
    fetch: client.fetch,
    upstreams: fakes.records,
    accessLog,
    errorLog,
    async idle() {
      const isBusy = (): boolean =>
        [...openConnections].some((c) => !c.isIdle && servers.has(c.client.listen.defaultServer));
      while (isBusy()) await new Promise((done) => setTimeout(done, 1));
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
