// The order and the titles of the reference page (reference.ts): which modules belong together, what they are for, and
// where nginx documents them; and the built-in variables by subject.
import type { Variable } from './config/variables.ts';
import { BROWSER_VARIABLES } from './modules/browser.ts';
import { GZIP_VARIABLES } from './modules/gzip.ts';
import { HTTP2_VARIABLES } from './modules/http2.ts';
import { LIMIT_CONN_VARIABLES } from './modules/limit-conn.ts';
import { LIMIT_REQ_VARIABLES } from './modules/limit-req.ts';
import { PROXY_VARIABLES } from './modules/proxy-handler.ts';
import { REALIP_VARIABLES } from './modules/realip.ts';
import { REFERER_VARIABLES } from './modules/referer.ts';
import { SLICE_VARIABLES } from './modules/slice.ts';
import { SSI_VARIABLES } from './modules/ssi.ts';
import { SSL_VARIABLES } from './modules/ssl-variables.ts';
import { STUB_STATUS_VARIABLES } from './modules/stub-status.ts';
import { CONNECTION_VARIABLES } from './modules/variables-connection.ts';
import { REQUEST_VARIABLES } from './modules/variables-request.ts';
import { RESPONSE_VARIABLES } from './modules/variables-response.ts';
import { UPSTREAM_VARIABLES } from './modules/variables-upstream.ts';

export interface Section {
  readonly title: string;
  /** A sentence on what the directives are for. */
  readonly about: string;
  /** Names of our modules. */
  readonly modules: readonly string[];
  /** nginx's module, where it is documented. */
  readonly nginx: string | undefined;
}

function section(title: string, about: string, modules: string, nginx?: string): Section {
  return { title, about, modules: modules.split(' '), nginx };
}

