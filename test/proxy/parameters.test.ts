// Parameters of directives: what nginx 1.22 -t refuses, in its words, and what it takes. Found by giving some 430
// configurations to both.
import { describe, expect, it } from 'vitest';
import { runProxy } from './start-proxy.ts';

/** -t binds it and lets it go; that somebody has it is no error there. */
const LISTEN = 'listen 127.0.0.1:8080';

/** The `[emerg]` line of `nginx -t`; '' when the configuration is good. */
async function emergOf(conf: string): Promise<string> {
  const { code, stderr } = await runProxy(`pid nginx.pid; ${conf}`);
  const line = /^nginx: \[emerg\] (.*)$/m.exec(stderr)?.[1] ?? '';
  expect(code).toBe(line === '' ? 0 : 1);
  return line;
}

const http = (text: string): string => `events { } http { access_log off; ${text} }`;
const main = (text: string): string => `${text} events { }`;
const server = (listen: string): string => http(`server { ${listen}; }`);
const upstream = (text: string): string => http(`upstream u { server ${text}; }`);
const AT = ' in DIR/nginx.conf:1';

const REFUSED: readonly (readonly [conf: string, message: string])[] = [
  [server(`${LISTEN} setfib=1`), `invalid parameter "setfib=1"${AT}`],
  [server(`${LISTEN} spdy`), `invalid parameter "spdy"${AT}`],
  [server(`${LISTEN} ipv6only=x`), `invalid parameter "ipv6only=x"${AT}`],
  [server('listen [::1]:1 ipv6only=ok'), `invalid ipv6only flags "ok"${AT}`],
  [server(`${LISTEN} rcvbuf=x`), `invalid rcvbuf "rcvbuf=x"${AT}`],
  [server(`${LISTEN} fastopen=x`), `invalid fastopen "fastopen=x"${AT}`],
  [upstream('127.0.0.1:1/uri'), `invalid host in upstream "127.0.0.1:1/uri"${AT}`],
  [http('ssl_ocsp_cache foo;'), `invalid OCSP cache "foo"${AT}`],
  [http('ssl_ocsp_cache shared:a:1k;'), `OCSP cache "shared:a:1k" is too small${AT}`],
  [http('proxy_cache_methods PUT;'), `invalid value "PUT"${AT}`],
  [http('proxy_temp_path a 0;'), `"proxy_temp_path" directive invalid value${AT}`],
  [http('keepalive_disable none msie6 safari;'), `invalid number of arguments in "keepalive_disable" directive${AT}`],
  [http('error_page =200 /x;'), `invalid value "=200"${AT}`],
  [http('error_log stderr info warn;'), `duplicate log level "warn"${AT}`],
  [http('error_log stderr debug debug_http;'), `invalid log level "debug_http"${AT}`],
  [http('aio on;'), `"aio on" is unsupported on this platform${AT}`],
  [http('aio sendfile;'), `"aio" directive invalid value${AT}`],
  [http('aio threads=foo;'), `unknown thread pool "foo"${AT}`],
  [http('directio foo;'), `"directio" directive invalid value${AT}`],
  [
    http('server { location /a { if ($uri) { add_before_body /b; } } }'),
    `"add_before_body" directive is not allowed here${AT}`,
  ],
  [main('worker_priority x;'), `"worker_priority" directive invalid number${AT}`],
  [main('thread_pool a max_queue=5;'), `"thread_pool" must have "threads" parameter${AT}`],
  [main('thread_pool a threads=0;'), `invalid threads value "threads=0"${AT}`],
  [main('thread_pool a threads=1; thread_pool a threads=1;'), `duplicate thread pool "a"${AT}`],
];

const TAKEN: readonly string[] = [
  server(`${LISTEN} ipv6only=on so_keepalive=30m::10 deferred rcvbuf=8k`),
  http('error_log stderr debug_http debug_event;'),
  http('error_page 404 =@a;'),
  http('proxy_temp_path a 4;'),
  `${http('aio threads=a;')} thread_pool a threads=1 max_queue=5;`,
  server(`${LISTEN}; server_name a*b a.b a.b`),
  main('worker_processes 1;').replace('{ }', '{ epoll_events 32; }'),
];

describe('parameters', () => {
  it('that nginx refuses are refused in its words', async () => {
    const told: string[] = [];
    for (const [conf] of REFUSED) told.push(await emergOf(conf));
    expect(told).toEqual(REFUSED.map(([, message]) => message));
  });

  it('that nginx takes are taken', async () => {
    const told: string[] = [];
    for (const conf of TAKEN) told.push(await emergOf(conf));
    expect(told).toEqual(TAKEN.map(() => ''));
  });

  it('are looked at as late as in nginx: names of servers, when there is a choice', async () => {
    const two = `server { ${LISTEN}; server_name a*b; } server { ${LISTEN}; }`;
    expect(await emergOf(http(two))).toBe('invalid server name or wildcard "a*b" on 127.0.0.1:8080');
  });
}, 60_000);
