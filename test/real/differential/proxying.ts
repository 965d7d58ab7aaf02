// Cases: proxy_pass and its directives, the upstream's good and bad answers.
import { answer, ask, each, type Group, get, lines, post, proxied } from './group.ts';
import { CLOSE, HANG_UP } from './scripted-upstream.ts';

const head = (...text: string[]): string => lines('HTTP/1.1 200 OK', ...text);

/** Around 2^59, where nginx begins to refuse a chunk for its size, and what an off_t does not hold. */
const CHUNK_SIZES = [
  '0000000000000000005',
  '20000000000001',
  '7ffffffffffffff',
  '800000000000000',
  'fffffffffffffff',
  '1000000000000000',
  '7fffffffffffffff',
  '8000000000000000',
  '00000ffffffffffffffff',
];

/** Field lines with CRs and NULs in them, some before another fault. */
const FIELDS = [
  'X: a\r\r',
  'X: a\r\r\r\nY z: 1',
  'X: a\rb',
  'X: a  \rb',
  'X:  \rb',
  'X:\rb',
  'X: a: \rb',
  'X: a\r \r',
  'X: a  \0b',
  'X: \0',
  'X\0: 1',
  'X\r: 1',
  'X',
  'X\r\r',
  ': 1',
  '\tX: 1',
  'X:\t1\t',
  'X\x7f: 1',
  'X\x80(): \x80\x01\x7f',
  'HTTP/\0\r: \r',
  'HTTPS/1: 1',
];

/** Odd ones that nginx takes. */
const STATUS_LINES = [
  'HTTP/1.1 200 OK',
  'HTTP/1.1  200 OK',
  'HTTP/1.01 200 OK',
  'HTTP/1.000001 200 OK',
  'HTTP/1.999 200 OK',
  'HTTP/999.999 200 OK',
  'HTTP/1.1 200.',
  'HTTP/1.1 200.x y',
  'HTTP/1.1 200.1 OK',
  'HTTP/1.1 200 OK\0',
];

/** No status line for nginx, though lenient clients may read one. (Nothing in them tells such a client where they end.) */
const BARE = [
  'HTTP/1.1 200 OK\r0\r\n\r\nHTTP/1.1 200 OK\r\nLast-Modified: Sun\r\nX-Accel-R\x0bedidirect: /own\r\nRefresh: 5; url=/\r\n\r\nx',
  'HTTP/1.1 200\r OK\r\nX: y\r\n\r\nok',
  'HTTP/1.1 200 OK\r\r\nX: y\r\n\r\nok',
  'HTTP/1.1 200 OK\0\r\nX: y\r\n\r\nok',
  'HTTP/0.9 200 OK\r\nX: y\r\n\r\nok',
  'HTTP/1.1 2000 OK\r\nX: y\r\n\r\nok',
  'HTTP/01.1 200 OK\r\nX: y\r\n\r\nok',
  'HTTP/1000.1 200 OK\r\nX: y\r\n\r\nok',
  'HTTP/1.1000 200 OK\r\nX: y\r\n\r\nok',
  'HTTP/1.1\t200 OK\r\nX: y\r\n\r\nok',
  'HTTP/2',
  'HTTP/2 ',
  'HTTP/1.1 200 OK\rX',
  'HTTP/1.x',
  'HTT',
  'HTTX',
];

