// proxy_pass: what reaches the upstream, and what of its answer reaches the client.
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FakeUpstream, fakeUpstream, ok } from './fake-upstream.ts';
import { freePort, get, type RunningProxy, raw, startProxy, statusOf } from './start-proxy.ts';

let upstream: FakeUpstream;
let proxy: RunningProxy;

/** Answers by path; the part behind `/echo` comes back as the request was. */
function answer(request: Parameters<Parameters<typeof fakeUpstream>[0]>[0]): void {
  const { text, socket } = request;
  const path = / (\S+)/.exec(text)![1]!.replace(/\?.*/, '');
  switch (path) {
    case '/headers':
      socket.end(
        'HTTP/1.1 201 Made\r\nServer: app\r\nDate: yesterday\r\nX-Pad: x\r\nContent-Type: text/x\r\nX-One: 1\r\n' +
          'Set-Cookie: a=1; Domain=app.local; Path=/in/; Secure\r\nContent-Length: 2\r\nX-Two: 2\r\n\r\nok',
      );
      return;
    case '/location':
      socket.end(
        `HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:${upstream.port}/sub/dir\r\nContent-Length: 0\r\n\r\n`,
      );
      return;
    case '/big':
      socket.end(`HTTP/1.1 200 OK\r\nX-Big: ${'x'.repeat(5000)}\r\n\r\n`);
      return;
    case '/invalid':
      socket.end('HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n');
      return;
    case '/early-close':
      socket.end();
      return;
    case '/short':
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort');
      return;
    case '/ancient':
      socket.end('no header at all');
      return;
    case '/chunked':
      socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n');
      return;
    case '/bad-chunks':
      socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n');
      return;
    case '/accel':
      socket.end(ok('hidden', 'X-Accel-Redirect: /internal/file', 'Set-Cookie: kept=1'));
      return;
    case '/silent':
      return;
    case '/fault':
      socket.end('HTTP/1.1 500 Broken\r\nContent-Length: 3\r\n\r\napp');
      return;
    default:
      socket.end(ok(text));
  }
}

beforeAll(async () => {
  upstream = await fakeUpstream(answer);
  const refused = await freePort();
  const to = `http://127.0.0.1:${upstream.port}`;
  proxy = await startProxy(`
http {
  access_log off;
  error_log error.log info;
  proxy_read_timeout 300ms;
  server {
    listen 127.0.0.1:%%PORT_0%%;
    location / { proxy_pass ${to}; }
    location /replace/ { proxy_pass ${to}/with/; }
    location /set/ {
      proxy_pass ${to};
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header Accept "";
      proxy_set_header Connection "";
    }
    location = /headers {
      proxy_pass ${to};
      proxy_pass_header Server;
      proxy_hide_header X-Two;
      proxy_cookie_domain app.local shop.example;
      proxy_cookie_path /in/ /out/;
      proxy_cookie_flags a nosecure samesite=lax;
    }
    location = /location { proxy_pass ${to}; proxy_redirect ${to}/sub/ /app/; }
    location /body/ { proxy_pass ${to}; client_body_buffer_size 1k; }
    location /stream/ { proxy_pass ${to}; proxy_http_version 1.1; proxy_request_buffering off; }
    location /set-body { proxy_pass ${to}; proxy_method PUT; proxy_set_body "fixed $arg_a"; }
    location = /fault { proxy_pass ${to}; proxy_intercept_errors on; error_page 500 /sorry; }
    location = /sorry { return 200 "sorry"; }
    location /internal/ { internal; return 200 "from inside"; }
    location /refused { proxy_pass http://127.0.0.1:${refused}; }
    location /variable { set $backend 127.0.0.1:${upstream.port}; proxy_pass http://$backend/fixed; }
    location /if { proxy_pass ${to}; if ($arg_x) { proxy_pass http://127.0.0.1:${refused}; } }
  }
}`);
});

afterAll(async () => {
  await proxy?.stop();
  await upstream?.stop();
});

const bodyOf = (text: string): string => text.slice(text.indexOf('\r\n\r\n') + 4);

