// `portico explain`: what a configuration does to a request, found out by running the request through the proxy's own
// code with a trace, and stopping it where it would connect to an upstream. Nothing is sent: names are not looked up,
// no port is bound, no log is written. Files are looked at, because try_files and its like ask for them.
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Scope } from '../config/compile.ts';
import type { Place } from '../config/error.ts';
import { type Config, loadConfig } from '../config/load.ts';
import type { Directive } from '../config/parser.ts';
import { ClientConnection } from '../http/client.ts';
import { serveHttp1 } from '../http/connection.ts';
import type { Exchange } from '../http/exchange.ts';
import { Location } from '../http/location.ts';
import { directiveText, type Stage, type Trace } from '../http/trace.ts';
import type { ListenAddress } from '../listen/address.ts';
import { addressOf, planSockets } from '../listen/sockets.ts';
import { LogFile } from '../log.ts';
import { AccessLogFile } from '../modules/access-log-file.ts';
import { adaptDirectives } from '../testing/adapt.ts';
import { missingFiles, prefixOf } from '../testing/packaged-files.ts';
import type { Peer } from '../upstream/peer.ts';
import type { UpstreamRequest } from '../upstream/request.ts';
import { DrySocket, drySession } from './dry-socket.ts';
import type { AskedRequest } from './request.ts';

/** One decision, and the directive that it comes from. */
export interface Step {
  readonly stage: Stage | 'listen' | 'request' | 'response' | 'note';
  readonly text: string;
  readonly file?: string;
  readonly line?: number;
}

/** A header that is sent, and where it comes from. */
export interface ExplainedHeader {
  readonly name: string;
  readonly value: string;
  readonly from: 'configuration' | 'client' | 'nginx';
  readonly file?: string;
  readonly line?: number;
}

export interface ExplainedUpstream {
  /** Name of the upstream, or the host of the proxy_pass. */
  readonly name: string;
  readonly url: string;
  readonly requestLine: string;
  readonly headers: readonly ExplainedHeader[];
  /** The servers that a request may go to, the one that this would have gone to first. */
  readonly peers: readonly { readonly address: string; readonly isChosen: boolean; readonly text: string }[];
}

export interface Explanation {
  readonly method: string;
  readonly url: string;
  readonly steps: readonly Step[];
  readonly upstream?: ExplainedUpstream;
  /** Undefined when the connection is closed without an answer. */
  readonly response?: {
    readonly status: number;
    readonly statusLine: string;
    readonly headers: readonly ExplainedHeader[];
  };
}

export interface ExplainOptions {
  readonly confFile: string;
  readonly prefix?: string | undefined;
}

/** Explains one request. Throws ConfigError for a bad configuration, RangeError where nothing listens. */
export async function explain(asked: AskedRequest, options: ExplainOptions): Promise<Explanation> {
  const explainer = new Explainer();
  const config = await explainer.load(options);
  return await explainer.run(config, asked);
}

class Explainer implements Trace {
  readonly #steps: Step[] = [];
  /** Directives by the location (or server block; undefined: the http block) that they stand in. */
  readonly #places = new Map<Location | undefined, Map<string, Directive[]>>();
  #upstream: ExplainedUpstream | undefined;
  readonly #done = Promise.withResolvers<Exchange>();

  async load({ confFile, prefix }: ExplainOptions): Promise<Config> {
    const confPrefix = `${dirname(confFile)}/`;
    const scratch = join(tmpdir(), 'portico-explain');
    const config = await loadConfig({
      prefix: prefix ?? prefixOf(confFile),
      confFile,
      extraFiles: missingFiles(confPrefix),
      warn: (message) => this.#step('note', `[warn] ${message}`),
      onDirective: (directive, scope) => this.#keep(directive, scope),
      surroundings: {
        adapt: (directives) =>
          adaptDirectives(directives, { confPrefix, scratch, certificate: 'missing.pem', key: 'missing.key' }),
        // A name stands for its addresses, whatever they are.
        lookup: (host) => [{ address: host, family: 4 }],
        route: (peer) => peer.address,
      },
    });
    for (const file of config.logFiles) {
      if (file instanceof AccessLogFile) file.observer = (line) => this.#step('log', `${file.path}: ${line}`);
      else if (file instanceof LogFile) file.sink = () => {};
    }
    return config;
  }

