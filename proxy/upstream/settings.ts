// What a location says about passing requests on, as values: the part of nginx's ngx_http_upstream_conf_t that the
// upstream room obeys. A protocol module (modules/proxy.ts) makes it from its rows, once for each location.
import type { Template } from '../config/template.ts';
import type { Exchange } from '../http/exchange.ts';
import type { Resolver } from '../resolver.ts';
import type { Surroundings } from '../surroundings.ts';
import type { CacheSettings } from './cache/settings.ts';
import type { NextWord } from './next-upstream.ts';
import type { StoreSettings } from './stored-file.ts';
import type { UpstreamTls } from './tls.ts';
import type { Upstream } from './upstream.ts';

/** Names that proxy_ignore_headers takes. */
export const IGNORABLE_HEADERS = [
  'X-Accel-Redirect',
  'X-Accel-Expires',
  'X-Accel-Limit-Rate',
  'X-Accel-Buffering',
  'X-Accel-Charset',
  'Expires',
  'Cache-Control',
  'Set-Cookie',
  'Vary',
] as const;

export interface UpstreamSettings {
  readonly connectTimeoutMs: number;
  readonly sendTimeoutMs: number;
  readonly readTimeoutMs: number;
  readonly nextWords: ReadonlySet<NextWord>;
  /** 0: as many as there are servers. */
  readonly nextTries: number;
  readonly nextTimeoutMs: number;
  /** Size of the buffer that the head must fit into. */
  readonly bufferSizeBytes: number;
  readonly buffersNumber: number;
  readonly buffersSizeBytes: number;
  readonly maxTempFileBytes: number;
  readonly tempPath: TempPath;
  readonly isBuffering: boolean;
  readonly isRequestBuffering: boolean;
  readonly passesRequestBody: boolean;
  readonly ignoresClientAbort: boolean;
  readonly interceptsErrors: boolean;
  readonly forcesRanges: boolean;
  readonly isSocketKeepalive: boolean;
  /** Local address to connect from; undefined for any. */
  readonly bind: Template | undefined;
  /** Bytes a second that are read from the server, 0: no limit. */
  readonly limitRate: number;
  /** Response headers not passed on, in lower case. */
  readonly hidden: ReadonlySet<string>;
  /** Response headers not obeyed, in lower case. */
  readonly ignored: ReadonlySet<string>;
  /** New value of a Location (or the URL in a Refresh), undefined where it stays. */
  readonly rewriteRedirect: ((r: Exchange, value: string) => string | undefined) | undefined;
  readonly rewriteCookie: ((r: Exchange, value: string) => string | undefined) | undefined;
  readonly cache: CacheSettings | undefined;
  /** `proxy_store`. */
  readonly store: StoreSettings | undefined;
  readonly tls: UpstreamTls | undefined;
  readonly resolver: Resolver | undefined;
  readonly resolverTimeoutMs: number;
  /** Every upstream of the configuration, for names that come out of variables. */
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly surroundings: Surroundings | undefined;
}

/** A directory for temporary files and how many digits of a file's number each level of it takes. */
export interface TempPath {
  readonly directory: string;
  readonly levels: readonly number[];
}

/** Where one request goes. */
export interface UpstreamTarget {
  /** `http://` or `https://`. */
  readonly schema: string;
  readonly isTls: boolean;
  /** `$proxy_host`. */
  readonly hostHeader: string;
  /** `$proxy_port`. */
  readonly portText: string;
  /** The URI part of the URL, '' when it has none. */
  readonly uri: string;
  /** The upstream, when the configuration names it; else host and port are looked up. */
  readonly upstream: Upstream | undefined;
  readonly host: string;
  readonly port: number;
  readonly hasPort: boolean;
}
