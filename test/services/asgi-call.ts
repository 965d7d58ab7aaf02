/** Calls an ASGI application without a server: one request in, what it sent out, and what it threw. */
import type { AsgiApp, HttpScope, SendMessage } from '../../services/asgi.ts';

/** One answer. */
export interface AsgiAnswer {
  readonly status: number;
  readonly body: string;
  readonly thrown: unknown;
}

/** What may be said about the request, and who listens to the messages. */
export interface AsgiRequest {
  readonly method?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly onSend?: (message: SendMessage) => void;
}

/** Calls `app` for a target such as `/items?q=1`. */
export async function callAsgi(app: AsgiApp, target: string, request: AsgiRequest = {}): Promise<AsgiAnswer> {
  const [path = '', query = ''] = target.split('?');
  const headers = Object.entries({ 'content-type': 'application/json', ...request.headers });
  const scope: HttpScope = {
    type: 'http',
    asgi: { version: '3.0', spec_version: '2.3' },
    http_version: '1.1',
    method: request.method ?? 'GET',
    path,
    raw_path: Buffer.from(path),
    query_string: Buffer.from(query),
    root_path: '',
    headers: headers.map(([name, value]) => [Buffer.from(name), Buffer.from(value)]),
    client: null,
    server: null,
    scheme: 'http',
    state: {},
  };
  let status = 0;
  let body = '';
  let isReceived = false;
  let thrown: unknown = null;
  try {
    await app(
      scope,
      async () => {
        if (isReceived) return new Promise(() => {});
        isReceived = true;
        return { type: 'http.request', body: Buffer.from(request.body ?? ''), more_body: false };
      },
      async (message) => {
        request.onSend?.(message);
        if (message.type === 'http.response.start') status = message.status;
        if (message.type === 'http.response.body') body += Buffer.from(message.body ?? '').toString();
      },
    );
  } catch (error) {
    thrown = error;
  }
  return { status, body, thrown };
}
