// The peers' configuration files: the same service in nginx's, HAProxy's and Caddy's words.

export interface Service {
  readonly workers: number;
  /** Server blocks besides the one that is asked. */
  readonly servers: number;
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly upstreamPort: number;
  readonly socketPort: number;
  readonly html: string;
  readonly certificate: string;
  readonly key: string;
}

const TEMP = 'client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;';

/** The upstream of all peers. */
export function upstreamConf(port: number, html: string): string {
  return `daemon off; worker_processes 1; pid nginx.pid; events { worker_connections 16384; }
http {
  access_log off; keepalive_requests 1000000000; ${TEMP}
  server {
    listen 127.0.0.1:${port} backlog=4096; root ${html};
    location = /hello { return 200 "hello from the upstream, 34 bytes\\n"; }
    location = /upload { return 200 "ok\\n"; }
  }
}
`;
}

/** nginx's, which is also ours. TLS 1.3, which nginx 1.22 does not speak unless it is told to, because all other peers do. */
export function nginxConf(s: Service): string {
  const others = Array.from(
    { length: s.servers },
    (_, i) => `server { listen 127.0.0.1:${s.httpPort}; server_name host${i}.example *.host${i}.example; return 404; }`,
  );
  return `daemon off; worker_processes ${s.workers}; pid nginx.pid; worker_rlimit_nofile 65536;
events { worker_connections 32768; }
http {
  ${TEMP}
  access_log access.log; keepalive_requests 1000000000; sendfile on; server_names_hash_max_size 8192;
  upstream app { server 127.0.0.1:${s.upstreamPort}; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${s.httpPort} default_server; listen 127.0.0.1:${s.httpsPort} ssl http2;
    ssl_certificate ${s.certificate}; ssl_certificate_key ${s.key}; ssl_session_cache shared:bench:4m;
    ssl_protocols TLSv1.2 TLSv1.3;
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
    location /app/ { proxy_pass http://app/; }
    location /plain/ { proxy_http_version 1.0; proxy_set_header Connection close; proxy_pass http://127.0.0.1:${s.upstreamPort}/; }
    location /static/ { alias ${s.html}/; }
    location /gzip/ { alias ${s.html}/; gzip on; gzip_types *; }
    location = /ws {
      proxy_pass http://127.0.0.1:${s.socketPort}; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
    }
  }
  ${others.join('\n  ')}
}
`;
}

/** HAProxy keeps certificate and key in one file. */
export function haproxyConf(s: Service, pem: string): string {
  return `global
  nbthread ${s.workers}
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  option forwardfor
  timeout connect 10s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend http
  bind 127.0.0.1:${s.httpPort}
  bind 127.0.0.1:${s.httpsPort} ssl crt ${pem} alpn h2,http/1.1
  http-request set-path %[path,regsub(^/app/,/)]
  use_backend sockets if { path /ws }
  default_backend app
backend app
  server app 127.0.0.1:${s.upstreamPort} pool-max-conn 128
backend sockets
  server sockets 127.0.0.1:${s.socketPort}
`;
}

export function caddyfile(s: Service): string {
  return `{
  admin off
  auto_https off
}
(service) {
  log {
    output file access.log
  }
  handle_path /app/* {
    reverse_proxy 127.0.0.1:${s.upstreamPort}
  }
  handle_path /plain/* {
    reverse_proxy 127.0.0.1:${s.upstreamPort} {
      transport http {
        keepalive off
      }
    }
  }
  handle_path /static/* {
    root * ${s.html}
    file_server
  }
  handle /ws {
    reverse_proxy 127.0.0.1:${s.socketPort}
  }
}
http://127.0.0.1:${s.httpPort} {
  import service
}
https://127.0.0.1:${s.httpsPort}, https://localhost:${s.httpsPort} {
  tls ${s.certificate} ${s.key}
  import service
}
`;
}
