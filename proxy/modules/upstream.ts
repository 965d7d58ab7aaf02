// The `upstream` block: its servers, its balancing method, its idle connections. What the rows say becomes an Upstream
// (upstream/upstream.ts). Also finds or makes the upstream that a proxy_pass names (ngx_http_upstream_add).
import { type Compiler, Scope } from '../config/compile.ts';
import { ConfigError, errorAt, type Place } from '../config/error.ts';
import { action, type Cf, custom, defineModule, HTTP, time, UPSTREAM } from '../config/rows.ts';
import { parseCount, parseSizeBytes, parseTimeMs } from '../config/values.ts';
import { zoneNamed } from '../http/zone.ts';
import { lifecycle } from '../lifecycle.ts';
import { type ParsedAddress, parseAddress } from '../listen/address.ts';
import { logProcessError } from '../log.ts';
import type { Resolver } from '../resolver.ts';
import { DEFAULT_PARAMETERS, type PeerAddress, type ServerParameters } from '../upstream/peer.ts';
import { type NamedServer, NameRefresher, stopRefreshers } from '../upstream/refresher.ts';
import { type BalanceMethod, Upstream, type UpstreamServer } from '../upstream/upstream.ts';
import { parseResolver, resolverModule } from './resolver.ts';

type Settable = 'weight' | 'max_conns' | 'max_fails' | 'fail_timeout' | 'backup' | 'down';

/** Servers marked `resolve`, while the configuration is being read. */
const namedServers = new WeakMap<Upstream, NamedServer[]>();

lifecycle.start.add(stopRefreshers);

export const upstreamModule = defineModule('upstream', {
  main: {
    upstream: action(HTTP, '1', 'name { ... }', openUpstream, { isBlock: true }),
    server: action(UPSTREAM, '1+', 'address [parameters]', addServer, {
      note: 'parameters: weight= max_conns= max_fails= fail_timeout= backup down resolve service=',
    }),
    least_conn: action(UPSTREAM, 'none', '', (cf) => setMethod(cf, 'least_conn')),
    ip_hash: action(UPSTREAM, 'none', '', (cf) => setMethod(cf, 'ip_hash')),
    hash: action(UPSTREAM, '1-2', 'key [consistent]', setHash),
    random: action(UPSTREAM, '0-2', '[two [least_conn]]', setRandom),
    keepalive: action(UPSTREAM, '1', 'connections', setKeepalive),
    keepalive_requests: custom<number>(UPSTREAM, '1', {
      default: 1000,
      syntax: 'number',
      defaultText: '1000',
      set: (cf) => parseCount(cf.args[0]!) ?? cf.fail('invalid number'),
    }),
    keepalive_time: time(UPSTREAM, '1h'),
    keepalive_timeout: time(UPSTREAM, '60s'),
    zone: action(UPSTREAM, '1-2', 'name [size]', setZone),
    resolver: custom<Resolver | undefined>(UPSTREAM, '1+', {
      default: undefined,
      syntax: 'address ... [valid=time] [ipv4=on|off] [ipv6=on|off]',
      set: parseResolver,
    }),
    resolver_timeout: time(UPSTREAM, '30s'),
  },
});

function openUpstream(cf: Cf): void {
  const { compiler } = cf;
  const name = cf.args[0]!;
  const upstream = addUpstream(compiler, cf, { host: name, port: 0, hasPort: false }, true);
  const scope = new Scope(UPSTREAM, cf.scope);
  scope.upstream = upstream;
  compiler.walk(cf.directive.block!, scope);
  if (upstream.servers.length === 0) cf.fail('no servers are inside upstream');
  const { rows } = upstreamModule;
  const settingOf = <T>(row: { default: T }): T => (scope.values.get(row as never) as T | undefined) ?? row.default;
  if (upstream.keepalive) {
    upstream.keepalive.requests = settingOf(rows.main.keepalive_requests);
    upstream.keepalive.timeMs = settingOf(rows.main.keepalive_time);
    upstream.keepalive.timeoutMs = settingOf(rows.main.keepalive_timeout);
  }
  const named = namedServers.get(upstream);
  if (named) {
    // The http level's resolver may be written below the block.
    compiler.atEnd.push(() => {
      const http = resolverModule.rows.location;
      const resolver = settingOf(rows.main.resolver) ?? (cf.scope.values.get(http.resolver) as Resolver | undefined);
      if (!upstream.zone) {
        const at = `${upstream.file}:${upstream.line}`;
        throw new ConfigError(
          `resolving names at run time requires upstream "${name}" in ${at} to be in shared memory`,
        );
      }
      if (!resolver) {
        throw errorAt(upstream, `no resolver defined to resolve names at run time in upstream "${name}"`);
      }
      const timeoutMs =
        (scope.values.get(rows.main.resolver_timeout) as number | undefined) ??
        (cf.scope.values.get(http.resolver_timeout) as number | undefined) ??
        rows.main.resolver_timeout.default;
      const refresher = new NameRefresher(upstream, resolver, timeoutMs, named, logProcessError);
      upstream.refresher = refresher;
      const begin = (): void => {
        lifecycle.start.delete(begin);
        refresher.start();
      };
      lifecycle.start.add(begin);
    });
  }
}

