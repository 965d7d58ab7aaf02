// Variables about the attempts at upstream servers. Attempts of one request are parted by commas; where an internal
// redirect led to another upstream, the groups are parted by colons. Mirrors ngx_http_upstream_addr_variable and its
// siblings.
import type { Variable } from '../config/variables.ts';
import type { Exchange } from '../http/exchange.ts';
import type { Fields } from '../http/head.ts';
import type { UpstreamState } from '../upstream/state.ts';
import { seconds } from './log-format.ts';
import { headerValue } from './variables-headers.ts';

function attempts(r: Exchange, show: (state: UpstreamState) => string): string | undefined {
  const states = r.upstreamStates;
  if (!states || states.length === 0) return undefined;
  let out = '';
  for (let i = 0; ; ) {
    const state = states[i]!;
    out += show(state);
    if (++i === states.length) return out;
    if (states[i]!.peer !== '') {
      out += ', ';
      continue;
    }
    // A state without a peer stands for the border between two upstreams.
    out += ' : ';
    if (++i === states.length) return out;
  }
}

function time(ms: number): string {
  return ms < 0 ? '-' : seconds(ms);
}

export const UPSTREAM_VARIABLES: readonly (readonly [string, Variable])[] = [
  ['upstream_addr', { get: (r) => attempts(r, (s) => s.peer) }],
  ['upstream_status', { get: (r) => attempts(r, (s) => (s.status > 0 ? String(s.status) : '-')) }],
  ['upstream_connect_time', { get: (r) => attempts(r, (s) => time(s.connectMs)) }],
  ['upstream_header_time', { get: (r) => attempts(r, (s) => time(s.headerMs)) }],
  ['upstream_response_time', { get: (r) => attempts(r, (s) => time(s.responseMs)) }],
  ['upstream_response_length', { get: (r) => attempts(r, (s) => String(Math.max(0, s.responseLength))) }],
  ['upstream_bytes_received', { get: (r) => attempts(r, (s) => String(Math.max(0, s.bytesReceived))) }],
  ['upstream_bytes_sent', { get: (r) => attempts(r, (s) => String(Math.max(0, s.bytesSent))) }],
  ['upstream_cache_status', { get: (r) => r.upstream?.cacheStatus }],
];

function field(fields: Fields | undefined, name: string): string | undefined {
  return fields && headerValue(fields.lower, fields.values, name);
}

function header(name: string): Variable {
  return { get: (r) => field(r.upstream?.fields, name) };
}

function trailer(name: string): Variable {
  return { get: (r) => field(r.upstream?.trailers, name) };
}

function cookie(name: string): Variable {
  return {
    get(r) {
      const fields = r.upstream?.fields;
      if (!fields) return undefined;
      for (let i = 0; i < fields.lower.length; i++) {
        if (fields.lower[i] !== 'set-cookie') continue;
        const value = /^([^=; ]*) *= *([^;]*)/.exec(fields.values[i]!);
        if (value && value[1]!.toLowerCase() === name) return value[2];
      }
      return undefined;
    },
  };
}

export const UPSTREAM_PREFIXES: readonly (readonly [string, (rest: string) => Variable])[] = [
  ['upstream_http_', header],
  ['upstream_trailer_', trailer],
  ['upstream_cookie_', cookie],
];
