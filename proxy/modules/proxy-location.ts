// What the proxy directives of a location add up to, made once when the configuration is complete: settings for the
// upstream room, compiled request headers, rewriting rules; and the checks across directives. Mirrors
// ngx_http_proxy_merge_loc_conf.
import type { Compiler } from '../config/compile.ts';
import { errorAt, type Place } from '../config/error.ts';
import { constantTemplate, type Template } from '../config/template.ts';
import type { Location } from '../http/location.ts';
import type { TempPath, UpstreamSettings } from '../upstream/settings.ts';
import { proxyModule } from './proxy.ts';
import { cacheSettings } from './proxy-cache.ts';
import { PROXY_LOCATION, type ProxyLocation, proxyHandler } from './proxy-handler.ts';
import { CACHE_HEADERS, RequestHeaders, STANDARD_HEADERS } from './proxy-headers.ts';
import type { ProxyPass } from './proxy-pass.ts';
import { cookieRewrite, firstOf, prefixRewrite, type Rewrite, type Rewrites } from './proxy-rewrites.ts';
import { upstreamTls } from './proxy-ssl.ts';
import { storeSettings, storesItself } from './proxy-store.ts';
import { resolverModule } from './resolver.ts';

/** Response headers that stay between us and the upstream. */
const HIDDEN = [
  'date',
  'server',
  'x-pad',
  'x-accel-expires',
  'x-accel-redirect',
  'x-accel-limit-rate',
  'x-accel-buffering',
  'x-accel-charset',
];

/** Prepare: puts a ProxyLocation into every location that passes requests on. */
export function prepareProxy(location: Location, compiler: Compiler): void {
  const conf = proxyModule.location(location);
  const sizes = checkSizes(compiler.httpEnd, conf);
  const outer = location.parent?.prepared.get(PROXY_LOCATION) as ProxyLocation | undefined;
  const pass = conf.proxy_pass ?? (location.kind === 'noname' ? outer?.pass : undefined);
  if (!pass) return;
  if (location.parent?.limitExcept?.location === location) location.handler ??= proxyHandler;
  const resolver = resolverModule.location(location);
  const store = storeSettings(location);
  const cache = store && storesItself(location) ? undefined : cacheSettings(location, compiler.httpEnd);
  const settings: UpstreamSettings = {
    connectTimeoutMs: conf.proxy_connect_timeout,
    sendTimeoutMs: conf.proxy_send_timeout,
    readTimeoutMs: conf.proxy_read_timeout,
    nextWords: conf.proxy_next_upstream,
    nextTries: conf.proxy_next_upstream_tries,
    nextTimeoutMs: conf.proxy_next_upstream_timeout,
    bufferSizeBytes: conf.proxy_buffer_size,
    buffersNumber: conf.proxy_buffers.number,
    buffersSizeBytes: conf.proxy_buffers.sizeBytes,
    maxTempFileBytes: sizes.maxTempFileBytes,
    tempPath: conf.proxy_temp_path ?? defaultTempPath(compiler),
    isBuffering: conf.proxy_buffering,
    isRequestBuffering: conf.proxy_request_buffering,
    passesRequestBody: conf.proxy_pass_request_body,
    ignoresClientAbort: conf.proxy_ignore_client_abort,
    interceptsErrors: conf.proxy_intercept_errors,
    forcesRanges: conf.proxy_force_ranges,
    isSocketKeepalive: conf.proxy_socket_keepalive,
    bind: conf.proxy_bind === 'off' ? undefined : conf.proxy_bind,
    limitRate: conf.proxy_limit_rate,
    hidden: hiddenHeaders(conf.proxy_hide_header, conf.proxy_pass_header),
    ignored: new Set([...conf.proxy_ignore_headers].map((name) => name.toLowerCase())),
    rewriteRedirect: redirectRewrite(conf.proxy_redirect, pass),
    rewriteCookie: cookieRewrite(conf.proxy_cookie_domain, conf.proxy_cookie_path, conf.proxy_cookie_flags),
    cache,
    store: cache ? undefined : store,
    tls: pass.isTls ? upstreamTls(location, compiler) : undefined,
    resolver: resolver.resolver,
    resolverTimeoutMs: resolver.resolver_timeout,
    upstreams: compiler.upstreams,
    surroundings: compiler.options.surroundings,
  };
  const prepared: ProxyLocation = {
    pass,
    settings,
    headers: new RequestHeaders(conf.proxy_set_header ?? [], STANDARD_HEADERS, compiler),
    cacheHeaders: settings.cache && new RequestHeaders(conf.proxy_set_header ?? [], CACHE_HEADERS, compiler),
    isHttp11: conf.proxy_http_version === '1.1',
    method: conf.proxy_method,
    body: conf.proxy_set_body,
    passesClientHeaders: conf.proxy_pass_request_headers,
  };
  location.prepared.set(PROXY_LOCATION, prepared);
}