function addServer(cf: Cf): void {
  const upstream = cf.scope.upstream!;
  const [url, ...words] = cf.args as [string, ...string[]];
  const { parameters, isResolved, service } = serverParameters(cf, words, upstream);
  const parsed = addressOf(cf, url);
  const server: UpstreamServer = { text: url, parameters, addresses: [] };
  upstream.servers.push(server);
  if (service !== undefined) {
    if (!isResolved) cf.fail(`service upstream "${url}" requires "resolve" parameter`);
    if (parsed.hasPort) cf.fail(`service upstream "${url}" may not have port`);
    if (parsed.family !== 'name') cf.fail(`service upstream "${url}" requires domain name`);
  }
  if (isResolved && parsed.family === 'name') {
    const named = namedServers.get(upstream) ?? [];
    namedServers.set(upstream, named);
    named.push({ server, host: parsed.host, port: parsed.port, service });
    return;
  }
  whenKnown(cf.compiler, cf.directive, `host not found in upstream "${url}"`, parsed, (addresses) => {
    server.addresses = addresses;
  });
}

function addressOf(cf: Cf, url: string): ParsedAddress {
  const parsed = parseAddress(url, 80);
  return typeof parsed === 'string' ? cf.fail(`${parsed} in upstream "${url}"`) : parsed;
}

function serverParameters(
  cf: Cf,
  words: readonly string[],
  upstream: Upstream,
): { parameters: ServerParameters; isResolved: boolean; service: string | undefined } {
  const parameters = { ...DEFAULT_PARAMETERS };
  let isResolved = false;
  let service: string | undefined;
  const allow = (what: Settable, word: string): void => {
    if (what === 'backup' && ['ip_hash', 'hash', 'consistent_hash', 'random'].includes(upstream.method)) {
      cf.fail(`balancing method does not support parameter "${word}"`);
    }
  };
  for (const word of words) {
    const equals = word.indexOf('=');
    const name = equals < 0 ? word : word.slice(0, equals);
    const value = equals < 0 ? '' : word.slice(equals + 1);
    const invalid = (): never => cf.invalidParameter(word);
    if (equals < 0) {
      if (word === 'backup') {
        allow('backup', word);
        parameters.isBackup = true;
      } else if (word === 'down') parameters.isDown = true;
      else if (word === 'resolve') isResolved = true;
      else invalid();
    } else if (name === 'weight') {
      parameters.weight = parseCount(value) || invalid();
    } else if (name === 'max_conns') {
      parameters.maxConns = parseCount(value) ?? invalid();
    } else if (name === 'max_fails') {
      parameters.maxFails = parseCount(value) ?? invalid();
    } else if (name === 'fail_timeout') {
      parameters.failTimeoutS = Math.floor((parseTimeMs(value) ?? invalid()) / 1000);
    } else if (name === 'service') {
      if (value === '') cf.fail('service is empty');
      service = value;
    } else invalid();
  }
  return { parameters, isResolved, service };
}

function setMethod(cf: Cf, method: BalanceMethod): void {
  const upstream = cf.scope.upstream!;
  if (upstream.hasMethod) cf.compiler.warn('load balancing method redefined', cf.directive);
  upstream.method = method;
  upstream.hasMethod = true;
}

function setHash(cf: Cf): void {
  const [key, option] = cf.args as [string, string | undefined];
  if (option !== undefined && option !== 'consistent') cf.invalidParameter(option);
  cf.scope.upstream!.hashKey = cf.template(key);
  setMethod(cf, option ? 'consistent_hash' : 'hash');
}

function setRandom(cf: Cf): void {
  const [two, how] = cf.args as [string | undefined, string | undefined];
  setMethod(cf, 'random');
  if (two === undefined) return;
  if (two !== 'two') cf.invalidParameter(two);
  if (how !== undefined && how !== 'least_conn') cf.invalidParameter(how);
  cf.scope.upstream!.isRandomOfTwo = true;
}

