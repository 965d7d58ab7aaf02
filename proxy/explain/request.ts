// What is to be explained: a URL or path, a request line, or a whole request, made into the bytes that a client (curl)
// would send and where it would send them.

export interface AskedRequest {
  /** Undefined: whatever the first listen address speaks. */
  readonly scheme: 'http' | 'https' | undefined;
  /** Host of the URL without port; '' for a path. */
  readonly host: string;
  readonly port: number | undefined;
  /** Request line, headers, body: what goes over the wire. */
  readonly bytes: Buffer;
  readonly method: string;
  /** Path and query as sent. */
  readonly target: string;
}

export interface RequestOptions {
  readonly method?: string | undefined;
  /** `Name: value`; `Name:` takes a header of curl's own away. */
  readonly headers?: readonly string[];
  readonly body?: string | undefined;
}

/** Bodies that are only announced (`-H 'Content-Length: …'`) are made up to this size. */
const MADE_UP_BYTES = 64 * 1024 ** 2;

/** Reads the request. Throws RangeError with a line for the user. */
export function askedRequest(text: string, options: RequestOptions = {}): AskedRequest {
  if (/\n/.test(text)) return wholeRequest(text);
  const line = /^([A-Z][A-Z_-]*) +(\S+)(?: +HTTP\/1\.[01])?$/.exec(text);
  const url = line?.[2] ?? text;
  const parsed = /^(?:(https?):\/\/(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]*)(?::(\d+))?)?([^#]*)/i.exec(url);
  const [, scheme, host = '', port, rest = ''] = parsed ?? [];
  if (scheme === undefined && !rest.startsWith('/')) {
    throw new RangeError(`"${text}" is neither a URL (http://…), nor a path (/…), nor a request line (GET /…)`);
  }
  const target = rest.startsWith('/') ? rest : `/${rest}`;
  const method = options.method ?? line?.[1] ?? (options.body === undefined ? 'GET' : 'POST');
  const bytes = compose(method, target, port ? `${host}:${port}` : host || 'localhost', options);
  return {
    scheme: scheme?.toLowerCase() as AskedRequest['scheme'],
    host: host.replace(/^\[|\]$/g, ''),
    port: port === undefined ? undefined : Number(port),
    bytes,
    method,
    target,
  };
}

function compose(method: string, target: string, authority: string, { headers = [], body }: RequestOptions): Buffer {
  const lines: [name: string, value: string][] = [
    ['Host', authority],
    ['User-Agent', 'curl/8'],
    ['Accept', '*/*'],
  ];
  for (const header of headers) {
    const colon = header.indexOf(':');
    if (colon < 1) throw new RangeError(`a header is written 'Name: value', not "${header}"`);
    const name = header.slice(0, colon);
    const at = lines.findIndex(([known]) => known.toLowerCase() === name.toLowerCase());
    const value = header.slice(colon + 1).trim();
    if (at >= 0 && at < 3) lines.splice(at, 1);
    if (value !== '') lines.push([name, value]);
  }
  // Host stands first, as clients send it.
  lines.sort(([a], [b]) => Number(b.toLowerCase() === 'host') - Number(a.toLowerCase() === 'host'));
  let bytes = Buffer.from(body ?? '');
  const announced = lines.find(([name]) => name.toLowerCase() === 'content-length')?.[1];
  if (announced !== undefined && body === undefined)
    bytes = Buffer.alloc(Math.min(Number(announced) || 0, MADE_UP_BYTES));
  const isChunked = lines.some(([name]) => name.toLowerCase() === 'transfer-encoding');
  if (body !== undefined && announced === undefined && !isChunked) lines.push(['Content-Length', String(bytes.length)]);
  if (isChunked)
    bytes = Buffer.concat([
      Buffer.from(`${bytes.length ? `${bytes.length.toString(16)}\r\n` : ''}`),
      bytes,
      Buffer.from(`${bytes.length ? '\r\n' : ''}0\r\n\r\n`),
    ]);
  const head = `${method} ${target} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
  return Buffer.concat([Buffer.from(head), bytes]);
}

/** A request as on the wire, or as a file has it: lines may end in LF alone. */
function wholeRequest(text: string): AskedRequest {
  const [, head = '', body = ''] = /^([\s\S]*?)(?:\r?\n\r?\n([\s\S]*))?$/.exec(text.replace(/^\s+/, ''))!;
  const lines = head.trimEnd().split(/\r?\n/);
  const [method = '', target = ''] = lines[0]!.split(' ');
  const host =
    lines
      .find((line) => /^host:/i.test(line))
      ?.slice(5)
      .trim() ?? '';
  const port = /:(\d+)$/.exec(host)?.[1];
  return {
    scheme: undefined,
    host: host.replace(/:\d+$/, '').replace(/^\[|\]$/g, ''),
    port: port === undefined ? undefined : Number(port),
    bytes: Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`),
    method,
    target,
  };
}
