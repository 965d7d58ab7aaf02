// Server blocks, and how one is chosen by Host or SNI: exact name, then the longest `*.suffix`, then the longest
// `prefix.*`, then the first matching regular expression, then the default of the address (ngx_http_find_virtual_server).
import type { CompiledRegex } from '../config/regex.ts';
import type { Location } from './location.ts';

export interface ServerName {
  readonly text: string;
  readonly kind: 'exact' | 'head' | 'tail' | 'dot' | 'regex' | 'invalid';
  readonly regex?: CompiledRegex;
}

export class Server {
  /** `$server_name`: the first name as written, or ''. */
  name = '';
  names: ServerName[] = [];
  conf: readonly unknown[] = [];
  root!: Location;
  readonly file: string;
  readonly line: number;
  /** TLS settings, made by listen/tls when an `ssl` address uses this server. */
  tls: unknown;

  constructor(place: { file: string; line: number }) {
    this.file = place.file;
    this.line = place.line;
  }
}

/** A server, and the name of it that a host matched. */
export interface Found {
  readonly server: Server;
  readonly name: ServerName;
  /** Where a regular expression decided. */
  readonly match?: RegExpExecArray;
}

/** The names of the servers of one listening address. */
export class ServerTable {
  readonly default: Server;
  #exact = new Map<string, Found>();
  /** `*.example.com` under `example.com`; `www.example.*` under `www.example`. */
  #heads = new Map<string, Found>();
  #tails = new Map<string, Found>();
  #regexes: [CompiledRegex, Found][] = [];
  readonly isSingle: boolean;

  constructor(standard: Server, servers: readonly Server[], onConflict: (name: string) => void) {
    this.default = standard;
    for (const server of servers) {
      for (const name of server.names) this.#add(name, server, onConflict);
    }
    this.isSingle = this.#regexes.length === 0 && servers.length === 1;
  }

  #add(name: ServerName, server: Server, onConflict: (name: string) => void): void {
    const found: Found = { server, name };
    const put = (map: Map<string, Found>, key: string): void => {
      if (map.has(key)) onConflict(name.text);
      else map.set(key, found);
    };
    const lower = name.text.toLowerCase();
    if (name.kind === 'regex') this.#regexes.push([name.regex!, found]);
    else if (name.kind === 'exact') put(this.#exact, lower);
    else if (name.kind === 'head') put(this.#heads, lower.slice(2));
    else if (name.kind === 'tail') put(this.#tails, lower.slice(0, -2));
    else if (name.kind === 'dot') {
      put(this.#exact, lower.slice(1));
      put(this.#heads, lower.slice(1));
    }
  }

  /** The server of a lower-case host, and the regular expression's match where one decided. */
  find(host: string): Found | undefined {
    const exact = this.#exact.get(host);
    if (exact || host === '') return exact;
    if (this.#heads.size) {
      for (let dot = host.indexOf('.'); dot >= 0; dot = host.indexOf('.', dot + 1)) {
        if (dot === 0) continue;
        const found = this.#heads.get(host.slice(dot + 1));
        if (found) return found;
      }
    }
    if (this.#tails.size) {
      for (let dot = host.lastIndexOf('.'); dot > 0; dot = host.lastIndexOf('.', dot - 1)) {
        const found = this.#tails.get(host.slice(0, dot));
        if (found) return found;
      }
    }
    for (const [regex, found] of this.#regexes) {
      const match = regex.regex.exec(host);
      if (match) return { ...found, match };
    }
    return undefined;
  }
}