function setKeepalive(cf: Cf): void {
  const upstream = cf.scope.upstream!;
  if (upstream.keepalive) cf.fail('"keepalive" directive is duplicate');
  const max = parseCount(cf.args[0]!) || cf.fail(`invalid value "${cf.args[0]}" in "keepalive" directive`);
  upstream.keepalive = { max, requests: 1000, timeMs: 3_600_000, timeoutMs: 60_000 };
  // nginx wants the method first, because keepalive wraps it; a later one is told as redefined.
  upstream.hasMethod = true;
}

function setZone(cf: Cf): void {
  const upstream = cf.scope.upstream!;
  const [name, sizeText] = cf.args as [string, string | undefined];
  if (name === '') cf.fail(`invalid zone name "${name}"`);
  let bytes = 0;
  if (sizeText !== undefined) {
    bytes = parseSizeBytes(sizeText) ?? cf.fail(`invalid zone size "${sizeText}"`);
    if (bytes < 8 * 4096) cf.fail(`zone "${name}" is too small`);
  }
  const zone = zoneNamed(cf, name, 'upstream');
  if (bytes > 0 && zone.sizeBytes > 0 && bytes !== zone.sizeBytes) {
    cf.fail(`the size ${bytes} of shared memory zone "${name}" conflicts with already declared size ${zone.sizeBytes}`);
  }
  if (bytes > 0) zone.sizeBytes = bytes;
  upstream.zone = name;
  lifecycle.start.add(() => upstream.share());
}

/** What a proxy_pass (or an `upstream` line) names. */
export interface UpstreamTarget {
  readonly host: string;
  /** The scheme's default when none was written; 0 for a block. */
  readonly port: number;
  readonly hasPort: boolean;
}

/** The upstream of that name: an `upstream` block, above or below, or an implicit one that is made here. */
export function addUpstream(compiler: Compiler, cf: Cf, target: UpstreamTarget, isBlock: boolean): Upstream {
  const lower = target.host.toLowerCase();
  for (const upstream of compiler.upstreams.values()) {
    if (upstream.name.toLowerCase() !== lower) continue;
    if (isBlock && upstream.isBlock) cf.fail(`duplicate upstream "${target.host}"`);
    if (upstream.isBlock && target.hasPort) cf.fail(`upstream "${target.host}" may not have port ${target.port}`);
    if (isBlock && upstream.hasPort) {
      throw errorAt(upstream, `upstream "${target.host}" may not have port ${upstream.port}`);
    }
    if (upstream.port !== 0 && target.port !== 0 && upstream.port !== target.port) continue;
    if (isBlock) {
      upstream.isBlock = true;
      upstream.port = 0;
    }
    return upstream;
  }
  const upstream = new Upstream(target.host, cf.directive, isBlock, target.port, target.hasPort);
  compiler.upstreams.set(isBlock ? lower : `${lower}:${target.port}`, upstream);
  compiler.atEnd.push(() => completeUpstream(compiler, upstream));
  return upstream;
}

/** When the whole configuration is read: an implicit upstream gets its one server, all get their peers. */
function completeUpstream(compiler: Compiler, upstream: Upstream): void {
  if (!upstream.isBlock) {
    const { name, port } = upstream;
    const server: UpstreamServer = { text: name, parameters: DEFAULT_PARAMETERS, addresses: [] };
    upstream.servers = [server];
    const parsed = name.startsWith('unix:') ? parseAddress(name, 0) : parseAddress(name, port);
    if (typeof parsed === 'string') throw errorAt(upstream, `${parsed} in upstream "${name}"`);
    const at = { ...parsed, port: parsed.family === 'unix' ? 0 : port };
    if (at.family !== 'unix' && port === 0) throw errorAt(upstream, `no port in upstream "${name}"`);
    whenKnown(compiler, upstream, `host not found in upstream "${name}"`, at, (addresses) => {
      server.addresses = addresses;
      upstream.build();
    });
    return;
  }
  if (upstream.servers.every((s) => s.parameters.isBackup)) {
    throw errorAt(upstream, `no servers in upstream "${upstream.name}"`);
  }
  upstream.build();
}

/** Hands over the addresses: now, or when the name was looked up. */
function whenKnown(
  compiler: Compiler,
  place: Place,
  message: string,
  parsed: ParsedAddress,
  apply: (addresses: PeerAddress[]) => void,
): void {
  if (parsed.family !== 'name') {
    apply([{ family: parsed.family, host: parsed.host, port: parsed.port }]);
    return;
  }
  compiler.pendingHosts.push({
    host: parsed.host,
    place,
    message,
    apply: (addresses) => {
      apply(addresses.map((a) => ({ family: a.family as 4 | 6, host: a.address, port: parsed.port })));
      for (const upstream of compiler.upstreams.values()) upstream.build();
    },
  });
}