type ProxyConf = ReturnType<typeof proxyModule.location>;

function checkSizes(place: Place, conf: ProxyConf): { maxTempFileBytes: number } {
  const { number, sizeBytes } = conf.proxy_buffers;
  const fail = (message: string): never => {
    throw errorAt(place, message);
  };
  if (number < 2) fail('there must be at least 2 "proxy_buffers"');
  const largest = Math.max(conf.proxy_buffer_size, sizeBytes);
  const largestText = 'the maximum of the value of "proxy_buffer_size" and one of the "proxy_buffers"';
  const busy = conf.proxy_busy_buffers_size < 0 ? 2 * largest : conf.proxy_busy_buffers_size;
  if (busy < largest) fail(`"proxy_busy_buffers_size" must be equal to or greater than ${largestText}`);
  if (busy > (number - 1) * sizeBytes) {
    fail('"proxy_busy_buffers_size" must be less than the size of all "proxy_buffers" minus one buffer');
  }
  const writeSize = conf.proxy_temp_file_write_size;
  if (writeSize >= 0 && writeSize < largest) {
    fail(`"proxy_temp_file_write_size" must be equal to or greater than ${largestText}`);
  }
  const maxTempFileBytes = conf.proxy_max_temp_file_size < 0 ? 1024 ** 3 : conf.proxy_max_temp_file_size;
  if (maxTempFileBytes !== 0 && maxTempFileBytes < largest) {
    fail(
      '"proxy_max_temp_file_size" must be equal to zero to disable temporary files usage ' +
        `or must be equal to or greater than ${largestText}`,
    );
  }
  return { maxTempFileBytes };
}

function defaultTempPath(compiler: Compiler): TempPath {
  return { directory: compiler.fullPath('proxy_temp'), levels: [1, 2] };
}

function hiddenHeaders(hide: readonly string[] | undefined, pass: readonly string[] | undefined): ReadonlySet<string> {
  const hidden = new Set([...HIDDEN, ...(hide ?? []).map((name) => name.toLowerCase())]);
  for (const name of pass ?? []) hidden.delete(name.toLowerCase());
  return hidden;
}

function redirectRewrite(rewrites: Rewrites | undefined, pass: ProxyPass): Rewrite | undefined {
  if (rewrites?.isOff) return undefined;
  // The URL of the upstream becomes the location that it is seen under.
  const implied = (): Rewrite | undefined => {
    if (!pass.target) return undefined;
    const [from, to]: [Template, Template] =
      pass.target.uri === ''
        ? [constantTemplate(`${pass.url}/`), constantTemplate('/')]
        : [constantTemplate(pass.url), constantTemplate(pass.locationName)];
    return prefixRewrite(from, to);
  };
  if (!rewrites) return implied();
  const rules = rewrites.rules.map((rule) => (rule === 'default' ? implied() : rule));
  return firstOf(rules.filter((rule) => rule !== undefined));
}