export const proxying: Group[] = [
  {
    name: 'proxy_pass URIs and request headers',
    conf: `
      upstream named { server 127.0.0.1:%%UP_0%%; }
      server { listen 127.0.0.1:%%PORT_0%%; server_name front.example;
        set $to 127.0.0.1:%%UP_0%%;
        location / { proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /uri/ { proxy_pass http://127.0.0.1:%%UP_0%%/other/; }
        location /cut { proxy_pass http://127.0.0.1:%%UP_0%%/; }
        location /noslash/ { proxy_pass http://127.0.0.1:%%UP_0%%/x; }
        location /args { proxy_pass http://127.0.0.1:%%UP_0%%/y?fixed=1; }
        location /named { proxy_pass http://named; }
        location /var { proxy_pass http://$to; }
        location /varuri { proxy_pass http://$to/v$uri; }
        location ~ ^/re/(.*)$ { proxy_pass http://127.0.0.1:%%UP_0%%; }
        location ~ ^/recap/(.*)$ { proxy_pass http://$to/c/$1?$args; }
        location /rewritten/ { rewrite ^/rewritten/(.*) /new/$1 break; proxy_pass http://127.0.0.1:%%UP_0%%/ignored; }
        location /method { proxy_method PUT; proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /body { proxy_set_body "b=$request_uri"; proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /v11 { proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /headers { proxy_set_header Host $host; proxy_set_header X-Real-IP $remote_addr;
          proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
          proxy_set_header X-Empty ""; proxy_set_header Accept-Encoding ""; proxy_set_header X-Vars "$proxy_host $proxy_port";
          proxy_pass http://named/h; }
        location /none { proxy_pass_request_headers off; proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /self/ { proxy_pass http://127.0.0.1:%%PORT_0%%/uri/; }
        location /unix { proxy_pass http://unix:%%DIR%%/none.sock:/x; }
        location /varbad { proxy_pass $arg_u; }
      }`,
    cases: [
      ...each(
        get('/'),
        get('/a%20b?x=%20y'),
        get('/a//b/../c'),
        get('/uri/x?y'),
        get('/uri/a%2Fb%20c%3Fd'),
        get('/uri/../uri/z'),
        get('/cut'),
        get('/cut/x'),
        get('/cutter'),
        get('/noslash/z'),
        get('/args/x?a=b'),
        get('/named?x'),
        get('/var/a%20b'),
        get('/varuri/a%20b?q=1'),
        get('/re/x%20y'),
        get('/recap/x%20y?a'),
        get('/rewritten/x?a=1'),
        get('/rewritten/%d0%b0%20'),
        get('/method'),
        post('/method', 'abc'),
        get('/body'),
        post('/body', 'abc'),
        get('/v11'),
        get('/headers'),
        get('/headers', 'X-Forwarded-For: 10.0.0.1', 'Accept-Encoding: gzip', 'X-Empty: y'),
        get('/headers', 'X-Forwarded-For: 10.0.0.1', 'X-Forwarded-For: 10.0.0.2'),
        get('/none', 'X-A: 1'),
        get(
          '/',
          'X-A: 1',
          'x-a: 2',
          'Connection: keep-alive',
          'Keep-Alive: 1',
          'TE: trailers',
          'Upgrade: x',
          'Expect: y',
        ),
        get('/', 'Proxy-Connection: x', 'Proxy-Authorization: z', 'Trailer: a', 'Transfer-Encoding:'),
        get('/', 'If-Modified-Since: x', 'Range: bytes=0-1', 'If-Range: y', 'Cookie: a', 'Cookie: b'),
        ask('HEAD', '/'),
        ask('DELETE', '/x'),
        ask('OPTIONS', '/x'),
        lines('GET / HTTP/1.0', 'X-A: 1'),
        'GET /old\r\n',
        get('/self/x'),
        get('/unix'),
        get('/varbad'),
        get('/varbad?u=ftp://x'),
        get('/varbad?u=http://'),
        get('/varbad?u=http://no.such.host.invalid/'),
        lines('GET http://front.example/abs?q HTTP/1.1', 'Host: other'),
      ),
    ],
  },
  {
    name: 'answers of upstreams',
    conf: `
      server { listen 127.0.0.1:%%PORT_0%%;
        location / { proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /unbuffered { proxy_buffering off; proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /v11 { proxy_http_version 1.1; proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /small { proxy_buffer_size 256; proxy_buffers 4 256; proxy_busy_buffers_size 256; proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /file { proxy_max_temp_file_size 0; proxy_pass http://127.0.0.1:%%UP_0%%; }
      }`,
    cases: [
      ...proxied(
        [get('/'), answer('hello', 'Content-Type: text/x', 'X-A: 1', 'X-a: 2')],
        [
          get('/'),
          answer(
            'hello',
            'Server: theirs',
            'Date: Mon, 01 Jan 2001 00:00:00 GMT',
            'Last-Modified: Mon, 01 Jan 2001 00:00:00 GMT',
          ),
        ],
        [
          get('/'),
          answer('hello', 'Connection: x', 'Keep-Alive: y', 'Upgrade: z', 'X-Accel-Limit-Rate: 0', 'X-Pad: a'),
        ],
        [get('/'), answer('hello', 'Content-Type:', 'X-Empty:', 'X-Space:   a b   ')],
        [
          get('/'),
          answer(
            'hello',
            'Content-Type: text/html; charset=utf-8',
            'Vary: a',
            'Vary: b',
            'Set-Cookie: a',
            'Set-Cookie: b',
          ),
        ],
        [get('/'), answer('hello', 'Content-Type: a', 'Content-Type: b')],
        [
          get('/'),
          answer(
            'hello',
            'ETag: "x"',
            'Accept-Ranges: bytes',
            'Content-Encoding: br',
            'Link: </x>',
            'WWW-Authenticate: Basic',
          ),
        ],
        [get('/'), answer('hello', 'Location: /x', 'Refresh: 1; url=/y')],
        [get('/'), `${lines('HTTP/1.1 404 Not Here', 'Content-Length: 4')}gone`],
        [get('/'), lines('HTTP/1.1 599 Odd', 'Content-Length: 0')],
        [get('/'), lines('HTTP/1.1 700 Odder', 'Content-Length: 0')],
        [get('/'), lines('HTTP/1.1 200', 'Content-Length: 0')],
        [get('/'), lines('HTTP/1.1 200 ', 'Content-Length: 0')],
        [get('/'), `${lines('HTTP/1.0 200 OK')}until the end`],
        [get('/'), lines('HTTP/1.1 204 No Content')],
        [get('/'), `${lines('HTTP/1.1 204 No Content', 'Content-Length: 5')}hello`],
        [get('/'), lines('HTTP/1.1 304 Not Modified', 'ETag: "x"', 'Content-Length: 7')],
        [get('/'), lines('HTTP/1.1 302 Found', 'Location: http://elsewhere/', 'Content-Length: 0')],
        [get('/'), lines('HTTP/1.1 302 Found', 'Location: /rel', 'Content-Length: 0')],
        [get('/'), `${head('Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`],
        [get('/v11'), `${head('Transfer-Encoding: chunked')}5\r\nhello\r\n3;x=y\r\n!!!\r\n0\r\nTrailer: t\r\n\r\n`],
        [get('/v11'), `${head('Transfer-Encoding: chunked')}5\r\nhel${CLOSE}`],
        [get('/v11'), `${head('Transfer-Encoding: chunked')}zz\r\nhello\r\n0\r\n\r\n${CLOSE}`],
        [get('/v11'), `${head('Transfer-Encoding: chunked', 'Content-Length: 5')}5\r\nhello\r\n0\r\n\r\n`],
        [get('/v11'), `${head('Content-Length: 5', 'Content-Length: 5')}hello${CLOSE}`],
        [get('/v11'), `${head('Content-Length: 5', 'Content-Length: 6')}hello${CLOSE}`],
        [get('/v11'), `${head('Content-Length: x')}hello${CLOSE}`],
        [get('/v11'), `${head('Content-Length: -5')}hello${CLOSE}`],
        [get('/v11'), `${head('Transfer-Encoding: gzip')}hello${CLOSE}`],
        [get('/v11'), `${head('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')}0\r\n\r\n${CLOSE}`],
        ...CHUNK_SIZES.flatMap((size): [string, string][] => [
          [get('/v11'), `${head('Transfer-Encoding: chunked')}5\r\nhello\r\n${size}\r\nx${CLOSE}`],
          [get('/unbuffered'), `${head('Transfer-Encoding: chunked')}5\r\nhello\r\n${size}\r\nx${CLOSE}`],
          [get('/v11', 'Connection: close'), `${head('Transfer-Encoding: chunked')}${size}\r\nx${CLOSE}`],
        ]),
        [get('/'), `${head('Content-Length: 10')}short${CLOSE}`],
        [get('/'), `${head('Content-Length: 3')}too long${CLOSE}`],
        [get('/unbuffered'), `${head('Content-Length: 10')}short${CLOSE}`],
        [get('/unbuffered'), `${head('Content-Length: 3')}too long${CLOSE}`],
        [get('/unbuffered'), answer('hello')],
        [get('/unbuffered'), `${head('Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`],
        [get('/unbuffered'), `${lines('HTTP/1.0 200 OK')}until the end`],
        [get('/small'), `${head(`X-Long: ${'x'.repeat(300)}`, 'Content-Length: 1')}a`],
        [get('/small'), head('Content-Length: 2000') + 'a'.repeat(2000)],
        [get('/file'), head('Content-Length: 9000') + 'a'.repeat(9000)],
        [get('/'), HANG_UP],
        [get('/', 'Connection: close'), `garbage\r\n\r\n${CLOSE}`],
        [get('/', 'Connection: close'), `HTTP/1.1 abc\r\n\r\n${CLOSE}`],
        [get('/', 'Connection: close'), `HTTP/1.1 20\r\n\r\n${CLOSE}`],
        [get('/', 'Connection: close'), `HTTP/2 200 OK\r\n\r\nx${CLOSE}`],
        ...STATUS_LINES.map((line): [string, string] => [get('/v11'), `${line}\r\nContent-Length: 2\r\n\r\nok`]),
        ...BARE.map((bytes): [string, string] => [get('/', 'Connection: close'), bytes + CLOSE]),
        [get('/'), `HTTP/2.0 200 OK\r\n\r\nx${CLOSE}`],
        [get('/'), `HTTP/1.1 200 OK\r\n${CLOSE}`],
        [get('/'), `HTTP/1.1 200 OK\r\nX: 1\r\n${CLOSE}`],
        [get('/'), `HTTP/1.1 200 OK\nX: 1\nContent-Length: 2\n\nok${CLOSE}`],
        [get('/'), `HTTP/1.1 200 OK\r\nbad header\r\nContent-Length: 2\r\n\r\nok${CLOSE}`],
        [get('/'), `HTTP/1.1 200 OK\r\nX : 1\r\nContent-Length: 2\r\n\r\nok${CLOSE}`],
        [get('/'), `HTTP/1.1 200 OK\r\n X: 1\r\nContent-Length: 2\r\n\r\nok${CLOSE}`],
        [get('/'), `HTTP/1.1 200 OK\r\nX_Y: 1\r\nX.Z: 2\r\nContent-Length: 2\r\n\r\nok${CLOSE}`],
        ...FIELDS.map((field): [string, string] => [
          get('/'),
          `HTTP/1.1 200 OK\r\n${field}\r\nContent-Length: 2\r\n\r\nok${CLOSE}`,
        ]),
        [get('/'), `HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok${CLOSE}`],
        [get('/'), `HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${CLOSE}`],
        [get('/v11'), `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${CLOSE}`],
        [
          get('/v11'),
          `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${CLOSE}`,
        ],
        [ask('HEAD', '/'), head('Content-Length: 100', 'X-A: 1')],
        [ask('HEAD', '/v11'), head('Transfer-Encoding: chunked', 'X-A: 1')],
        [ask('HEAD', '/'), head('X-A: 1') + CLOSE],
        [lines('GET / HTTP/1.0'), `${head('Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`],
        [get('/', 'Range: bytes=1-2'), answer('hello', 'Accept-Ranges: bytes')],
        [get('/', 'Range: bytes=1-2'), answer('hello')],
        [get('/', 'If-None-Match: "x"'), answer('hello', 'ETag: "x"')],
        [
          get('/', 'If-Modified-Since: Mon, 01 Jan 2001 00:00:00 GMT'),
          answer('hello', 'Last-Modified: Mon, 01 Jan 2001 00:00:00 GMT'),
        ],
        [get('/'), answer('', 'X-Accel-Redirect: /v11/again', 'Set-Cookie: kept', 'X-Lost: 1')],
        [
          get('/'),
          answer(
            'hello',
            'X-Accel-Charset: koi8-r',
            'Content-Type: text/html',
            'X-Accel-Buffering: no',
            'X-Accel-Expires: 5',
          ),
        ],
      ),
    ],
  },
  {
    name: 'rewriting answers',
    conf: `
      server { listen 127.0.0.1:%%PORT_0%%; server_name front.example;
        location /hide { proxy_hide_header X-A; proxy_pass_header Server; proxy_pass_header X-Accel-Expires; proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /ignore { proxy_ignore_headers X-Accel-Redirect X-Accel-Charset Vary; proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /redirect/ { proxy_pass http://127.0.0.1:%%UP_0%%/up/; }
        location /off/ { proxy_redirect off; proxy_pass http://127.0.0.1:%%UP_0%%/up/; }
        location /own/ { proxy_redirect http://one.example/ /one/; proxy_redirect ~^http://(\\w+)\\.two\\.example/(.*)$ https://$1.front/$2; proxy_redirect ~*^HTTP://CASE /case; proxy_pass http://127.0.0.1:%%UP_0%%/up/; }
        location /cookie { proxy_cookie_domain old.example new.example; proxy_cookie_domain ~\\.(re)\\.example $1.example; proxy_cookie_path /a/ /b/; proxy_cookie_flags flagged secure httponly samesite=lax; proxy_cookie_flags ~^un nosecure nohttponly nosamesite; proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /intercept { proxy_intercept_errors on; error_page 404 /404.html; error_page 503 =200 @fallback; error_page 418 =204 /empty; proxy_pass http://127.0.0.1:%%UP_0%%; }
        location = /404.html { return 200 "our own\\n"; }
        location = /empty { return 204; }
        location @fallback { return 200 "fallback $uri $upstream_status\\n"; }
        location /nobody { error_page 502 504 = @fallback; proxy_pass http://127.0.0.1:1; }
        location /add { add_header X-Added "$upstream_http_x_a|$upstream_addr|$upstream_status|$sent_http_x_b" always; add_header X-Ok yes; expires 1h; proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /cookies { add_header X-C "$upstream_cookie_one|$upstream_cookie_two|$cookie_one"; proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /force { proxy_force_ranges on; proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /type { default_type text/d; proxy_pass http://127.0.0.1:%%UP_0%%; }
      }`,
    cases: proxied(
      [
        get('/hide'),
        answer('x', 'X-A: 1', 'x-a: 2', 'Server: theirs', 'X-Accel-Expires: 1', 'X-Accel-Limit-Rate: 10000'),
      ],
      [get('/ignore'), answer('x', 'X-Accel-Redirect: /hide', 'X-Accel-Charset: a', 'Vary: *')],
      [get('/redirect/x'), answer('', 'Location: http://127.0.0.1:99/up/y')],
      [get('/redirect/x'), lines('HTTP/1.1 301 Moved', 'Location: /up/y', 'Content-Length: 0')],
      [get('/redirect/x'), lines('HTTP/1.1 301 Moved', 'Location: y', 'Content-Length: 0')],
      [get('/redirect/x'), lines('HTTP/1.1 301 Moved', 'Location:', 'Content-Length: 0')],
      [get('/redirect/x'), lines('HTTP/1.1 301 Moved', 'Location: a', 'Location: b', 'Content-Length: 0')],
      [get('/off/x'), lines('HTTP/1.1 301 Moved', 'Location: http://x/up/y', 'Content-Length: 0')],
      [get('/own/x'), lines('HTTP/1.1 302 Moved', 'Location: http://one.example/y?z', 'Content-Length: 0')],
      [get('/own/x'), lines('HTTP/1.1 302 Moved', 'Location: http://sub.two.example/y?z', 'Content-Length: 0')],
      [get('/own/x'), lines('HTTP/1.1 302 Moved', 'Location: http://case/y', 'Content-Length: 0')],
      [
        get('/own/x'),
        lines(
          'HTTP/1.1 302 Moved',
          'Location: http://other/y',
          'Refresh: 3; url=http://one.example/r',
          'Content-Length: 0',
        ),
      ],
      [
        get('/cookie'),
        answer('x', 'Set-Cookie: a=1; Domain=old.example; Path=/a/x', 'Set-Cookie: b=2; domain=.old.example; path=/c'),
      ],
      [
        get('/cookie'),
        answer(
          'x',
          'Set-Cookie: a=1; Domain=x.re.example; Path=/a/',
          'Set-Cookie: flagged=2; HttpOnly',
          'Set-Cookie: flagged=3; SameSite=None',
        ),
      ],
      [
        get('/cookie'),
        answer('x', 'Set-Cookie: unset=1; Secure; HttpOnly; SameSite=Strict; Max-Age=5', 'Set-Cookie: plain'),
      ],
      [get('/intercept'), `${lines('HTTP/1.1 404 Not Found', 'Content-Length: 2', 'X-A: 1')}no`],
      [get('/intercept'), `${lines('HTTP/1.1 503 Busy', 'Content-Length: 2')}no`],
      [get('/intercept'), `${lines('HTTP/1.1 418 Teapot', 'Content-Length: 2')}no`],
      [get('/intercept'), `${lines('HTTP/1.1 500 Err', 'Content-Length: 2')}no`],
      [get('/intercept'), `${lines('HTTP/1.1 401 Who', 'WWW-Authenticate: Basic realm="x"', 'Content-Length: 2')}no`],
      [ask('HEAD', '/intercept'), lines('HTTP/1.1 404 Not Found', 'Content-Length: 2')],
      [get('/nobody'), ''],
      [get('/add'), answer('x', 'X-A: 1', 'X-B: 2')],
      [get('/add'), `${lines('HTTP/1.1 500 Err', 'Content-Length: 2')}no`],
      [get('/add'), answer('x', 'Expires: 0', 'Cache-Control: no-cache', 'X-A: 1', 'X-A: 2')],
      [get('/cookies', 'Cookie: one=mine'), answer('x', 'Set-Cookie: one=1; Path=/', 'Set-Cookie: two=2')],
      [get('/force', 'Range: bytes=1-2'), answer('hello')],
      [get('/type'), answer('x')],
    ),
  },
];
