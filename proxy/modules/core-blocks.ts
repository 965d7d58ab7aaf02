// Directives of nginx's http core that act when they are read: the blocks (http, server, location, limit_except,
// types), listen and server_name.
import { hostname as osHostname } from 'node:os';
import { Location, Scope } from '../config/compile.ts';
import { compileRegex } from '../config/regex.ts';
import {
  action,
  type Cf,
  custom,
  defineModule,
  flag,
  HSL,
  HTTP,
  LIMIT_EXCEPT,
  LOCATION,
  MAIN,
  SERVER,
} from '../config/rows.ts';
import { unused } from '../config/unused-row.ts';
import { parseSizeBytes } from '../config/values.ts';
import { Server, type ServerName } from '../http/virtual-server.ts';
import { type ListenAddress, parseAddress } from '../listen/address.ts';

/** Extension to type, lower case. */
export type Types = ReadonlyMap<string, string>;

const DEFAULT_TYPES: Types = new Map([
  ['html', 'text/html'],
  ['gif', 'image/gif'],
  ['jpg', 'image/jpeg'],
]);

const METHODS = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'MKCOL',
  'COPY',
  'MOVE',
  'OPTIONS',
  'PROPFIND',
  'PROPPATCH',
  'LOCK',
  'UNLOCK',
  'PATCH',
];

export const blocksModule = defineModule('blocks', {
  core: {
    http: action(MAIN, 'none', '{ ... }', openHttp, { isBlock: true }),
  },
  main: {
    server: action(HTTP, 'none', '{ ... }', openServer, { isBlock: true }),
    server_names_hash_max_size: unused(HTTP, '1', 'size', '512', 'tables size themselves'),
    server_names_hash_bucket_size: unused(HTTP, '1', 'size', '64', 'tables size themselves'),
    variables_hash_max_size: unused(HTTP, '1', 'size', '1024', 'tables size themselves'),
    variables_hash_bucket_size: unused(HTTP, '1', 'size', '64', 'tables size themselves'),
  },
  server: {
    listen: custom<ListenAddress[]>(SERVER, '1+', {
      default: [],
      isRepeatable: true,
      syntax: 'address[:port] | port | unix:path [default_server] [ssl] [http2] [proxy_protocol] [backlog=number] ...',
      defaultText: '*:80 | *:8000',
      note: 'deferred, rcvbuf, sndbuf, fastopen and the times of so_keepalive are checked and not used.',
      set: (cf, previous) => [...(previous ?? []), ...listen(cf)],
    }),
    server_name: custom<readonly ServerName[]>(SERVER, '1+', {
      default: [],
      isRepeatable: true,
      syntax: 'name ...',
      defaultText: '""',
      set(cf, previous) {
        const names = cf.args.map((arg) => serverName(cf, arg));
        const server = cf.scope.server!;
        if (!previous) server.name = names[0]!.text.replace(/^\./, '');
        server.names.push(...names);
        return [...(previous ?? []), ...names];
      },
    }),
    http2: flag(HTTP | SERVER, false, { note: 'the spelling of nginx 1.25.1 and later; `listen … http2` works too' }),
  },
  location: {
    location: action(SERVER | LOCATION, '1-2', '[ = | ~ | ~* | ^~ ] uri { ... } | @name { ... }', openLocation, {
      isBlock: true,
    }),
    limit_except: action(LOCATION, '1+', 'method ... { ... }', openLimitExcept, { isBlock: true }),
    types: custom<Types>(HSL, 'none', {
      default: DEFAULT_TYPES,
      isBlock: true,
      isRepeatable: true,
      syntax: '{ ... }',
      defaultText: 'text/html html; image/gif gif; image/jpeg jpg;',
      set(cf, previous) {
        const types = new Map(previous ?? []);
        for (const entry of cf.directive.block!) {
          if (entry.fault) throw entry.fault;
          for (const extension of entry.args) {
            const key = extension.toLowerCase();
            const known = types.get(key);
            if (known !== undefined) {
              const which = `content type: "${entry.name}", previous content type: "${known}"`;
              cf.compiler.warn(`duplicate extension "${key}", ${which}`, entry);
            }
            types.set(key, entry.name);
          }
        }
        return types;
      },
    }),
  },
});

