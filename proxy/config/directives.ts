// The join: every module's rows, variables and preparations, in one place. A new module is added here, and its
// handlers in http/phases.ts or its filters in http/filters.ts.

import { gzipRules } from '../http/gzip-rules.ts';
import { prepareRoot } from '../http/paths.ts';
import { accessModule } from '../modules/access.ts';
import { accessLogModule, prepareAccessLogs } from '../modules/access-log.ts';
import { additionModule } from '../modules/addition.ts';
import { authBasicModule } from '../modules/auth-basic.ts';
import { authRequestModule } from '../modules/auth-request.ts';
import { autoindexModule } from '../modules/autoindex.ts';
import { BROWSER_VARIABLES, browserModule } from '../modules/browser.ts';
import { charsetModule, prepareCharset } from '../modules/charset.ts';
import { blocksModule } from '../modules/core-blocks.ts';
import { coreModule } from '../modules/core-rows.ts';
import { disableSymlinksModule } from '../modules/disable-symlinks.ts';
import { emptyGifModule } from '../modules/empty-gif.ts';
import { eventsModule } from '../modules/events.ts';
import { geoModule } from '../modules/geo.ts';
import { gunzipModule } from '../modules/gunzip.ts';
import { GZIP_VARIABLES, gzipModule } from '../modules/gzip.ts';
import { gzipStaticModule } from '../modules/gzip-static.ts';
import { headersModule } from '../modules/headers.ts';
import { HTTP2_VARIABLES, http2Module } from '../modules/http2.ts';
import { indexModule } from '../modules/index.ts';
import { LIMIT_CONN_VARIABLES, limitConnModule } from '../modules/limit-conn.ts';
import { LIMIT_REQ_VARIABLES, limitReqModule } from '../modules/limit-req.ts';
import { mapModule } from '../modules/map.ts';
import { mirrorModule } from '../modules/mirror.ts';
import { outOfScopeModule } from '../modules/out-of-scope.ts';
import { postActionModule } from '../modules/post-action.ts';
import { processModule } from '../modules/process.ts';
import { proxyModule } from '../modules/proxy.ts';
import { proxyCacheModule } from '../modules/proxy-cache.ts';
import { PROXY_VARIABLES } from '../modules/proxy-handler.ts';
import { prepareProxy } from '../modules/proxy-location.ts';
import { proxySslModule } from '../modules/proxy-ssl.ts';
import { proxyStoreModule } from '../modules/proxy-store.ts';
import { REALIP_VARIABLES, realipModule } from '../modules/realip.ts';
import { prepareReferers, REFERER_VARIABLES, refererModule } from '../modules/referer.ts';
import { resolverModule } from '../modules/resolver.ts';
import { rewriteModule } from '../modules/rewrite.ts';
import { SLICE_VARIABLES, sliceModule } from '../modules/slice.ts';
import { splitClientsModule } from '../modules/split-clients.ts';
import { SSI_VARIABLES, ssiModule } from '../modules/ssi.ts';
import { sslModule } from '../modules/ssl.ts';
import { SSL_VARIABLES } from '../modules/ssl-variables.ts';
import { STUB_STATUS_VARIABLES, stubStatusModule } from '../modules/stub-status.ts';
import { subModule } from '../modules/sub.ts';
import { prepareTempPaths } from '../modules/temp-paths.ts';
import { tryFilesModule } from '../modules/try-files.ts';
import { upstreamModule } from '../modules/upstream.ts';
import { CORE_PREFIXES, CORE_VARIABLES } from '../modules/variables.ts';
import type { AnyModule, Prepare } from './compile.ts';
import type { Variable } from './variables.ts';

/** All modules, in the order in which a name that several declare is looked for. */
export const MODULES: readonly AnyModule[] = [
  processModule,
  eventsModule,
  coreModule,
  blocksModule,
  sslModule,
  http2Module,
  accessLogModule,
  rewriteModule,
  accessModule,
  authBasicModule,
  authRequestModule,
  realipModule,
  limitReqModule,
  limitConnModule,
  mapModule,
  geoModule,
  splitClientsModule,
  refererModule,
  browserModule,
  indexModule,
  tryFilesModule,
  headersModule,
  gzipRules,
  gzipModule,
  gunzipModule,
  gzipStaticModule,
  autoindexModule,
  additionModule,
  subModule,
  ssiModule,
  charsetModule,
  mirrorModule,
  postActionModule,
  stubStatusModule,
  emptyGifModule,
  resolverModule,
  upstreamModule,
  proxyModule,
  disableSymlinksModule,
  proxyCacheModule,
  proxyStoreModule,
  proxySslModule,
  sliceModule,
  outOfScopeModule,
];

/** Runs on every location, outer ones first, once its values are final. */
export const PREPARE: readonly Prepare[] = [
  prepareRoot,
  prepareAccessLogs,
  prepareCharset,
  prepareReferers,
  prepareProxy,
  prepareTempPaths,
];

export const BUILT_IN_VARIABLES: readonly (readonly [string, Variable])[] = [
  ...SSL_VARIABLES,
  ...HTTP2_VARIABLES,
  ...CORE_VARIABLES,
  ...GZIP_VARIABLES,
  ...STUB_STATUS_VARIABLES,
  ...SSI_VARIABLES,
  ...REALIP_VARIABLES,
  ...LIMIT_REQ_VARIABLES,
  ...LIMIT_CONN_VARIABLES,
  ...REFERER_VARIABLES,
  ...BROWSER_VARIABLES,
  ...PROXY_VARIABLES,
  ...SLICE_VARIABLES,
];

export const VARIABLE_PREFIXES: readonly (readonly [string, (rest: string) => Variable])[] = [...CORE_PREFIXES];
