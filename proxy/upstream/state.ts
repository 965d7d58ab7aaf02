// What is known of each attempt at an upstream server: the material of the `$upstream_*` variables. An Exchange keeps a
// list of them (`r.upstreamStates`), one a try, as nginx's r->upstream_states. An entry without a peer stands between
// two groups of tries, where an internal redirect sent the request to another upstream (` : ` in the variables).
import type { Fields } from '../http/head.ts';

/** One attempt. Times are in ms, sizes in bytes; -1 stands for what was not reached. */
export interface UpstreamState {
  /** `127.0.0.1:8080`, `unix:/path`, the upstream's name when no server was live, or '' for a separator. */
  peer: string;
  /** 0 until the server answered or the attempt failed. */
  status: number;
  connectMs: number;
  headerMs: number;
  responseMs: number;
  bytesReceived: number;
  bytesSent: number;
  responseLength: number;
}

export function newUpstreamState(peer: string): UpstreamState {
  return {
    peer,
    status: 0,
    connectMs: -1,
    headerMs: -1,
    responseMs: -1,
    bytesReceived: 0,
    bytesSent: 0,
    responseLength: 0,
  };
}

/** What variables and the log may see of a request's upstream side (`r.upstream`). */
export interface UpstreamView {
  /** Header fields of the last response, undefined before there is one. */
  readonly fields: Fields | undefined;
  /** Trailer fields of the last response. */
  readonly trailers: Fields | undefined;
  /** `MISS`, `HIT`, …, or undefined where nothing is cached. */
  readonly cacheStatus: string | undefined;
  /** What a revalidation asks with: Last-Modified in Unix seconds (-1: none) and ETag ('': none). */
  readonly cacheCondition: { readonly lastModified: number; readonly etag: string } | undefined;
  /** `$proxy_host`, `$proxy_port`. */
  readonly hostHeader: string;
  readonly portText: string;
  /** `http://127.0.0.1:8081/uri` for the error log, undefined before a server was chosen. */
  logUrl(): string | undefined;
}