function openHttp(cf: Cf): void {
  if (cf.compiler.hasHttp) cf.fail('"http" directive is duplicate');
  cf.compiler.hasHttp = true;
  const scope = new Scope(HTTP, cf.scope);
  cf.compiler.httpScope = scope;
  cf.compiler.httpEnd = { file: cf.directive.file, line: cf.directive.endLine ?? cf.directive.line };
  cf.compiler.walk(cf.directive.block!, scope);
}

function openServer(cf: Cf): void {
  const server = new Server(cf.directive);
  const scope = new Scope(SERVER, cf.scope);
  scope.server = server;
  server.root = new Location('noname', '', cf.directive);
  server.root.scope = scope;
  scope.location = server.root;
  cf.compiler.servers.push(server);
  cf.compiler.serverScopes.set(server, scope);
  cf.compiler.walk(cf.directive.block!, scope);
  const listens = scope.values.get(blocksModule.rows.server.listen) as ListenAddress[] | undefined;
  if (!listens) addListen(cf, server, '0.0.0.0', process.getuid?.() === 0 ? 80 : 8000);
  if (server.names.length === 0) server.names.push({ text: '', kind: 'exact' });
}

function addListen(cf: Cf, server: Server, host: string, port: number): void {
  const text = `${host}:${port}`;
  const known = cf.compiler.listens.get(text);
  if (known) known.servers.push(server);
  else cf.compiler.listens.set(text, newAddress(cf, text, 4, host, port, server));
}

function newAddress(
  cf: Cf,
  text: string,
  family: ListenAddress['family'],
  host: string,
  port: number,
  server: Server,
): ListenAddress {
  return {
    text,
    family,
    host,
    port,
    isSsl: false,
    isHttp2: false,
    isProxyProtocol: false,
    isDefault: false,
    hasOptions: false,
    backlog: 511,
    isIpv6Only: true,
    isReuseport: false,
    soKeepalive: undefined,
    isWildcard: host === '0.0.0.0' || host === '::',
    servers: [server],
    defaultServer: server,
    table: undefined,
    variables: undefined,
    place: cf.directive,
  };
}

/** All addresses of one directive: a range of ports is as many. */
function listen(cf: Cf): ListenAddress[] {
  const [target] = cf.args as [string];
  const range = /^(.*:|)(\d+)-(\d+)$/.exec(target);
  if (!range || target.startsWith('unix:')) return [listenOn(cf, target)];
  const first = Number(range[2]);
  const last = Number(range[3]);
  if (first < 1 || last > 65535) cf.fail(`invalid port in "${target}" of the "listen" directive`);
  if (last < first) cf.fail(`invalid port range in "${target}" of the "listen" directive`);
  return Array.from({ length: last - first + 1 }, (_, i) => listenOn(cf, `${range[1]}${first + i}`));
}

