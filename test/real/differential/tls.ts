// Cases: TLS basics, and upstreams over TLS (the server itself, on another port).
import { issueAuthority, issueLeaf } from '../../../certs/authority.ts';
import { ask, type Case, type Group, get, lines, post } from './group.ts';

const authority = await issueAuthority();
const leaf = await issueLeaf(authority, ['localhost', 'one.example', 'two.example']);

const over = (send: string | readonly string[], name = 'one.example', port = 0): Case => ({ send, tls: name, port });

export const tls: Group[] = [
  {
    name: 'TLS',
    conf: `
      ssl_certificate leaf.crt; ssl_certificate_key leaf.key; proxy_ssl_session_reuse off;
      server { listen 127.0.0.1:%%PORT_0%% ssl; server_name one.example;
        location / { return 200 "$scheme $https $server_name $ssl_protocol $ssl_server_name $ssl_session_reused $ssl_client_verify $request_uri\\n"; }
        location /dir { root html; }
        location /301 { return 301 /there; }
        location /secure { proxy_ssl_server_name on; proxy_ssl_name two.example; proxy_pass https://127.0.0.1:%%PORT_0%%/via; }
        location /verified { proxy_ssl_verify on; proxy_ssl_trusted_certificate ca.crt; proxy_ssl_name localhost; proxy_pass https://127.0.0.1:%%PORT_0%%/via; }
        location /misnamed { proxy_ssl_verify on; proxy_ssl_trusted_certificate ca.crt; proxy_ssl_name wrong.example; proxy_pass https://127.0.0.1:%%PORT_0%%/via; }
        location /not-tls { proxy_pass https://127.0.0.1:%%UP_0%%; }
        location /to-tls { proxy_pass http://127.0.0.1:%%PORT_0%%; }
      }
      server { listen 127.0.0.1:%%PORT_0%% ssl; server_name two.example;
        location / { return 200 "two $server_name $ssl_server_name $host\\n"; } error_page 497 https://two.example/; }
      server { listen 127.0.0.1:%%PORT_1%% ssl; ssl_verify_client optional_no_ca; location / { return 200 "$ssl_client_verify\\n"; } }
      server { listen 127.0.0.1:%%PORT_2%% ssl; ssl_verify_client on; ssl_client_certificate ca.crt; location / { return 200 "$ssl_client_verify\\n"; } }
      server { listen 127.0.0.1:%%PORT_3%% ssl; error_page 497 =200 /plain; location / { return 200 "$uri $scheme\\n"; } }`,
    files: {
      'leaf.crt': leaf.cert,
      'leaf.key': leaf.key,
      'ca.crt': authority.cert,
      'html/dir/index.html': 'index\n',
    },
    cases: [
      over(lines('GET / HTTP/1.1', 'Host: one.example')),
      over(lines('GET / HTTP/1.1', 'Host: two.example')),
      over(lines('GET / HTTP/1.1', 'Host: two.example'), 'two.example'),
      over(lines('GET / HTTP/1.1', 'Host: other'), 'unknown.example'),
      over(lines('GET / HTTP/1.0')),
      over([get('/a'), get('/b')]),
      over(get('/a') + get('/b')),
      over(post('/a', 'body')),
      over(ask('HEAD', '/a')),
      over('broken\r\n\r\n'),
      over('GET /\r\n'),
      over(get('/301')),
      over(get('/dir')),
      over(get('/dir/')),
      over(get('/secure')),
      over(get('/verified')),
      over(get('/misnamed')),
      over(get('/not-tls')),
      over(get('/to-tls')),
      over(get('/'), 'one.example', 1),
      over(get('/'), 'one.example', 2),
      { send: get('/plain-on-tls') },
      { send: 'garbage\r\n\r\n' },
      { send: get('/'), port: 3 },
      { send: post('/', 'x'), port: 3 },
      over(get('/'), 'one.example', 3),
    ],
  },
];