  #keep(directive: Directive, { location, upstream }: Scope): void {
    if (upstream) return;
    let block = this.#places.get(location);
    if (!block) {
      block = new Map();
      this.#places.set(location, block);
    }
    const same = block.get(directive.name);
    if (same) same.push(directive);
    else block.set(directive.name, [directive]);
  }

  /** The directives of that name that hold in a location: those of the nearest block that has any. */
  #inForce(location: Location | undefined, name: string): readonly Directive[] {
    for (let at = location; at; at = at.parent) {
      const found = this.#places.get(at)?.get(name);
      if (found) return found;
    }
    return this.#places.get(undefined)?.get(name) ?? [];
  }

  #step(stage: Step['stage'], text: string, at?: Place): void {
    this.#steps.push({ stage, text, ...(at && at.file !== '' ? { file: at.file, line: at.line } : {}) });
  }

  observe(stage: Stage, text: string, at?: Place): void {
    // Where a location is what is known, the directive in it says more.
    const handler = stage === 'phase' ? /^\w+ phase: (\w+)/.exec(text)?.[1] : /: (error_page) /.exec(text)?.[1];
    const name = handler === 'access' ? 'deny' : handler;
    const nearer = name !== undefined && at instanceof Location ? this.#inForce(at, name)[0] : undefined;
    this.#step(stage, text, nearer ?? at);
  }

  finished(r: Exchange): void {
    if (!r.parent) this.#done.resolve(r);
  }

  async run(config: Config, asked: AskedRequest): Promise<Explanation> {
    const { listen, port, localAddress } = this.#listen(config, asked);
    const isTls = listen.isSsl && asked.scheme !== 'http';
    const client = new ClientConnection(
      listen,
      { address: '127.0.0.1', port: 49_152 },
      { address: localAddress, port },
    );
    client.trace = this;
    if (isTls) {
      client.tls = drySession(asked.host);
      client.hello = { serverName: asked.host, ciphers: [], groups: [] } as never;
      client.sniServer = listen.table!.find(asked.host.toLowerCase())?.server ?? listen.defaultServer;
    }
    const socket = new DrySocket();
    const connection = serveHttp1(socket as never, client);
    socket.push(asked.bytes);
    const r = await this.#done.promise;
    connection.destroy();
    const scheme = isTls ? 'https' : 'http';
    const isUsual = port === (isTls ? 443 : 80) || port === 0;
    const response = this.#response(r, socket.answer);
    return {
      method: asked.method,
      url: `${scheme}://${asked.host || 'localhost'}${isUsual ? '' : `:${port}`}${asked.target}`,
      steps: this.#steps,
      ...(this.#upstream ? { upstream: this.#upstream } : {}),
      ...(response ? { response } : {}),
    };
  }

  #listen(config: Config, asked: AskedRequest): { listen: ListenAddress; port: number; localAddress: string } {
    const { listens } = config;
    const first = listens.find((l) => asked.scheme === undefined || l.isSsl === (asked.scheme === 'https'));
    const usual = asked.scheme === 'https' ? 443 : asked.scheme === 'http' ? 80 : undefined;
    const port = asked.port ?? usual ?? first?.port;
    const there = listens.filter((l) => l.port === port);
    const all = listens.map((l) => l.text).join(', ');
    if (there.length === 0) {
      throw new RangeError(`nothing listens on port ${port}; the configuration listens on ${all || 'nothing'}`);
    }
    const wanted = there.find((l) => l.host === asked.host) ?? there.find((l) => l.isWildcard) ?? there[0]!;
    const plan = planSockets(listens).find((p) => p.addresses.includes(wanted))!;
    const localAddress = /^[\d.]+$|:/.test(asked.host) ? asked.host : wanted.isWildcard ? '127.0.0.1' : wanted.host;
    const listen = addressOf(plan.addresses, localAddress);
    const words = [listen.isSsl ? 'ssl' : '', listen.isHttp2 ? 'http2' : ''].filter(Boolean).join(' ');
    const others = there.filter((l) => l !== listen).map((l) => l.text);
    const why =
      others.length === 0
        ? `the only address on port ${port}`
        : `${localAddress} is nearest to it, not to ${others.join(', ')}`;
    const servers = `${listen.servers.length} ${listen.servers.length === 1 ? 'server' : 'servers'}`;
    this.#step('listen', `${listen.text}${words && ` ${words}`}: ${why}; ${servers}`, listen.place);
    if (listen.isSsl && asked.scheme === 'http') this.#step('note', 'plain HTTP comes to an address that speaks TLS');
    if (!listen.isSsl && asked.scheme === 'https')
      throw new RangeError(`${listen.text} does not speak TLS: the handshake fails`);
    return { listen, port: listen.port, localAddress };
  }

  connecting(u: UpstreamRequest, peer: Peer): void {
    const { r, target } = u;
    const { upstream } = u.choice!;
    const [pass] = this.#inForce(r.location, 'proxy_pass').slice(-1);
    const head = u.maker.head(u);
    const [requestLine = '', ...lines] = head.slice(0, head.indexOf('\r\n\r\n')).split('\r\n');
    const explained: ExplainedUpstream = {
      name: upstream.name,
      url: `${target.schema}${peer.name}${u.maker.uri}`,
      requestLine,
      headers: lines.map((line) => this.#requestHeader(r, line)),
      peers: [...upstream.main.peers, ...(upstream.backup?.peers ?? [])].map((one) => ({
        address: one.name,
        isChosen: one === peer,
        text: [
          one.weight === 1 ? '' : `weight=${one.weight}`,
          one.isDown ? 'down' : '',
          upstream.backup?.peers.includes(one) ? 'backup' : '',
        ]
          .filter(Boolean)
          .join(' '),
      })),
    };
    this.#step(
      'upstream',
      `${pass ? directiveText(pass) : 'proxy_pass'}  asks for ${target.schema}${target.hostHeader}${u.maker.uri}`,
      pass,
    );
    const method = upstream.method.replace('consistent_hash', 'hash ... consistent');
    const how =
      explained.peers.length === 1
        ? 'its only server'
        : `the first choice of ${method} among ${explained.peers.length}`;
    this.#step('upstream', `upstream "${upstream.name}": ${how}, ${peer.name}`, upstream);
    if (r.parent) this.#step('upstream', `subrequest ${r.uri}: ${requestLine}; assumed to be answered with 200`);
    else this.#upstream = explained;
    // From here on a response is assumed, to see what is added to it.
    u.leave();
    r.out.status = 200;
    if (!r.sendHeader()) return;
    r.end();
    r.finalize(0);
  }

  #requestHeader(r: Exchange, line: string): ExplainedHeader {
    const colon = line.indexOf(': ');
    const name = line.slice(0, colon);
    const value = line.slice(colon + 2);
    const lower = name.toLowerCase();
    const set = this.#inForce(r.location, 'proxy_set_header').find((d) => d.args[0]!.toLowerCase() === lower);
    if (set) return { name, value, from: 'configuration', file: set.file, line: set.line };
    const isClients = r.headers.names.some((known, i) => known === name && r.headers.values[i] === value);
    return { name, value, from: isClients && lower !== 'connection' && lower !== 'host' ? 'client' : 'nginx' };
  }

  #response(r: Exchange, answer: string): Explanation['response'] {
    const [statusLine = '', ...lines] = answer.slice(0, answer.indexOf('\r\n\r\n')).split('\r\n');
    const status = Number(/^HTTP\/1\.1 (\d+)/.exec(statusLine)?.[1]);
    if (!status) return undefined;
    const added = [...this.#inForce(r.location, 'add_header'), ...this.#inForce(r.location, 'expires')];
    const headers = lines.map((line): ExplainedHeader => {
      const colon = line.indexOf(': ');
      const [name, value] = [line.slice(0, colon), line.slice(colon + 2)];
      const lower = name.toLowerCase();
      const set = added.find((d) => {
        if (d.name === 'expires') return lower === 'expires' || lower === 'cache-control';
        return d.args[0]!.toLowerCase() === lower;
      });
      return set
        ? { name, value, from: 'configuration', file: set.file, line: set.line }
        : { name, value, from: 'nginx' };
    });
    return { status, statusLine, headers };
  }
}

/** The configuration to explain when none is named: where people keep it. */
export function findConfFile(directory: string): string | undefined {
  const places = ['nginx.conf', 'conf/nginx.conf', 'nginx/nginx.conf', 'proxy/conf/nginx.conf'].map((p) =>
    join(directory, p),
  );
  return [...places, '/etc/nginx/nginx.conf'].find((path) => existsSync(path));
}