function listenOn(cf: Cf, target: string): ListenAddress {
  const options = cf.args.slice(1);
  const server = cf.scope.server!;
  const parsed = parseAddress(target, 80, true);
  if (typeof parsed === 'string') return cf.fail(`${parsed} in "${target}" of the "listen" directive`);
  let { family, host } = parsed;
  if (family === 'name') {
    // Names in listen are resolved once, at start; localhost is the one that people use.
    if (host !== 'localhost') return cf.fail(`host not found in "${target}" of the "listen" directive`);
    host = '127.0.0.1';
    family = 4;
  }
  const port = family === 'unix' ? 0 : parsed.port;
  const text = family === 'unix' ? `unix:${host}` : family === 6 ? `[${host}]:${port}` : `${host}:${port}`;
  const fresh = newAddress(cf, text, family as ListenAddress['family'], host, port, server);
  for (const option of options) listenOption(cf, fresh, option);

  const known = cf.compiler.listens.get(text);
  if (!known) {
    cf.compiler.listens.set(text, fresh);
    return fresh;
  }
  if (known.servers.includes(server)) cf.fail(`a duplicate listen ${target}`);
  if (fresh.hasOptions) {
    if (known.hasOptions) cf.fail(`duplicate listen options for ${target}`);
    known.hasOptions = true;
    known.backlog = fresh.backlog;
    known.isIpv6Only = fresh.isIpv6Only;
    known.isReuseport = fresh.isReuseport;
    known.soKeepalive = fresh.soKeepalive;
  }
  if (fresh.isDefault) {
    if (known.isDefault) cf.fail(`a duplicate default server for ${target}`);
    known.isDefault = true;
    known.defaultServer = server;
  }
  known.isSsl ||= fresh.isSsl;
  known.isHttp2 ||= fresh.isHttp2;
  known.isProxyProtocol ||= fresh.isProxyProtocol;
  known.servers.push(server);
  return known;
}

function listenOption(cf: Cf, to: ListenAddress, option: string): void {
  const [name, value] = option.includes('=')
    ? [option.slice(0, option.indexOf('=')), option.slice(option.indexOf('=') + 1)]
    : [option, undefined];
  const isPlain = value === undefined;
  if (isPlain && (name === 'default_server' || name === 'default')) to.isDefault = true;
  else if (isPlain && name === 'ssl') to.isSsl = true;
  else if (isPlain && name === 'http2') to.isHttp2 = true;
  else if (isPlain && name === 'proxy_protocol') to.isProxyProtocol = true;
  else if (isPlain && name === 'bind') to.hasOptions = true;
  else if (isPlain && name === 'deferred') to.hasOptions = true;
  else if (isPlain && name === 'reuseport') to.isReuseport = to.hasOptions = true;
  else if (name === 'backlog' && value) {
    if (!/^\d+$/.test(value) || Number(value) === 0) cf.fail(`invalid backlog "backlog=${value}"`);
    to.backlog = Number(value);
    to.hasOptions = true;
  } else if ((name === 'rcvbuf' || name === 'sndbuf') && value) {
    if (parseSizeBytes(value) === undefined) cf.fail(`invalid ${name} "${option}"`);
    to.hasOptions = true;
  } else if (name === 'fastopen' && value) {
    if (!/^\d+$/.test(value)) cf.fail(`invalid fastopen "${option}"`);
    to.hasOptions = true;
  } else if (name === 'accept_filter' && value) {
    cf.compiler.warn(`accept filters "${option}" are not supported on this platform, ignored`, cf.directive);
  } else if (name === 'ipv6only' && value?.startsWith('o')) {
    if (value !== 'on' && value !== 'off') cf.fail(`invalid ipv6only flags "${value}"`);
    to.isIpv6Only = value === 'on';
    to.hasOptions = true;
  } else if (name === 'so_keepalive' && value !== undefined) {
    if (value === 'on' || value === 'off') to.soKeepalive = value === 'on';
    else if (/^(\d+[smhd]?)?:(\d+[smhd]?)?:(\d+)?$/.test(value) && value !== '::') to.soKeepalive = true;
    else cf.fail(`invalid so_keepalive value: "${value}"`);
    to.hasOptions = true;
  } else cf.invalidParameter(option);
}