describe('the request to the upstream', () => {
  it('has the standard headers, then the client’s in their order', async () => {
    const text = await raw(
      proxy.port,
      'GET /a?b=c HTTP/1.1\r\nHost: client\r\nX-B: 2\r\nTE: trailers\r\nX-A: 1\r\nConnection: close\r\n\r\n',
    );
    expect(bodyOf(text)).toBe(
      `GET /a?b=c HTTP/1.0\r\nHost: 127.0.0.1:${upstream.port}\r\nConnection: close\r\nX-B: 2\r\nX-A: 1\r\n\r\n`,
    );
  });

  it('has what proxy_set_header says and not what it empties', async () => {
    const text = await get(proxy.port, '/set/x', 'Accept: */*', 'X-Forwarded-For: 10.0.0.1');
    expect(bodyOf(text)).toBe('GET /set/x HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 10.0.0.1, 127.0.0.1\r\n\r\n');
  });

  it.each([
    ['/replace/x%20y?z', '/with/x%20y?z'],
    ['/replace/../a', '/replace/../a'],
    ['/x//y/%41', '/x//y/%41'],
    ['/variable/ignored', '/fixed'],
  ])('asks for %s as %s', async (uri, expected) => {
    expect(bodyOf(await get(proxy.port, uri))).toMatch(`GET ${expected} HTTP/1.0`);
  });

  it('carries a body in memory, in a file, and un-chunked', async () => {
    const big = 'x'.repeat(20_000);
    const post = (body: string, header: string): Promise<string> =>
      raw(proxy.port, `POST /body/ HTTP/1.1\r\nHost: a\r\n${header}\r\nConnection: close\r\n\r\n${body}`);
    expect(bodyOf(await post('small', 'Content-Length: 5'))).toMatch(/Content-Length: 5\r\n\r\nsmall$/);
    expect(bodyOf(await post(big, 'Content-Length: 20000')).endsWith(`\r\n\r\n${big}`)).toBe(true);
    expect(bodyOf(await post('3\r\nabc\r\n0\r\n\r\n', 'Transfer-Encoding: chunked'))).toMatch(
      /Content-Length: 3\r\n\r\nabc$/,
    );
  });

  it('streams a chunked body in chunks when it is not buffered', async () => {
    const socket = connect(proxy.port, '127.0.0.1');
    const closed = new Promise<string>((done) => {
      let text = '';
      socket.setEncoding('latin1').on('data', (chunk: string) => {
        text += chunk;
      });
      socket.on('close', () => done(text));
    });
    const before = upstream.connections;
    socket.write(
      'POST /stream/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n',
    );
    while (upstream.connections === before) await new Promise((done) => setImmediate(done));
    socket.write('2\r\nde\r\n0\r\n\r\n');
    const text = bodyOf(await closed);
    expect(text).toMatch(/Transfer-Encoding: chunked\r\n/);
    expect(text.slice(text.indexOf('\r\n\r\n') + 4).replace(/\r\n/g, '|')).toMatch(/^3\|abc\|2\|de\|0\|\|$/);
  });

  it('is made up by proxy_method and proxy_set_body', async () => {
    expect(bodyOf(await get(proxy.port, '/set-body?a=1'))).toMatch(/^PUT [\s\S]*Content-Length: 7\r\n\r\nfixed 1$/);
  });
});

describe('the response to the client', () => {
  it('keeps status text and header order, hides, passes and rewrites', async () => {
    const text = await raw(proxy.port, 'GET /headers HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    expect(text.replace(/^Date: .*\r\n/m, '')).toBe(
      'HTTP/1.1 201 Made\r\nContent-Type: text/x\r\nContent-Length: 2\r\nConnection: close\r\nServer: app\r\n' +
        'X-One: 1\r\nSet-Cookie: a=1; Domain=shop.example; Path=/out/; SameSite=Lax\r\n\r\nok',
    );
  });

  it('has its Location rewritten and made absolute', async () => {
    expect(await get(proxy.port, '/location')).toMatch(`Location: http://localhost:${proxy.port}/app/dir\r\n`);
  });

  it('takes chunks apart for HTTP/1.0 and makes them for HTTP/1.1', async () => {
    expect(bodyOf(await get(proxy.port, '/chunked'))).toBe('abcdefg');
    const text = await raw(proxy.port, 'GET /chunked HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    expect(text).toMatch('Transfer-Encoding: chunked\r\n');
    expect(text.endsWith('0\r\n\r\n')).toBe(true);
  });

  it('is served from elsewhere after X-Accel-Redirect', async () => {
    const text = await get(proxy.port, '/accel');
    expect(text).toMatch('Set-Cookie: kept=1');
    expect(bodyOf(text)).toBe('from inside');
  });

  it('is ours where errors are intercepted', async () => {
    expect(await get(proxy.port, '/fault')).toMatch(/^HTTP\/1.1 500 [\s\S]*sorry$/);
  });

  it('is passed on bare when the upstream speaks HTTP/0.9', async () => {
    expect(await get(proxy.port, '/ancient')).toBe('no header at all');
  });
});

describe('failures', () => {
  it.each([
    [
      '/refused',
      502,
      /connect\(\) failed \(111: Connection refused\) while connecting to upstream, client: .*, upstream: "http:\/\/127.0.0.1:\d+\/refused"/,
    ],
    ['/early-close', 502, /upstream prematurely closed connection while reading response header from upstream/],
    ['/big', 502, /upstream sent too big header while reading response header from upstream/],
    ['/invalid', 502, /upstream sent invalid header: "Bad\\x20\.\.\." while reading response header from upstream/],
    ['/silent', 504, /upstream timed out \(110: Connection timed out\) while reading response header from upstream/],
    ['/if?x=1', 502, /upstream: "http:\/\/127.0.0.1:\d+\/if\?x=1"/],
  ])('%s answers %i and says why', async (uri, status, message) => {
    expect(statusOf(await get(proxy.port, uri))).toBe(status);
    expect(proxy.read('error.log')).toMatch(message);
  });

  it('cuts a response whose upstream closed too early', async () => {
    const text = await raw(proxy.port, 'GET /short HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(text).toMatch(/Content-Length: 10\r\n[\s\S]*short$/);
    expect(proxy.read('error.log')).toMatch('upstream prematurely closed connection while reading upstream');
  });

  it('cuts a response with broken chunks', async () => {
    const text = await raw(proxy.port, 'GET /bad-chunks HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(text.endsWith('0\r\n\r\n')).toBe(false);
    expect(proxy.read('error.log')).toMatch('upstream sent invalid chunked response while reading upstream');
  });
});