/** The sections, in the order of the page; every module stands in one. */
export const SECTIONS: readonly Section[] = [
  section('Processes', 'How many there are, whom they run as, where they log.', 'process', 'ngx_core_module'),
  section('Events', 'The connections of a worker process.', 'events', 'ngx_core_module'),
  section(
    'HTTP',
    'Blocks, addresses, names, locations; limits and times of requests; files.',
    'core blocks',
    'http/ngx_http_core_module',
  ),
  section(
    'Rewriting',
    'URIs, variables and early answers. `portico explain` shows them step by step.',
    'rewrite',
    'http/ngx_http_rewrite_module',
  ),
  section('Variables by tables', 'Variables made from others.', 'map', 'http/ngx_http_map_module'),
  section('Variables by address', 'Variables made from the client’s address.', 'geo', 'http/ngx_http_geo_module'),
  section('Split clients', 'Variables for A/B tests.', 'split-clients', 'http/ngx_http_split_clients_module'),
  section('Referers', 'Requests that come from elsewhere.', 'referer', 'http/ngx_http_referer_module'),
  section('Browsers', 'Variables by User-Agent.', 'browser', 'http/ngx_http_browser_module'),
  section('Access by address', 'Who may ask.', 'access', 'http/ngx_http_access_module'),
  section(
    'Access by password',
    'Passwords in files: apr1, crypt, SHA, SSHA, bcrypt, plain.',
    'auth-basic',
    'http/ngx_http_auth_basic_module',
  ),
  section(
    'Access by subrequest',
    'Another server says who may ask.',
    'auth-request',
    'http/ngx_http_auth_request_module',
  ),
  section('Real client address', 'The address behind a proxy in front.', 'realip', 'http/ngx_http_realip_module'),
  section(
    'Request rate',
    'A leaky bucket for each key, shared by the worker processes.',
    'limit-req',
    'http/ngx_http_limit_req_module',
  ),
  section(
    'Connections at once',
    'Counted for each key, shared by the worker processes.',
    'limit-conn',
    'http/ngx_http_limit_conn_module',
  ),
  section('Index files', 'What a URI that ends in a slash leads to.', 'index', 'http/ngx_http_index_module'),
  section('Symbolic links', 'Whether they are followed.', 'disable-symlinks', 'http/ngx_http_core_module'),
  section('Tried files', 'The first file that is there.', 'try-files', 'http/ngx_http_core_module'),
  section('Directory listings', 'Where there is no index file.', 'autoindex', 'http/ngx_http_autoindex_module'),
  section(
    'Response headers',
    'Fields that are added, and how long a response holds.',
    'headers',
    'http/ngx_http_headers_module',
  ),
  section('Compression', 'Which responses are compressed, and how.', 'gzip-rules gzip', 'http/ngx_http_gzip_module'),
  section('Compressed files', 'Files that are compressed already.', 'gzip-static', 'http/ngx_http_gzip_static_module'),
  section('Decompression', 'For clients that cannot.', 'gunzip', 'http/ngx_http_gunzip_module'),
  section('Charsets', 'Named in Content-Type, and converted.', 'charset', 'http/ngx_http_charset_module'),
  section('Replacing text', 'In responses.', 'sub', 'http/ngx_http_sub_module'),
  section('Adding text', 'Before and after responses.', 'addition', 'http/ngx_http_addition_module'),
  section('Server side includes', 'Commands in pages.', 'ssi', 'http/ngx_http_ssi_module'),
  section('Mirroring', 'Requests that are sent elsewhere, too.', 'mirror', 'http/ngx_http_mirror_module'),
  section('Post actions', 'Requests of our own after a response.', 'post-action', 'http/ngx_http_core_module'),
  section(
    'Upstreams',
    'Groups of servers, and which of them gets a request.',
    'upstream',
    'http/ngx_http_upstream_module',
  ),
  section('Proxying', 'Passing requests on.', 'proxy', 'http/ngx_http_proxy_module'),
  section('Caching', 'Responses kept on disk, in nginx’s layout.', 'proxy-cache', 'http/ngx_http_proxy_module'),
  section('Slices', 'Large responses fetched and cached piece by piece.', 'slice', 'http/ngx_http_slice_module'),
  section('Storing', 'Responses kept as plain files.', 'proxy-store', 'http/ngx_http_proxy_module'),
  section('TLS to upstreams', 'What is shown to them and asked of them.', 'proxy-ssl', 'http/ngx_http_proxy_module'),
  section('Names', 'Looked up while the proxy runs.', 'resolver', 'http/ngx_http_core_module'),
  section('TLS', 'Certificates, sessions, client certificates.', 'ssl', 'http/ngx_http_ssl_module'),
  section('HTTP/2', 'Limits of its connections.', 'http2', 'http/ngx_http_v2_module'),
  section('Access log', 'A line for each request.', 'access-log', 'http/ngx_http_log_module'),
  section(
    'Status',
    'Counters of connections, of one worker process.',
    'stub-status',
    'http/ngx_http_stub_status_module',
  ),
  section('Empty image', 'One transparent pixel.', 'empty-gif', 'http/ngx_http_empty_gif_module'),
];

/** The module of directives that are only accepted; it stands with what is out of scope. */
export const ACCEPTED_MODULE = 'out of scope, but accepted';

/** The built-in variables by subject; every one stands in one list. */
export const VARIABLE_GROUPS: readonly (readonly [
  title: string,
  variables: readonly (readonly [string, Variable])[],
])[] = [
  ['The request', REQUEST_VARIABLES],
  ['The connection, the process, the clock', CONNECTION_VARIABLES],
  ['The response', [...RESPONSE_VARIABLES, ...GZIP_VARIABLES]],
  ['Upstreams', [...UPSTREAM_VARIABLES, ...PROXY_VARIABLES]],
  ['TLS and HTTP/2', [...SSL_VARIABLES, ...HTTP2_VARIABLES]],
  [
    'Modules',
    [
      ...REALIP_VARIABLES,
      ...LIMIT_REQ_VARIABLES,
      ...LIMIT_CONN_VARIABLES,
      ...REFERER_VARIABLES,
      ...BROWSER_VARIABLES,
      ...SSI_VARIABLES,
      ...SLICE_VARIABLES,
      ...STUB_STATUS_VARIABLES,
    ],
  ],
];

/** What differs from nginx. */
export const VARIABLE_NOTES: readonly string[] = [
  '`$tcpinfo_*` are never found: the kernel’s TCP_INFO cannot be read.',
  '`$connections_*` count those of one worker process.',
  '`$ssl_early_data` is never found: clients are never offered early data.',
  '`$upstream_trailer_*` are never found: trailers of upstreams are dropped.',
];
