// Cases: files, ranges, conditions, compression, charsets, substitution, additions, listings, headers; TLS basics.
import { gzipSync } from 'node:zlib';
import { ask, type Case, each, type Group, get, lines } from './group.ts';

const MODIFIED = 'Mon, 03 Feb 2020 04:05:06 GMT';
const ETAG = '"5e379bf2-14"';
const TWENTY = 'abcdefghijklmnopqrs\n';
const range = (value: string, ...more: string[]): string => get('/20.txt', `Range: ${value}`, ...more);

export const statics: Group[] = [
  {
    name: 'files',
    conf: `
      types { text/plain txt; text/html html; image/gif gif; application/x-thing thing; }
      default_type application/octet-stream;
      server { listen 127.0.0.1:%%PORT_0%%; root html; index index.html index.txt;
        location / { }
        location /alias/ { alias %%DIR%%/html/dir/; }
        location ~ ^/realias/(.*)$ { alias %%DIR%%/html/dir/$1; }
        location /noetag/ { etag off; alias %%DIR%%/html/; }
        location /before/ { if_modified_since before; alias %%DIR%%/html/; }
        location /off/ { if_modified_since off; alias %%DIR%%/html/; }
        location /max1/ { max_ranges 1; alias %%DIR%%/html/; }
        location /max0/ { max_ranges 0; alias %%DIR%%/html/; }
        location /list/ { autoindex on; alias %%DIR%%/html/; }
        location /json/ { autoindex on; autoindex_format json; alias %%DIR%%/html/; }
        location /xml/ { autoindex on; autoindex_format xml; alias %%DIR%%/html/; }
        location /jsonp/ { autoindex on; autoindex_format jsonp; alias %%DIR%%/html/; }
        location /inexact/ { autoindex on; autoindex_exact_size off; autoindex_localtime on; alias %%DIR%%/html/; }
        location /expires/ { expires 1h; alias %%DIR%%/html/; }
        location /epoch/ { expires epoch; alias %%DIR%%/html/; }
        location /max/ { expires max; alias %%DIR%%/html/; }
        location /minus/ { expires -1; alias %%DIR%%/html/; }
        location /modified/ { expires modified +1d; alias %%DIR%%/html/; }
        location /headers/ { add_header X-A "a $uri"; add_header X-Empty ""; add_header Cache-Control mine; add_header Last-Modified ""; add_trailer X-T tail; alias %%DIR%%/html/; }
        location /charset/ { charset utf-8; alias %%DIR%%/html/; }
        location /types/ { types { text/other txt; } alias %%DIR%%/html/; }
        location /gif { empty_gif; }
      }`,
    files: {
      'html/20.txt': TWENTY,
      'html/index.html': '<p>index</p>\n',
      'html/a b&c<d>.txt': 'odd name',
      'html/x.thing': 'thing',
      'html/none': 'no extension',
      'html/.hidden': 'hidden',
      'html/empty.txt': '',
      'html/dir/index.txt': 'txt index',
      'html/dir/f.txt': 'f',
      'html/sub/file': 'x',
    },
    cases: [
      ...[get('/20.txt', 'If-Unmodified-Since: Mon, 03 Feb 2020 04:05:05 GMT'), get('/20.txt', 'If-Match: "x"')].map(
        (send): Case => ({
          send,
          differs: { parts: ['reuse', 'log'], reason: 'nginx announces keepalive on a 412, then cuts the connection' },
        }),
      ),
      ...each(
        get('/20.txt'),
        ask('HEAD', '/20.txt'),
        ask('POST', '/20.txt'),
        get('/'),
        get('/dir/'),
        get('/dir'),
        get('/sub/'),
        get('/sub'),
        get('/x.thing'),
        get('/none'),
        get('/.hidden'),
        get('/empty.txt'),
        get('/empty.txt', 'Range: bytes=0-'),
        get('/a%20b&c%3Cd%3E.txt'),
        get('/20.txt/'),
        get('/20.txt/x'),
        get('/nothing'),
        get(`/${'n'.repeat(300)}`),
        get('/alias/f.txt'),
        get('/alias/'),
        get('/alias'),
        get('/alias../20.txt'),
        get('/realias/f.txt'),
        get('/gif'),
        ask('HEAD', '/gif'),
        ...[
          'bytes=0-4',
          'bytes=5-',
          'bytes=-3',
          'bytes=0-0',
          'bytes=19-',
          'bytes=20-',
          'bytes=0-100',
          'bytes=-100',
          'bytes=-0',
          'bytes=5-2',
          'bytes=',
          'bytes=a-b',
          'bytes',
          'bytes=0-1,3-4',
          'bytes=0-1, 3-4 ,-2',
          'bytes=0-1,30-',
          'bytes=30-,40-',
          'bytes=0-19,0-19',
          'Bytes=0-1',
          'chars=0-1',
          'bytes =0-1',
          'bytes=1-1,',
          'bytes=99999999999999999999-',
          'bytes=0-99999999999999999999',
          'bytes=--1',
        ].map((value) => range(value)),
        range('bytes=0-4', `If-Range: ${ETAG}`),
        range('bytes=0-4', 'If-Range: "other"'),
        range('bytes=0-4', `If-Range: W/${ETAG}`),
        range('bytes=0-4', `If-Range: ${MODIFIED}`),
        range('bytes=0-4', 'If-Range: Mon, 03 Feb 2020 04:05:07 GMT'),
        get('/20.txt', `If-Modified-Since: ${MODIFIED}`),
        get('/20.txt', 'If-Modified-Since: Mon, 03 Feb 2020 04:05:07 GMT'),
        get('/20.txt', 'If-Modified-Since: nonsense'),
        get('/20.txt', `If-Unmodified-Since: ${MODIFIED}`),
        get('/20.txt', `If-None-Match: ${ETAG}`),
        get('/20.txt', `If-None-Match: W/${ETAG}, "x"`),
        get('/20.txt', 'If-None-Match: *'),
        get('/20.txt', 'If-None-Match: "x"'),
        get('/20.txt', `If-Match: ${ETAG}`),
        get('/20.txt', 'If-Match: *'),
        get('/20.txt', `If-None-Match: "x"`, `If-Modified-Since: ${MODIFIED}`),
        ask('HEAD', '/20.txt', `If-None-Match: ${ETAG}`),
        get('/noetag/20.txt', `If-None-Match: ${ETAG}`),
        get('/before/20.txt', 'If-Modified-Since: Mon, 03 Feb 2020 04:05:07 GMT'),
        get('/off/20.txt', `If-Modified-Since: ${MODIFIED}`),
        get('/max1/20.txt', 'Range: bytes=0-1,3-4'),
        get('/max0/20.txt', 'Range: bytes=0-1'),
        get('/list/sub/'),
        get('/json/sub/'),
        get('/xml/sub/'),
        get('/jsonp/sub/?callback=cb'),
        get('/jsonp/sub/'),
        get('/inexact/sub/'),
        ask('HEAD', '/list/sub/'),
        get('/expires/20.txt'),
        get('/epoch/20.txt'),
        get('/max/20.txt'),
        get('/minus/20.txt'),
        get('/modified/20.txt'),
        get('/expires/none-there'),
        get('/headers/20.txt'),
        get('/headers/gone'),
        lines('GET /headers/20.txt HTTP/1.0'),
        get('/charset/20.txt'),
        get('/charset/x.thing'),
        get('/types/20.txt'),
        get('/types/x.thing'),
      ),
    ],
  },
  {
    name: 'filters',
    conf: `
      gzip_min_length 10; gzip_types text/plain;
      charset_map koi8-r utf-8 { C0 D18E; C1 D0B0; }
      server { listen 127.0.0.1:%%PORT_0%%; root html;
        location /gzip/ { gzip on; alias %%DIR%%/html/; }
        location /vary/ { gzip on; gzip_vary on; alias %%DIR%%/html/; }
        location /proxied/ { gzip on; gzip_proxied expired auth; gzip_http_version 1.0; alias %%DIR%%/html/; }
        location /static/ { gzip_static on; gzip_vary on; alias %%DIR%%/html/; }
        location /always/ { gzip_static always; gunzip on; alias %%DIR%%/html/; }
        location /sub/ { sub_filter_types text/plain; sub_filter cde "<$uri>"; sub_filter_once off; alias %%DIR%%/html/; }
        location /once/ { sub_filter_types *; sub_filter_last_modified on; sub_filter b B; sub_filter c ""; alias %%DIR%%/html/; }
        location /add/ { addition_types text/plain; add_before_body /before; add_after_body /after; alias %%DIR%%/html/; }
        location /before { return 200 "before "; }
        location /after { return 200 "after"; }
        location /recode/ { charset utf-8; source_charset koi8-r; alias %%DIR%%/html/; }
        location /ssi/ { ssi on; ssi_types text/plain; alias %%DIR%%/html/; }
        location /rate/ { limit_rate 1m; limit_rate_after 1k; alias %%DIR%%/html/; }
      }`,
    files: {
      'html/20.txt': TWENTY.repeat(20),
      'html/s.txt': TWENTY,
      'html/s.txt.gz': gzipSync(TWENTY),
      'html/koi.txt': '\xc0\xc1 plain \xc2',
      'html/i.txt':
        '<!--#echo var="uri" --><!--#include virtual="/before" --><!--#if expr="$arg_a = 1" -->yes<!--#else -->no<!--#endif -->\n',
    },
    cases: [
      ...each(
        get('/gzip/20.txt'),
        get('/gzip/20.txt', 'Accept-Encoding: identity'),
        get('/gzip/20.txt', 'Accept-Encoding: gzip;q=0'),
        lines('GET /gzip/20.txt HTTP/1.0', 'Accept-Encoding: gzip'),
        ask('HEAD', '/gzip/20.txt', 'Accept-Encoding: gzip'),
        get('/vary/20.txt'),
        get('/gzip/20.txt', 'Accept-Encoding: gzip', 'Via: 1.1 x'),
        get('/static/s.txt'),
        get('/static/s.txt', 'Accept-Encoding: gzip'),
        get('/static/20.txt', 'Accept-Encoding: gzip'),
        get('/always/s.txt'),
        get('/always/s.txt', 'Accept-Encoding: gzip'),
        get('/static/s.txt', 'Accept-Encoding: gzip', 'Range: bytes=0-4'),
        get('/sub/s.txt'),
        get('/sub/20.txt'),
        ask('HEAD', '/sub/s.txt'),
        get('/once/s.txt'),
        get('/once/s.txt', 'Range: bytes=0-4'),
        get('/add/s.txt'),
        ask('HEAD', '/add/s.txt'),
        get('/recode/koi.txt'),
        get('/ssi/i.txt?a=1'),
        get('/ssi/i.txt'),
        get('/rate/20.txt'),
      ),
      ...['gzip', 'deflate, gzip;q=0.5', 'GZIP', '*', 'x-gzip', 'gzip;q=0.001', 'gzip; q=1.0'].map(
        (value): Case => ({ send: get('/vary/20.txt', `Accept-Encoding: ${value}`), title: value }),
      ),
      {
        send: get('/gzip/none', 'Accept-Encoding: gzip'),
        differs: { parts: ['log'], reason: 'the zlib of Node packs other matches: the compressed length differs' },
      },
      { send: get('/proxied/20.txt', 'Accept-Encoding: gzip', 'Via: x', 'Authorization: y') },
    ],
  },
];
