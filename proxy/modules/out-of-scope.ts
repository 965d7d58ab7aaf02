// What nginx has and Portico leaves out. Such a directive is refused by name, with a line that says so, rather than as
// unknown. Exceptions: the *_temp_path directives that many files carry, and fastcgi_pass with its parameters, which
// are accepted so that the rest of such a file can be run; the location itself answers 502 and says why.
import type { Directive } from '../config/parser.ts';
import { action, type Cf, defineModule, HSL, LOCATION, LOCATION_IF } from '../config/rows.ts';
import { unused } from '../config/unused-row.ts';
import type { Exchange } from '../http/exchange.ts';

/** What is left out, and the directives by which it would be asked for; a trailing `*` stands for a family. */
export const OUT_OF_SCOPE: Readonly<Record<string, readonly string[]>> = {
  'TCP and UDP proxying': ['stream'],
  'mail proxying': ['mail'],
  'FastCGI proxying': ['fastcgi_*'],
  'uwsgi proxying': ['uwsgi_*'],
  'SCGI proxying': ['scgi_*'],
  'gRPC proxying': ['grpc_*'],
  'memcached proxying': ['memcached_*'],
  'HTTP/3': ['http3', 'http3_*', 'quic_*'],
  'XSLT transformation': ['xslt_*', 'xml_entities'],
  'image filtering': ['image_filter', 'image_filter_*'],
  'GeoIP databases': ['geoip_*'],
  WebDAV: ['dav_*', 'create_full_put_path', 'min_delete_depth'],
  'embedded Perl': ['perl', 'perl_*'],
  'random index files': ['random_index'],
  'secure links': ['secure_link', 'secure_link_*'],
  'user identification cookies': ['userid', 'userid_*'],
  'media streaming': ['flv', 'mp4', 'mp4_*'],
  'dynamic modules': ['load_module'],
  'OpenSSL engines': ['ssl_engine'],
};

/** The sentence that refuses `directive`; undefined when it is simply unknown. */
export function whyOutOfScope(directive: Directive): string | undefined {
  const { name } = directive;
  for (const [what, patterns] of Object.entries(OUT_OF_SCOPE)) {
    if (patterns.some((p) => (p.endsWith('*') ? name.startsWith(p.slice(0, -1)) : p === name))) {
      return `"${name}" directive: ${what} is out of Portico's scope`;
    }
  }
  return undefined;
}

const NOTE = 'accepted, FastCGI proxying is out of scope';
const UNUSED_PATH = 'accepted and not used, there is nothing to store';

export const outOfScopeModule = defineModule('out of scope, but accepted', {
  location: {
    fastcgi_pass: action(LOCATION | LOCATION_IF, '1', 'address', acceptFastcgi, {
      note: 'the location answers 502, FastCGI proxying is out of scope',
    }),
    fastcgi_param: unused(HSL | LOCATION_IF, '2-3', 'parameter value [if_not_empty]', undefined, NOTE),
    fastcgi_pass_request_body: unused(HSL, 'flag', 'on | off', 'on', NOTE),
    fastcgi_pass_request_headers: unused(HSL, 'flag', 'on | off', 'on', NOTE),
    fastcgi_index: unused(HSL, '1', 'name', undefined, NOTE),
    fastcgi_split_path_info: unused(LOCATION, '1', 'regex', undefined, NOTE),
    fastcgi_temp_path: unused(HSL, '1-4', 'path [level1 [level2 [level3]]]', 'fastcgi_temp', UNUSED_PATH),
    uwsgi_temp_path: unused(HSL, '1-4', 'path [level1 [level2 [level3]]]', 'uwsgi_temp', UNUSED_PATH),
    scgi_temp_path: unused(HSL, '1-4', 'path [level1 [level2 [level3]]]', 'scgi_temp', UNUSED_PATH),
  },
});

function acceptFastcgi(cf: Cf): void {
  cf.scope.location!.handler = (r: Exchange) => {
    r.log(
      'error',
      `"fastcgi_pass" in ${cf.directive.file}:${cf.directive.line}: FastCGI proxying is out of Portico's scope`,
    );
    return 502;
  };
}
