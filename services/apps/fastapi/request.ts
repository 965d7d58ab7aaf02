/** The request as a handler of the FastAPI-style framework sees it, over the ASGI scope. */
import type { HttpScope, Receive, WebSocketScope } from '../../asgi.ts';

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

/** The client went away while its body was being read. */
export class ClientDisconnect extends Error {
  override readonly name = 'ClientDisconnect';
}

/** What a request and a WebSocket have in common. */
export class HttpConnection<Scope extends HttpScope | WebSocketScope = HttpScope | WebSocketScope> {
  readonly scope: Scope;
  #headers: Map<string, string> | null = null;
  #query: URLSearchParams | null = null;

  constructor(scope: Scope) {
    this.scope = scope;
  }

  /** Header fields by lower-case name; the first of several wins, as in Starlette. */
  get headers(): ReadonlyMap<string, string> {
    if (!this.#headers) {
      this.#headers = new Map();
      for (const [name, value] of this.scope.headers) {
        const key = latin1(name);
        if (!this.#headers.has(key)) this.#headers.set(key, latin1(value));
      }
    }
    return this.#headers;
  }

  get query(): URLSearchParams {
    return (this.#query ??= new URLSearchParams(latin1(this.scope.query_string)));
  }

  /** The path without the prefix under which the application is mounted. */
  get routePath(): string {
    const { path, root_path: root } = this.scope;
    if (root === '' || !path.startsWith(root)) return path;
    const rest = path.slice(root.length);
    return rest === '' || rest.startsWith('/') ? rest : path;
  }

  /** The address of the request as the client would type it, as far as the server knows. */
  get url(): URL {
    const host =
      this.headers.get('host') ?? this.scope.server?.filter((each) => each !== null).join(':') ?? 'localhost';
    const query = latin1(this.scope.query_string);
    return new URL(`${this.scope.scheme}://${host}${encodeURI(this.scope.path)}${query === '' ? '' : `?${query}`}`);
  }
}

/** One HTTP request. */
export class Request extends HttpConnection<HttpScope> {
  readonly #receive: Receive;
  #body: Promise<Buffer> | null = null;

  constructor(scope: HttpScope, receive: Receive) {
    super(scope);
    this.#receive = receive;
  }

  get method(): string {
    return this.scope.method;
  }

  /** The whole body. Rejects with ClientDisconnect when it never arrives. */
  body(): Promise<Buffer> {
    return (this.#body ??= this.#read());
  }

  async #read(): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    for (;;) {
      const message = await this.#receive();
      if (message.type === 'http.disconnect') throw new ClientDisconnect();
      if (message.type !== 'http.request') continue;
      parts.push(message.body);
      if (!message.more_body) return Buffer.concat(parts);
    }
  }
}