function serverName(cf: Cf, arg: string): ServerName {
  const text = arg === '$hostname' ? hostname() : arg.startsWith('~') ? arg : arg.toLowerCase();
  if (text.startsWith('~')) {
    if (text === '~') cf.fail(`empty regex in server name "${text}"`);
    // Host names are compared in lower case.
    try {
      const regex = compileRegex(text.slice(1), true);
      for (const name of regex.names) cf.compiler.capture(name, cf.directive);
      return { text, kind: 'regex', regex };
    } catch (error) {
      return cf.fail(`${(error as Error).message} in "${text.slice(1)}"`);
    }
  }
  if (text.includes('/')) cf.compiler.warn(`server name "${text}" has suspicious symbols`, cf.directive);
  if (text === '.' || (text.startsWith('*') && (text.length < 3 || text[1] !== '.'))) {
    cf.fail(`server name "${text}" is invalid`);
  }
  const stars = text.split('*').length - 1;
  // Told when names are looked up at all: when an address has more than one server.
  if (stars > 1 || text.includes('..')) return { text, kind: 'invalid' };
  if (text.startsWith('.')) return { text, kind: 'dot' };
  if (stars === 0) return { text, kind: 'exact' };
  if (stars === 1 && text.startsWith('*.') && text.length > 2) return { text, kind: 'head' };
  if (stars === 1 && text.endsWith('.*') && text.length > 2) return { text, kind: 'tail' };
  return { text, kind: 'invalid' };
}

function hostname(): string {
  return osHostname().toLowerCase();
}

function openLocation(cf: Cf): void {
  const { args, scope, compiler, directive } = cf;
  let kind: Location['kind'] = 'prefix';
  let name = args[0]!;
  let modifier = '';
  if (args.length === 2) {
    modifier = args[0]!;
    name = args[1]!;
  } else {
    const glued = /^(=|\^~|~\*|~)(.*)$/s.exec(name);
    if (glued) {
      modifier = glued[1]!;
      name = glued[2]!;
    } else if (name.startsWith('@')) kind = 'named';
  }
  const outer = scope.location!;
  let location: Location;
  if (modifier === '~' || modifier === '~*') {
    try {
      const regex = compileRegex(name, modifier === '~*');
      for (const capture of regex.names) compiler.capture(capture, directive);
      location = new Location('regex', name, directive, outer, regex);
    } catch (error) {
      cf.fail(`${(error as Error).message} in "${name}"`);
    }
  } else if (modifier === '=' || modifier === '^~' || modifier === '') {
    location = new Location(modifier === '=' ? 'exact' : kind, name, directive, outer, undefined, modifier === '^~');
  } else {
    cf.fail(`invalid location modifier "${modifier}"`);
  }
  if (scope.context === LOCATION) {
    if (outer.kind === 'exact') cf.fail(`location "${name}" cannot be inside the exact location "${outer.name}"`);
    if (outer.kind === 'named') cf.fail(`location "${name}" cannot be inside the named location "${outer.name}"`);
    if (location.kind === 'named') cf.fail(`named location "${name}" can be on the server level only`);
    if (location.kind !== 'regex' && outer.kind !== 'regex' && !name.startsWith(outer.name)) {
      cf.fail(`location "${name}" is outside location "${outer.name}"`);
    }
  }
  const same = outer.children.find(
    (l) =>
      l.kind === location.kind && l.name === name && l.kind !== 'regex' && l.kind !== 'noname' && l.kind !== 'named',
  );
  if (same) cf.fail(`duplicate location "${name}"`);
  outer.children.push(location);
  const inner = new Scope(LOCATION, scope);
  inner.location = location;
  location.scope = inner;
  compiler.walk(directive.block!, inner);
}

/** The noname location that a `limit_except` block makes, with the methods that stay outside of it. */
export interface LimitExcept {
  readonly methods: ReadonlySet<string>;
  readonly location: Location;
}

function openLimitExcept(cf: Cf): void {
  const { scope, compiler, directive } = cf;
  const outer = scope.location!;
  if (outer.limitExcept) cf.fail('"limit_except" directive is duplicate');
  const methods = new Set<string>();
  for (const arg of cf.args) {
    const method = METHODS.find((m) => m === arg.toUpperCase());
    if (!method) cf.fail(`invalid method "${arg}"`);
    methods.add(method);
    if (method === 'GET') methods.add('HEAD');
  }
  const location = new Location('noname', outer.name, directive, outer);
  const inner = new Scope(LIMIT_EXCEPT, scope);
  inner.location = location;
  location.scope = inner;
  outer.limitExcept = { methods, location };
  outer.children.push(location);
  compiler.walk(directive.block!, inner);
}
