// Cases: choosing and failing upstreams; the cache, mirrors and subrequests of proxied locations.
import { answer, ask, type Case, each, type Group, get, lines, post, proxied } from './group.ts';
import { CLOSE, HANG_UP } from './scripted-upstream.ts';

const head = (...text: string[]): string => lines('HTTP/1.1 200 OK', ...text);

export const upstreams: Group[] = [
  {
    name: 'choosing upstreams',
    conf: `
      upstream round { server 127.0.0.1:%%UP_0%%; server 127.0.0.1:%%UP_1%%; server 127.0.0.1:%%UP_2%%; }
      upstream weighted { server 127.0.0.1:%%UP_0%% weight=3; server 127.0.0.1:%%UP_1%%; server 127.0.0.1:%%UP_2%% weight=2; }
      upstream downed { server 127.0.0.1:%%UP_0%% down; server 127.0.0.1:%%UP_1%%; server 127.0.0.1:%%UP_2%% backup; }
      upstream backed { server 127.0.0.1:1 max_fails=0; server 127.0.0.1:%%UP_2%% backup; }
      upstream dead { server 127.0.0.1:1; server 127.0.0.2:1; }
      upstream failing { server 127.0.0.1:%%UP_0%% fail_timeout=60s; server 127.0.0.1:%%UP_1%% fail_timeout=60s; }
      upstream hashed { hash $arg_k; server 127.0.0.1:%%UP_0%%; server 127.0.0.1:%%UP_1%% weight=2; server 127.0.0.1:%%UP_2%%; }
      upstream consistent { hash $arg_k consistent; server 127.0.0.1:1 down; server 10.0.0.1:81 down; server 127.0.0.1:%%UP_2%%; }
      upstream iphash { ip_hash; server 127.0.0.1:%%UP_0%%; server 127.0.0.1:%%UP_1%%; server 127.0.0.1:%%UP_2%%; }
      upstream least { least_conn; server 127.0.0.1:%%UP_0%%; server 127.0.0.1:%%UP_1%% weight=2; }
      upstream kept { server 127.0.0.1:%%UP_3%%; keepalive 2; keepalive_requests 3; }
      upstream zoned { zone z 64k; server 127.0.0.1:%%UP_0%%; server 127.0.0.1:%%UP_1%% max_conns=5; }
      server { listen 127.0.0.1:%%PORT_0%%;
        location /p/ { rewrite ^/p/(\\w+) /$1 break; set $name $1; proxy_pass http://$name; }
        location /round { proxy_pass http://round; }
        location /weighted { proxy_pass http://weighted; }
        location /downed { proxy_pass http://downed; }
        location /backed { proxy_pass http://backed; }
        location /dead { proxy_pass http://dead; }
        location /failing { proxy_next_upstream error timeout http_503 http_404; proxy_pass http://failing; }
        location /posting { proxy_next_upstream error http_503; proxy_pass http://weighted; }
        location /idem { proxy_next_upstream error http_503 non_idempotent; proxy_pass http://weighted; }
        location /never { proxy_next_upstream off; proxy_pass http://weighted; }
        location /tries { proxy_next_upstream error http_500; proxy_next_upstream_tries 2; proxy_pass http://round; }
        location /invalid { proxy_next_upstream invalid_header; proxy_pass http://zoned; }
        location /hashed { proxy_pass http://hashed; }
        location /consistent { proxy_pass http://consistent; }
        location /iphash { proxy_pass http://iphash; }
        location /least { proxy_pass http://least; }
        location /kept { proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://kept; }
        location /zoned { proxy_pass http://zoned; }
      }`,
    cases: [
      ...Array.from({ length: 4 }, (): Case => ({ send: get('/round') })),
      ...Array.from({ length: 7 }, (): Case => ({ send: get('/weighted') })),
      ...each(
        get('/downed'),
        get('/downed'),
        get('/backed'),
        get('/backed'),
        get('/dead'),
        get('/dead'),
        get('/p/round'),
        get('/p/none'),
      ),
      { send: get('/failing'), upstream: [lines('HTTP/1.1 503 Busy', 'Content-Length: 0'), answer('second')] },
      { send: get('/failing'), upstream: [lines('HTTP/1.1 404 No', 'Content-Length: 0'), answer('second')] },
      { send: get('/failing'), upstream: `${lines('HTTP/1.1 404 No', 'Content-Length: 2')}no` },
      { send: get('/failing'), upstream: answer('alive') },
      { send: get('/failing'), upstream: [HANG_UP, answer('second')] },
      { send: get('/failing'), upstream: HANG_UP },
      { send: get('/failing'), upstream: answer('alive') },
      { send: post('/posting', 'abc'), upstream: [lines('HTTP/1.1 503 Busy', 'Content-Length: 0'), answer('second')] },
      { send: post('/posting', 'abc'), upstream: [HANG_UP, answer('second')] },
      { send: post('/idem', 'abc'), upstream: [lines('HTTP/1.1 503 Busy', 'Content-Length: 0'), answer('second')] },
      { send: ask('PUT', '/posting'), upstream: [lines('HTTP/1.1 503 Busy', 'Content-Length: 0'), answer('second')] },
      { send: get('/never'), upstream: [HANG_UP, answer('second')] },
      { send: get('/tries'), upstream: lines('HTTP/1.1 500 Err', 'Content-Length: 0') },
      { send: get('/invalid'), upstream: [`HTTP/1.1 200 OK\r\nbad header \0\r\n\r\n${CLOSE}`, answer('second')] },
      ...['a', 'b', 'c', 'd', 'e', 'f', 'g', ''].map((key): Case => ({ send: get(`/hashed?k=${key}`) })),
      ...each(get('/consistent?k=a'), get('/consistent?k=b'), get('/iphash'), get('/iphash')),
      ...each(get('/least'), get('/least'), get('/least'), get('/least')),
      ...Array.from({ length: 5 }, (): Case => ({ send: get('/kept') })),
      { send: get('/kept'), upstream: answer('x', 'Connection: close') + CLOSE },
      { send: get('/kept'), upstream: `${lines('HTTP/1.0 200 OK', 'Content-Length: 1')}x${CLOSE}` },
      { send: get('/kept'), upstream: lines('HTTP/1.1 204 No') },
      { send: ask('HEAD', '/kept'), upstream: head('Content-Length: 5') },
      { send: get('/kept'), upstream: lines('HTTP/1.1 304 Not Modified') },
      { send: get('/kept'), upstream: `${head('Transfer-Encoding: chunked')}2\r\nhi\r\n0\r\n\r\n` },
      { send: get('/kept') },
      { send: post('/kept', 'abc') },
      ...each(get('/zoned'), get('/zoned'), get('/zoned')),
    ],
  },
  {
    name: 'cache, mirror and subrequests',
    conf: `
      proxy_cache_path %%DIR%%/cache levels=1:2 keys_zone=c:1m inactive=1h;
      server { listen 127.0.0.1:%%PORT_0%%;
        add_header X-Cache $upstream_cache_status always;
        proxy_cache_key $uri$is_args$args;
        location / { proxy_cache c; proxy_cache_valid 200 302 1h; proxy_cache_valid 404 1m; proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /any { proxy_cache c; proxy_cache_valid any 1h; proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /none { proxy_cache c; proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /min { proxy_cache c; proxy_cache_valid 1h; proxy_cache_min_uses 2; proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /bypass { proxy_cache c; proxy_cache_valid 1h; proxy_cache_bypass $arg_b; proxy_no_cache $arg_n; proxy_cache_key $uri; proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /methods { proxy_cache c; proxy_cache_valid 1h; proxy_cache_methods POST; proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /stale { proxy_cache c; proxy_cache_use_stale error http_500; proxy_cache_revalidate on; proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /auth { auth_request /check; auth_request_set $who $upstream_http_x_who; add_header X-Who $who; return 200 "in\\n"; }
        location /auth-static { auth_request /check; }
        location = /check { internal; proxy_pass_request_body off; proxy_set_header Content-Length ""; proxy_set_header X-Uri $request_uri; proxy_pass http://127.0.0.1:%%UP_1%%; }
      }`,
    files: { 'html/auth-static': 'static' },
    cases: [
      { send: post('/methods', 'first'), upstream: answer('1') },
      {
        send: post('/methods', 'b'),
        differs: {
          parts: ['log'],
          reason: 'a hit is answered before the body is read, so $request_length is the head’s',
        },
      },
      ...proxied(
        [get('/1'), answer('one', 'X-A: 1', 'Set-Cookie: x', 'ETag: "e"')],
        [get('/1'), answer('two')],
        [get('/2'), answer('one', 'X-A: 1', 'ETag: "e"', 'Last-Modified: Mon, 01 Jan 2001 00:00:00 GMT')],
        [get('/2'), answer('two')],
        [get('/2', 'If-None-Match: "e"'), answer('two')],
        [get('/2', 'Range: bytes=1-1'), answer('two')],
        [ask('HEAD', '/2'), answer('two')],
        [post('/2', 'x'), answer('posted')],
        [ask('HEAD', '/3'), answer('headed')],
        [get('/3'), answer('again')],
        [get('/4'), answer('x', 'Cache-Control: no-cache')],
        [get('/4'), answer('y', 'Cache-Control: private')],
        [get('/4'), answer('z', 'Expires: Thu, 01 Jan 1970 00:00:01 GMT')],
        [get('/4'), answer('v', 'Cache-Control: max-age=60')],
        [get('/4'), answer('w')],
        [get('/5'), answer('star', 'Vary: *')],
        [get('/5'), answer('vary', 'Vary: X-V')],
        [get('/5'), answer('kept')],
        [get('/5', 'X-V: 2'), answer('other')],
        [get('/6'), `${lines('HTTP/1.1 404 No', 'Content-Length: 2')}no`],
        [get('/6'), answer('yes')],
        [get('/7'), `${lines('HTTP/1.1 500 No', 'Content-Length: 2')}no`],
        [get('/7'), answer('yes', 'X-Accel-Expires: 0')],
        [get('/7'), answer('yes', 'X-Accel-Expires: 100', 'Cache-Control: no-store')],
        [get('/7'), answer('more')],
        [get('/any'), `${lines('HTTP/1.1 500 No', 'Content-Length: 2')}no`],
        [get('/any'), answer('yes')],
        [get('/none'), answer('yes')],
        [get('/none'), answer('yes again', 'Cache-Control: max-age=60')],
        [get('/none'), answer('no')],
        [get('/min'), answer('1')],
        [get('/min'), answer('2')],
        [get('/min'), answer('3')],
        [get('/bypass'), answer('1')],
        [get('/bypass?b=1'), answer('2')],
        [get('/bypass'), answer('3')],
        [get('/bypass?b=1&n=1'), answer('4')],
        [get('/bypass'), answer('5')],
        [get('/stale'), answer('1', 'Cache-Control: max-age=0', 'ETag: "s"')],
        [get('/stale'), `${lines('HTTP/1.1 500 No', 'Content-Length: 2')}no`],
        [get('/auth'), answer('', 'X-Who: me')],
        [get('/auth'), `${lines('HTTP/1.1 401 No', 'WWW-Authenticate: Basic realm="r"', 'Content-Length: 2')}no`],
        [get('/auth'), `${lines('HTTP/1.1 403 No', 'Content-Length: 2')}no`],
        [get('/auth'), `${lines('HTTP/1.1 500 No', 'Content-Length: 2')}no`],
        [get('/auth'), HANG_UP],
        [post('/auth-static', 'body'), answer('')],
        [get('/auth-static', 'X-A: 1'), lines('HTTP/1.1 204 No')],
      ),
    ],
  },
];
