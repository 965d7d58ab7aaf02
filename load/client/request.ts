// A planned request in the form it is sent in: the bytes of HTTP/1.1, made once, or the fields that undici wants for HTTP/2.
import type { PlannedRequest } from '../plan.ts';
import { type Origin, originOf } from './exchange.ts';

export interface EncodedRequest {
  readonly plan: PlannedRequest;
  readonly origin: Origin;
  readonly path: string;
  readonly hasResponseBody: boolean;
  /** Head and body, ready to be written. */
  readonly bytes: Buffer;
  /** Header fields in undici's form: name, value, name, value. */
  readonly fields: string[];
}

/** Encodes a request. `isKeepalive` false asks the server to close. */
export function encodeRequest(plan: PlannedRequest, isKeepalive: boolean): EncodedRequest {
  const origin = originOf(plan.url);
  const url = new URL(plan.url);
  const path = url.pathname + url.search;
  const given = new Set(plan.headers.map(([name]) => name.toLowerCase()));
  const lines = [`${plan.method} ${path} HTTP/1.1`];
  if (!given.has('host')) lines.push(`Host: ${url.host}`);
  if (!given.has('user-agent')) lines.push('User-Agent: portico-load');
  if (!given.has('accept')) lines.push('Accept: */*');
  for (const [name, value] of plan.headers) lines.push(`${name}: ${value}`);
  const hasBody = plan.body !== undefined || plan.method === 'POST' || plan.method === 'PUT' || plan.method === 'PATCH';
  if (hasBody && !given.has('content-length') && !given.has('transfer-encoding')) {
    lines.push(`Content-Length: ${plan.body?.length ?? 0}`);
  }
  if (!isKeepalive && !given.has('connection')) lines.push('Connection: close');
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  return {
    plan,
    origin,
    path,
    hasResponseBody: plan.method !== 'HEAD',
    bytes: plan.body === undefined ? head : Buffer.concat([head, plan.body]),
    fields: ['user-agent', 'portico-load', ...plan.headers.flat()],
  };
}
