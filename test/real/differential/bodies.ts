// Cases: request bodies in every framing, Expect, keepalive and pipelining.
import { ask, type Case, each, type Group, get, lines, post, postChunks } from './group.ts';

const chunked = (text: string): string => postChunks('/proxied', text);

export const bodies: Group[] = [
  {
    name: 'request bodies',
    conf: `
      lingering_timeout 200ms;
      server { listen 127.0.0.1:%%PORT_0%%;
        location / { return 200 "ok\\n"; }
        location /static { root html; }
        location /proxied { proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /echo { proxy_pass http://127.0.0.1:%%UP_0%%; add_header X-Body "$request_body" always; }
        location /unbuffered { proxy_http_version 1.1; proxy_request_buffering off; proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /no-body { proxy_pass_request_body off; proxy_set_header Content-Length ""; proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /in-file { client_body_in_file_only clean; add_header X-File "\${request_body_file}" always; proxy_pass http://127.0.0.1:%%UP_0%%; proxy_hide_header X-File; }
        location /single { client_body_in_single_buffer on; proxy_pass http://127.0.0.1:%%UP_0%%; }
      }`,
    files: { 'html/static': 'here' },
    cases: [
      ...[postChunks('/in-file', '0\r\n\r\n'), post('/in-file', 'body')].map(
        (send): Case => ({
          send,
          differs: {
            parts: ['head', 'log'],
            reason: 'names of body files have the process in them, as each worker process counts for itself',
          },
        }),
      ),
      ...each(
        post('/', 'body'),
        post('/', ''),
        post('/static', 'body'),
        post('/proxied', 'body'),
        post('/proxied', ''),
        post('/echo', 'a "b" \x01'),
        post('/unbuffered', 'body'),
        post('/no-body', 'body'),
        post('/single', 'body'),
        `${lines('GET /proxied HTTP/1.1', 'Host: x', 'Content-Length: 3')}abc`,
        lines('POST /proxied HTTP/1.1', 'Host: x'),
        `${lines('POST /proxied HTTP/1.0', 'Content-Length: 3')}abc`,
        `${lines('POST / HTTP/1.1', 'Host: x', 'Content-Length: -1')}abc`,
        `${lines('POST / HTTP/1.1', 'Host: x', 'Content-Length: +3')}abc`,
        `${lines('POST / HTTP/1.1', 'Host: x', 'Content-Length: 3x')}abc`,
        `${lines('POST / HTTP/1.1', 'Host: x', 'Content-Length: 0x3')}abc`,
        `${lines('POST / HTTP/1.1', 'Host: x', 'Content-Length:')}abc`,
        `${lines('POST / HTTP/1.1', 'Host: x', 'Content-Length: 3, 3')}abc`,
        `${lines('POST / HTTP/1.1', 'Host: x', 'Content-Length: 3', 'Content-Length: 3')}abc`,
        `${lines('POST /proxied HTTP/1.1', 'Host: x', 'Content-Length: 003')}abc`,
        `${lines('POST / HTTP/1.1', 'Host: x', 'Content-Length: 99999999999999999999')}abc`,
        `${lines('POST / HTTP/1.1', 'Host: x', 'Content-Length: 9999999999', 'Connection: close')}abc`,
        `${lines('POST / HTTP/1.1', 'Host: x', 'Content-Length: 3', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
        `${lines('POST / HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked', 'Content-Length: 3')}0\r\n\r\n`,
        `${lines('POST / HTTP/1.1', 'Host: x', 'Transfer-Encoding: Chunked')}0\r\n\r\n`,
        `${lines('POST / HTTP/1.1', 'Host: x', 'Transfer-Encoding: gzip, chunked')}0\r\n\r\n`,
        `${lines('POST / HTTP/1.1', 'Host: x', 'Transfer-Encoding: identity')}abc`,
        `${lines('POST / HTTP/1.1', 'Host: x', 'Transfer-Encoding:')}abc`,
        `${lines('POST / HTTP/1.1', 'Host: x', 'Transfer-Encoding: xchunked')}0\r\n\r\n`,
        `${lines('POST / HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
        `${lines('POST / HTTP/1.0', 'Host: x', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
        chunked('4\r\nbody\r\n0\r\n\r\n'),
        chunked('0\r\n\r\n'),
        chunked('2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n'),
        chunked('4;ext=1\r\nbody\r\n0;last\r\n\r\n'),
        chunked('4 \r\nbody\r\n0\r\n\r\n'),
        chunked('4\t;x\r\nbody\r\n0\r\n\r\n'),
        chunked('04\r\nbody\r\n00\r\n\r\n'),
        chunked('A\r\n0123456789\r\n0\r\n\r\n'),
        chunked('a\r\n0123456789\r\n0\r\n\r\n'),
        chunked('4\nbody\n0\n\n'),
        chunked('4\r\nbody\r\n0\r\nTrailer: x\r\n\r\n'),
        chunked('4\r\nbody\r\n0\r\nbad trailer\r\n\r\n'),
        chunked('x\r\nbody\r\n0\r\n\r\n'),
        chunked('\r\n4\r\nbody\r\n0\r\n\r\n'),
        chunked(' 4\r\nbody\r\n0\r\n\r\n'),
        chunked('-4\r\nbody\r\n0\r\n\r\n'),
        chunked('0x4\r\nbody\r\n0\r\n\r\n'),
        chunked('4\r\nbodyx\r\n0\r\n\r\n'),
        chunked('3\r\nbody\r\n0\r\n\r\n'),
        chunked('4\rbody\r\n0\r\n\r\n'),
        chunked('ffffffffffffffff\r\nbody\r\n0\r\n\r\n'),
        chunked('10000000000000000\r\nbody\r\n0\r\n\r\n'),
        postChunks('/', '4\r\nbody\r\n0\r\n\r\n'),
        postChunks('/', 'x\r\nbody\r\n0\r\n\r\n'),
        postChunks('/static', '4\r\nbody\r\n0\r\n\r\n'),
        postChunks('/unbuffered', '4\r\nbody\r\n0\r\n\r\n'),
        postChunks('/no-body', '4\r\nbody\r\n0\r\n\r\n'),
        postChunks('/single', '4\r\nbody\r\n0\r\n\r\n'),
        post('/', 'body', 'Expect: 100-continue'),
        post('/proxied', 'body', 'Expect: 100-continue'),
        post('/proxied', 'body', 'Expect: 100-CONTINUE'),
        post('/proxied', 'body', 'Expect: something'),
        `${lines('POST /proxied HTTP/1.0', 'Content-Length: 3', 'Expect: 100-continue')}abc`,
        get('/proxied', 'Expect: 100-continue'),
      ),
      {
        send: `${lines('POST /proxied HTTP/1.1', 'Host: x', 'Content-Length: 10')}short`,
        isHalfClosed: true,
        title: 'cut',
      },
      { send: `${lines('POST / HTTP/1.1', 'Host: x', 'Content-Length: 10')}short`, isHalfClosed: true, title: 'cut' },
      { send: chunked('4\r\nbo'), isHalfClosed: true, title: 'cut' },
      { send: lines('GET / HTTP/1.1', 'Host: x'), isHalfClosed: true, title: 'half closed' },
      { send: 'GET / HT', isHalfClosed: true, title: 'cut' },
      { send: 'GET / HTTP/1.1\r\nHost:', isHalfClosed: true, title: 'cut' },
    ],
  },
  {
    name: 'keepalive and pipelining',
    conf: `
      keepalive_timeout 60s 20s; keepalive_requests 3;
      server { listen 127.0.0.1:%%PORT_0%%;
        location / { return 200 "$connection_requests $uri\\n"; }
        location /static { root html; }
        location /none { keepalive_timeout 0; return 200 none; }
        location /plain { keepalive_timeout 5s; return 200 plain; }
        location /proxied { proxy_pass http://127.0.0.1:%%UP_0%%; }
        location /204 { return 204; }
        location /404 { return 404; }
        location /400 { return 400; }
        location /500 { return 500; }
        location /503 { return 503; }
        location /444 { return 444; }
        location /499 { return 499; }
        location /safari { keepalive_disable safari; return 200 s; }
        location /off { chunked_transfer_encoding off; proxy_pass http://127.0.0.1:%%UP_0%%; }
      }`,
    files: { 'html/static': 'here' },
    cases: [
      ...each(
        [get('/1'), get('/2')],
        [get('/1'), get('/2'), get('/3'), get('/4')],
        get('/1') + get('/2'),
        get('/1') + get('/2') + get('/3') + get('/4'),
        get('/1') + get('/2', 'Connection: close') + get('/3'),
        `${get('/1')}garbage\r\n\r\n${get('/3')}`,
        [get('/static'), get('/proxied'), get('/static')],
        get('/static') + get('/proxied') + get('/static'),
        post('/1', 'body') + get('/2'),
        post('/proxied', 'body') + get('/2'),
        postChunks('/1', '4\r\nbody\r\n0\r\n\r\n') + get('/2'),
        postChunks('/proxied', '4\r\nbody\r\n0\r\n\r\n') + get('/2'),
        `${get('/1')}\r\n\r\n${get('/2')}`,
        get('/none'),
        get('/plain'),
        get('/204'),
        get('/404'),
        get('/400'),
        get('/500'),
        get('/503'),
        get('/444'),
        get('/499'),
        ask('HEAD', '/1') + get('/2'),
        ask('HEAD', '/static') + get('/2'),
        ask('HEAD', '/proxied') + get('/2'),
        get('/safari', 'User-Agent: Mozilla/5.0 (Macintosh; Mac OS X) Version/3 Safari/525'),
        post('/safari', 'x', 'User-Agent: Mozilla/5.0 (compatible; MSIE 6.0; Windows)'),
        post('/1', 'x', 'User-Agent: Mozilla/4.0 (compatible; MSIE 6.0; Windows)'),
        lines('GET /proxied HTTP/1.0', 'Connection: keep-alive'),
        lines('GET /static HTTP/1.0', 'Connection: keep-alive') + lines('GET /static HTTP/1.0'),
      ),
      { send: get('/proxied'), upstream: 'HTTP/1.0 200 OK\r\n\r\nto the close', title: 'no length' },
      {
        send: lines('GET /proxied HTTP/1.0', 'Connection: keep-alive'),
        upstream: 'HTTP/1.0 200 OK\r\n\r\nto the close',
      },
      { send: get('/off'), upstream: 'HTTP/1.0 200 OK\r\n\r\nto the close' },
    ],
  },
];
