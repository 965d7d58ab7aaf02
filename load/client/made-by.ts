// Which hop made an error answer. A proxy that cannot get an answer makes a page of its own, and says so in it; what came from
// behind it carries the app's page under the proxy's Server field. Works for any server, and says "unknown" when it is not clear.
import { field } from './response-reader.ts';

/** `nginx`, `haproxy`, `envoy`, ... for a page that the proxy itself made; `behind NAME` or NAME for others. */
export function madeBy(head: string, bodyStart: string): string {
  const server = field(head, 'server')
    .replace(/[/ (].*$/, '')
    .toLowerCase();
  const page = /<hr><center>([a-z]+)/i.exec(bodyStart)?.[1]?.toLowerCase();
  if (page !== undefined) return page;
  if (
    /^<html><body><h1>50\d [^<]*<\/h1>\n(No server is available|The server didn't respond|The server returned)/.test(
      bodyStart,
    )
  )
    return 'haproxy';
  if (/^upstream (connect error|request timeout)/.test(bodyStart)) return 'envoy';
  if (server === '') return 'unknown';
  if (server === 'caddy' && bodyStart === '') return 'caddy';
  return /^(nginx|openresty|haproxy|caddy|envoy|cloudflare|apache|awselb)$/.test(server) ? `behind ${server}` : server;
}
