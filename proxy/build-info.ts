// What `-V` says we are built with. Tools (nginx's own test suite among them) read from it which modules are there, so
// it is made from the directives that the modules really declare: a module counts as present when the directive that
// stands for it has a row that is not refused.
import { MODULES } from './config/directives.ts';
import type { AnyRow, Rows } from './config/rows.ts';

/** Modules that nginx has only when asked to, and a directive of each. */
const OPTIONAL: readonly (readonly [module: string, directive: string])[] = [
  ['http_ssl', 'ssl_certificate'],
  ['http_v2', 'http2_max_concurrent_streams'],
  ['http_realip', 'set_real_ip_from'],
  ['http_addition', 'add_after_body'],
  ['http_sub', 'sub_filter'],
  ['http_gunzip', 'gunzip'],
  ['http_gzip_static', 'gzip_static'],
  ['http_auth_request', 'auth_request'],
  ['http_slice', 'slice'],
  ['http_stub_status', 'stub_status'],
];

/** Modules that nginx has unless told otherwise. */
const STANDARD: readonly (readonly [module: string, directive: string])[] = [
  ['http_charset', 'charset'],
  ['http_gzip', 'gzip'],
  ['http_ssi', 'ssi'],
  ['http_userid', 'userid'],
  ['http_access', 'allow'],
  ['http_auth_basic', 'auth_basic'],
  ['http_mirror', 'mirror'],
  ['http_autoindex', 'autoindex'],
  ['http_geo', 'geo'],
  ['http_map', 'map'],
  ['http_split_clients', 'split_clients'],
  ['http_referer', 'valid_referers'],
  ['http_rewrite', 'rewrite'],
  ['http_proxy', 'proxy_pass'],
  ['http_fastcgi', 'fastcgi_pass'],
  ['http_uwsgi', 'uwsgi_pass'],
  ['http_scgi', 'scgi_pass'],
  ['http_grpc', 'grpc_pass'],
  ['http_memcached', 'memcached_pass'],
  ['http_limit_conn', 'limit_conn'],
  ['http_limit_req', 'limit_req'],
  ['http_empty_gif', 'empty_gif'],
  ['http_browser', 'modern_browser'],
  ['http_upstream_hash', 'hash'],
  ['http_upstream_ip_hash', 'ip_hash'],
  ['http_upstream_least_conn', 'least_conn'],
  ['http_upstream_random', 'random'],
  ['http_upstream_keepalive', 'keepalive'],
  ['http_upstream_zone', 'zone'],
];

/** The directives that are really obeyed. */
function present(): Set<string> {
  const names = new Set<string>();
  for (const module of MODULES) {
    for (const level of Object.values(module.rows as Record<string, Rows>)) {
      for (const [name, row] of Object.entries(level) as [string, AnyRow][]) {
        if (!row.note?.startsWith('Refused')) names.add(name);
      }
    }
  }
  return names;
}

/** What `-V` prints behind the version. */
export function buildInfo(): string {
  const has = present();
  const args: string[] = [];
  for (const [module, directive] of OPTIONAL) if (has.has(directive)) args.push(`--with-${module}_module`);
  for (const [module, directive] of STANDARD) if (!has.has(directive)) args.push(`--without-${module}_module`);
  if (!has.has('proxy_cache_path')) args.push('--without-http-cache');
  // The form in which nginx names its library: `OpenSSL 3.5.8`.
  return (
    `built by Portico for node ${process.versions.node}\n` +
    `built with OpenSSL ${process.versions.openssl}\n` +
    `TLS SNI support enabled\nconfigure arguments: ${args.join(' ')}\n`
  );
}
