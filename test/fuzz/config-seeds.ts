// Configurations that the fuzzer starts from: most kinds of directives, blocks and values, and what trips their parsers.

export const CONFIG_SEEDS: readonly string[] = [
  'events { worker_connections 64; }\nhttp { server { listen 127.0.0.1:8080; location / { return 200 "ok $uri"; } } }\n',
  `worker_processes 2;
events { }
http {
  log_format main '$remote_addr "$request" $status';
  access_log off;
  map $http_host $name { hostnames; default 0; *.example.com 1; ~^(?<sub>[a-z]+)\\.org$ $sub; }
  geo $zone { default a; 10.0.0.0/8 b; }
  split_clients "$remote_addr" $variant { 0.5% a; 20% b; * c; }
  limit_req_zone $binary_remote_addr zone=one:1m rate=10r/s;
  limit_conn_zone $server_name zone=two:1m;
  upstream app { least_conn; server 127.0.0.1:8001 weight=2 max_fails=3 fail_timeout=10s; server 127.0.0.2 backup; keepalive 8; }
  server {
    listen 8080 default_server; server_name a.test *.b.test ~^www\\d+\\.c\\.test$ "";
    location = /x { limit_req zone=one burst=5 nodelay; proxy_pass http://app/y; }
    location ~* \\.(php|html)$ { rewrite ^/(.*)$ /z/$1?a=b last; }
    location ^~ /static/ { alias /nowhere/; expires 1h; try_files $uri $uri/ =404; }
    if ($request_method = POST) { return 405; }
    error_page 404 = @other;
    location @other { proxy_pass http://127.0.0.1:9000; proxy_set_header Host $host; proxy_next_upstream error timeout; }
  }
}
`,
  `events { use epoll; multi_accept on; }
http {
  types { text/html html htm; text/css css; }
  gzip on; gzip_types text/plain application/json; gzip_min_length 1k;
  proxy_cache_path /tmp/cache levels=1:2 keys_zone=c:1m max_size=10m inactive=5m;
  add_header X-A "b;c" always;
  server {
    listen unix:/tmp/x.sock; listen [::1]:81;
    set $a "\${uri}x"; set $b $a;
    location / {
      sub_filter '<a' "<b"; ssi on; charset utf-8; limit_rate 10k; client_max_body_size 8m;
      proxy_pass http://$host$request_uri; proxy_cache c; proxy_cache_valid 200 302 10m; proxy_cache_key $uri;
      proxy_redirect ~^http://[^/]+(/.*)$ $1; proxy_cookie_domain a b; auth_basic "x"; auth_basic_user_file /nowhere;
      satisfy any; allow 127.0.0.0/8; deny all; valid_referers none blocked *.a.test ~b; 
    }
    location /nested { location /nested/x { empty_gif; } location ~ /nested/(y|z) { stub_status; } }
  }
}
`,
];

export const CONFIG_TROUBLE: readonly string[] = [
  '{',
  '}',
  ';',
  '"',
  "'",
  '\\',
  '#',
  '$',
  '${',
  '$1',
  '$uri',
  '$nothing',
  '~',
  '~*',
  '=',
  '@',
  '*',
  '(',
  ')',
  '[',
  '(?<',
  '(?',
  '(a+)+$',
  '\\Q',
  '[[:alpha:]',
  '\n',
  '\0',
  '\xff',
  ' ',
  'on',
  'off',
  '-1',
  '0',
  '99999999999999999999',
  '1k',
  '1y',
  'http://',
  'unix:',
  '[::1',
  '0.0.0.0/33',
  'include /nowhere/nginx.conf;',
  'include /nowhere/*.conf;',
  'location / { }',
  'server { }',
  'http { }',
  'upstream app { }',
  'if ($a) { }',
  'if ($a ~ ',
  'return 301',
  'proxy_pass',
  'listen 8080',
  'default_type ',
  'zone=',
  'ssl on;',
];
