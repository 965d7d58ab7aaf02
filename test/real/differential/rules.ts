// Cases: rewrite, if, set, map, geo, error pages, redirects, access, passwords, limits, real addresses.
import { ask, each, type Group, get, lines, post } from './group.ts';

const PASSWORDS =
  'user:{PLAIN}secret\nsha:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\napr:$apr1$abcdefgh$fMW.P1mnjUOZoGD9XcR0B.\n# a comment\n';
const basic = (pair: string): string => `Authorization: Basic ${Buffer.from(pair).toString('base64')}`;

export const rules: Group[] = [
  {
    name: 'rewrite, if, set, map, geo',
    conf: `
      map $arg_m $mapped { default none; a 1; ~^re(?<cap>\\w+)$ "re $cap"; ~*^ci "ci"; "" empty; *.host.example wild; }
      map $http_host $hosted { hostnames; default other; *.h.example star; h.example.* tail; .dot.example dot; }
      map $arg_v $volatile { volatile; default $arg_v; }
      geo $arg_ip $area { ranges; default out; 10.0.0.0-10.0.0.255 in; 10.0.0.128-10.0.0.128 mid; }
      geo $arg_ip $net { default out; 10.0.0.0/8 ten; 10.1.0.0/16 ten-one; 127.0.0.1 me; ::1 me6; 2001:db8::/32 doc; }
      split_clients $arg_s $split { 30% first; 30% second; * rest; }
      server { listen 127.0.0.1:%%PORT_0%%; server_name site.example;
        set $one 1;
        rewrite ^/srv/(.*)$ /show/$1;
        location / { return 200 "$uri|$args|$request_uri\\n"; }
        location /map { return 200 "$mapped|$hosted|$volatile|$area|$net|$split\\n"; }
        location /last { rewrite ^/last/(.*) /show/$1?added=1 last; return 200 no; }
        location /break { rewrite ^/break/(.*) /show/$1 break; return 200 no; }
        location /redirect { rewrite ^/redirect/(.*) /to/$1 redirect; }
        location /permanent { rewrite ^/permanent/(.*) /to/$1? permanent; }
        location /absolute { rewrite ^ https://else.where/$request_uri; }
        location /cycle { rewrite ^ /cycle; }
        location /show { return 200 "shown $uri $args $one\\n"; }
        location /static-break { rewrite ^ /file.txt break; }
        location /if { set $x ""; if ($arg_a) { set $x "a$x"; } if ($arg_a = b) { set $x "b$x"; } if ($arg_a != b) { set $x "n$x"; }
          if ($arg_a ~ ^c(.)) { set $x "c$1$x"; } if ($arg_a ~* ^D) { set $x "d$x"; } if ($arg_a !~ z) { set $x "z$x"; }
          if (-f $document_root/file.txt) { set $x "f$x"; } if (-d $document_root/dir) { set $x "D$x"; } if (!-e $document_root/no) { set $x "e$x"; }
          if ($request_method = POST) { return 405; } return 200 "$x\\n"; }
        location /if-header { add_header X-Out 1; if ($arg_a) { add_header X-In 1; } root html; rewrite ^ /file.txt break; }
        location /if-return { if ($arg_a = 1) { return 302 /one; } if ($arg_a = 2) { return 444; } if ($arg_a = 3) { break; return 200 unreachable; } return 404; }
        location /code { return 418; }
        location /text { return 503 "text $arg_x"; }
        location /url { return http://x.example/y; }
        location /308 { return 308 /z; }
        location /303 { return 303 z; }
        location /empty { return 200; }
        location /quote { return 200 "a'b \\"c\\" \${uri}e\\n"; }
        location ~ ^/cap/(?<first>\\w+)/(\\w+)$ { return 200 "$first $2 $1\\n"; }
        location ~* \\.PHP$ { return 200 "php\\n"; }
        location ^~ /prefix/ { return 200 "prefix\\n"; }
        location = /exact { return 200 "exact\\n"; }
        location @named { return 200 "named $uri\\n"; }
        location /try/ { try_files $uri $uri/index.html =404; }
        location /try-named { try_files /none @named; }
        location /try-uri { try_files /none /show?x=$uri; }
        location /try-dir { try_files /dir/ =403; }
        location /err404 { error_page 404 /errors/404?x; return 404; }
        location /errors/ { internal; return 200 "error page $uri $args $status\\n"; }
        location /err-code { error_page 404 =403 /errors/a; return 404; }
        location /err-eq { error_page 404 = /errors/a; return 404; }
        location /err-named { error_page 404 @named; return 404; }
        location /err-redirect { error_page 404 http://x.example/; return 404; }
        location /err-301 { error_page 404 =301 http://x.example/; return 404; }
        location /err-missing { error_page 404 /missing.html; return 404; }
        location /err-rec { recursive_error_pages on; error_page 404 /err-404b; return 404; }
        location /err-404b { error_page 404 =200 @named; return 404; }
        location /vars { return 200 "$scheme $server_addr $server_name $request_method $request_filename $document_root $document_uri $query_string $is_args$args $arg_a $arg_A $cookie_c $http_x_y $content_length $content_type $binary_remote_addr_unset_ $remote_user $limit_rate $nginx_version $hostname_unset_\\n"; }
      }`
      .replace(' $binary_remote_addr_unset_', '')
      .replace(' $hostname_unset_', ''),
    files: {
      'html/file.txt': 'a file\n',
      'html/dir/index.html': 'index\n',
      'html/try/there': 'there\n',
      'html/try/sub/index.html': 'sub\n',
    },
    cases: each(
      get('/srv/a?b'),
      ...['a', 'rexyz', 'CIao', '', 'zz', 'x.host.example', 'RE'].map((m) => get(`/map?m=${m}`)),
      ...['x.h.example', 'h.example.org', 'dot.example', 'a.dot.example', 'H.EXAMPLE.ORG', 'q'].map((h) =>
        lines('GET /map HTTP/1.1', `Host: ${h}`),
      ),
      ...['10.0.0.1', '10.0.0.128', '10.0.1.0', '10.1.2.3', '127.0.0.1', '::1', '2001:db8::5', 'nonsense', ''].map(
        (ip) => get(`/map?ip=${ip}&v=1`),
      ),
      ...['a', 'b', 'c', 'dd', 'eee'].map((s) => get(`/map?s=${s}`)),
      get('/last/x?y'),
      get('/break/x'),
      get('/redirect/a%20b?q'),
      get('/permanent/x?q=1'),
      get('/absolute?q'),
      get('/cycle'),
      get('/static-break'),
      ...['', 'b', 'cx', 'dx', 'z'].map((a) => get(`/if?a=${a}`)),
      post('/if', 'x'),
      get('/if-header'),
      get('/if-header?a=1'),
      ...['1', '2', '3', '4'].map((a) => get(`/if-return?a=${a}`)),
      get('/code'),
      get('/text?x=%20y'),
      get('/url'),
      get('/308'),
      get('/303'),
      get('/empty'),
      get('/quote'),
      get('/cap/a/b'),
      get('/x.php'),
      get('/X.PhP'),
      get('/prefix/x.php'),
      get('/exact'),
      get('/exact/'),
      get('/@named'),
      get('/try/there'),
      get('/try/sub'),
      get('/try/none'),
      get('/try-named'),
      get('/try-uri'),
      get('/try-dir'),
      get('/err404'),
      ask('POST', '/err404'),
      ask('HEAD', '/err404'),
      get('/errors/x'),
      get('/err-code'),
      get('/err-eq'),
      get('/err-named'),
      get('/err-redirect'),
      get('/err-301'),
      get('/err-missing'),
      get('/err-rec'),
      get('/vars?a=1&A=2&b', 'Cookie: c=d', 'X-Y: z'),
      post('/vars', 'abc', 'Content-Type: t/x'),
    ),
  },
  {
    name: 'access, passwords, limits, real addresses',
    conf: `
      limit_req_zone $uri zone=req:1m rate=1r/m;
      limit_req_zone $arg_k zone=keyed:1m rate=1r/m;
      limit_conn_zone $uri zone=conn:1m;
      server { listen 127.0.0.1:%%PORT_0%%; root html;
        location / { return 200 "$remote_addr $remote_user\\n"; }
        location /deny { deny all; }
        location /allow { allow 127.0.0.0/8; deny all; }
        location /allow-other { allow 10.0.0.0/8; deny all; }
        location /deny-me { deny 127.0.0.1; allow all; }
        location /auth { auth_basic "a realm"; auth_basic_user_file htpasswd; }
        location /auth-any { satisfy any; deny all; auth_basic r; auth_basic_user_file htpasswd; }
        location /auth-all { satisfy all; allow all; auth_basic r; auth_basic_user_file htpasswd; }
        location /auth-any-in { satisfy any; allow all; auth_basic r; auth_basic_user_file htpasswd; }
        location /auth-off { auth_basic off; }
        location /auth-none { auth_basic r; auth_basic_user_file missing; }
        location /except { limit_except GET POST { deny all; } }
        location /req { limit_req zone=req; }
        location /burst { limit_req zone=req burst=1 nodelay; limit_req_status 429; }
        location /keyed { limit_req zone=keyed; limit_req_dry_run on; add_header X-L $limit_req_status; }
        location /conn { limit_conn conn 1; limit_conn_status 509; limit_conn_log_level warn; }
        location /realip { set_real_ip_from 127.0.0.1; real_ip_header X-Real; return 200 "$remote_addr $realip_remote_addr\\n"; }
        location /xff { set_real_ip_from 127.0.0.0/8; set_real_ip_from 10.0.0.0/8; real_ip_header X-Forwarded-For; real_ip_recursive on; return 200 "$remote_addr $proxy_add_x_forwarded_for\\n"; }
        location /xff-one { set_real_ip_from 127.0.0.0/8; real_ip_header X-Forwarded-For; return 200 "$remote_addr\\n"; }
        location /referer { valid_referers none blocked server_names *.ref.example ~^https?://re\\d; if ($invalid_referer) { return 403; } return 200 ok; }
        location /browser { ancient_browser MSIE; modern_browser opera 9; return 200 "$ancient_browser|$modern_browser|$msie\\n"; }
        location /status { stub_status; }
      }`,
    files: {
      htpasswd: PASSWORDS,
      ...Object.fromEntries(
        [
          'auth',
          'auth-any',
          'auth-all',
          'auth-any-in',
          'auth-off',
          'except',
          'req',
          'burst',
          'keyed',
          'conn',
          'allow',
          'deny-me',
        ].map((name) => [`html/${name}`, `${name}\n`]),
      ),
    },
    cases: each(
      get('/', basic('who:ever')),
      get('/', 'Authorization: Basic !!!'),
      get('/', 'Authorization: Basic dXNlcg=='),
      get('/', 'Authorization: basic dXNlcjo='),
      get('/', 'Authorization: Bearer x'),
      get('/deny'),
      get('/allow'),
      get('/allow-other'),
      get('/deny-me'),
      get('/auth'),
      get('/auth', basic('user:secret')),
      get('/auth', basic('user:wrong')),
      get('/auth', basic('nobody:secret')),
      get('/auth', basic('sha:password')),
      get('/auth', basic('sha:wrong')),
      get('/auth', basic('apr:wrong')),
      get('/auth', 'Authorization: Digest x'),
      get('/auth-any'),
      get('/auth-any', basic('user:secret')),
      get('/auth-any', basic('user:wrong')),
      get('/auth-all', basic('user:secret')),
      get('/auth-all'),
      get('/auth-any-in'),
      get('/auth-off'),
      get('/auth-none'),
      get('/auth-none', basic('user:secret')),
      get('/except'),
      ask('HEAD', '/except'),
      ask('POST', '/except'),
      ask('DELETE', '/except'),
      get('/req'),
      get('/req'),
      get('/burst'),
      get('/burst'),
      get('/burst'),
      get('/keyed?k=a'),
      get('/keyed?k=a'),
      get('/keyed'),
      get('/conn'),
      get('/realip', 'X-Real: 1.2.3.4'),
      get('/realip', 'X-Real: [2001:db8::1]:80'),
      get('/realip', 'X-Real: nonsense'),
      get('/realip'),
      get('/xff', 'X-Forwarded-For: 1.2.3.4, 10.0.0.1, 127.0.0.2'),
      get('/xff', 'X-Forwarded-For: 1.2.3.4', 'X-Forwarded-For: 10.0.0.1'),
      get('/xff', 'X-Forwarded-For: 10.0.0.1'),
      get('/xff', 'X-Forwarded-For: bad, 10.0.0.1'),
      get('/xff-one', 'X-Forwarded-For: 1.2.3.4, 5.6.7.8:90'),
      ...['', 'x', '-', 'http://a.ref.example/x', 'https://re5/x', 'http://other/', 'ftp://localhost/'].map((r) =>
        get('/referer', `Referer: ${r}`),
      ),
      get('/referer'),
      ...['Mozilla/4.0 (compatible; MSIE 6.0)', 'Opera/9.5', 'Opera/8.0', ''].map((ua) =>
        get('/browser', `User-Agent: ${ua}`),
      ),
      ask('POST', '/status'),
    ),
  },
];
