// The nginx.conf of a scenario's or sweep's proxy: one server in front of one upstream, everything that is not asked for as
// nginx has it by default. It is a file that the real nginx takes as well.

/** What differs from one proxy to another. */
export interface ProxySettings {
  readonly port: number;
  /** host:port, with the parameters of the `server` directive behind it. */
  readonly peers: readonly string[];
  /** Directives of the upstream block: `least_conn;`, `keepalive 16;`. */
  readonly upstream?: readonly string[];
  /** Directives of the location. */
  readonly location?: readonly string[];
}

/** The text; logs and temporary files go to the prefix. */
export function nginxConf({ port, peers, upstream = [], location = [] }: ProxySettings): string {
  return `worker_processes 1;
daemon off;
pid nginx.pid;
error_log error.log notice;
events { worker_connections 4096; }
http {
  client_body_temp_path temp_body; proxy_temp_path temp_proxy; fastcgi_temp_path temp_fastcgi;
  uwsgi_temp_path temp_uwsgi; scgi_temp_path temp_scgi;
  log_format timed '$remote_addr - - [$time_local] "$request" $status $body_bytes_sent rt=$request_time '
                   'uct=$upstream_connect_time uht=$upstream_header_time urt=$upstream_response_time '
                   'ua="$upstream_addr" us="$upstream_status"';
  access_log access.log timed;
  keepalive_requests 1000000;
  upstream app {
    ${[...peers.map((peer) => `server ${peer};`), ...upstream].join('\n    ')}
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Request-Start "t=\${msec}";
      ${location.join('\n      ')}
    }
  }
}
`;
}
