// What "the stack stands" means, as checks that hold for the local processes and for the containers: the README's tour.
import { expect } from 'vitest';
import { type Answer, http1, http2, webSocketEcho } from './http-client.ts';

/** Where a stack can be reached. `httpsTarget` is the port that the redirect names. */
export interface Entrance {
  origin: string;
  httpOrigin: string;
  authority: string;
  httpsTarget: number;
}

export async function checkBothApps({ origin, authority }: Entrance): Promise<void> {
  const hello = await http1(`${origin}/`, authority);
  expect(hello).toMatchObject({ status: 200, protocol: '1.1' });
  expect(hello.headers['server']).toMatch(/^nginx/);
  expect(hello.body).toContain('Flask');
  const api = await http1(`${origin}/api/`, authority);
  expect(api).toMatchObject({ status: 200, protocol: '1.1' });
  expect(api.body).toContain('FastAPI');

  const both = await http2(origin, authority, ['/', '/api/', '/static/hello.txt', '/headers', '/api/headers']);
  expect(both.map(({ status, protocol }) => [status, protocol])).toEqual(Array.from({ length: 5 }, () => [200, 'h2']));
  expect(both[0]!.body).toBe(hello.body);
  expect(both[1]!.body).toBe(api.body);
}

export async function checkStaticFiles({ origin, authority }: Entrance): Promise<void> {
  const url = `${origin}/static/hello.txt`;
  const file = await http1(url, authority);
  expect(file).toMatchObject({ status: 200 });
  expect(file.headers['content-type']).toBe('text/plain');
  const { etag } = file.headers;
  expect(etag).toMatch(/^"[0-9a-f]+-[0-9a-f]+"$/);
  expect(await http1(url, authority, { 'if-none-match': etag! })).toMatchObject({ status: 304, body: '' });
  const part = await http1(url, authority, { range: 'bytes=6-9' });
  expect(part).toMatchObject({ status: 206, body: file.body.slice(6, 10) });
  expect(part.headers['content-range']).toBe(`bytes 6-9/${file.body.length}`);
  expect((await http1(`${origin}/static/none`, authority)).status).toBe(404);
}

export async function checkRedirect({ httpOrigin, authority, httpsTarget }: Entrance): Promise<void> {
  const { status, headers } = await http1(`${httpOrigin}/some/path?q=1`, authority);
  expect(status).toBe(301);
  expect(headers['location']).toBe(`https://localhost:${httpsTarget}/some/path?q=1`);
}

export async function checkWebSocket({ origin, authority }: Entrance): Promise<void> {
  const texts = ['one', 'two', 'Grüße', 'x'.repeat(100_000)];
  expect(await webSocketEcho(`${origin.replace('https', 'wss')}/api/ws`, authority, texts)).toEqual(texts);
}

/** What the apps see of the client: the proxy's word, not the client's. */
export async function checkForwarded({ origin, authority }: Entrance): Promise<void> {
  for (const path of ['/headers', '/api/headers']) {
    const { body } = await http1(origin + path, authority, {
      'x-forwarded-proto': 'http',
      'x-forwarded-for': '1.2.3.4',
    });
    const seen = JSON.parse(body) as { headers: Record<string, string>; scheme: string; client: [string, number] };
    const headers = Object.fromEntries(
      Object.entries(seen.headers).map(([name, value]) => [name.toLowerCase(), value]),
    );
    expect(seen.scheme).toBe('https');
    expect(headers['host']).toBe(new URL(origin).host);
    expect(headers['x-forwarded-proto']).toBe('https');
    expect(headers['x-forwarded-for']).not.toContain('1.2.3.4');
    expect(headers['x-request-start']).toMatch(/^t=\d+\.\d{3}$/);
  }
}

/** A worker that exits in the middle of a request: 502, and the next request is served by another. */
export async function checkCrash({ origin, authority }: Entrance): Promise<void> {
  for (const prefix of ['', '/api']) {
    const crash: Answer = await http1(`${origin}${prefix}/crash`, authority);
    expect(crash.status).toBe(502);
    expect(crash.body).toContain('<h1>502 Bad Gateway</h1>');
    expect((await http1(`${origin}${prefix}/`, authority)).status).toBe(200);
  }
}
