// Finds the upstream of a request whose server is named by a variable, or whose servers' names are looked up while the
// proxy runs. Mirrors the second half of ngx_http_upstream_init_request and ngx_http_upstream_resolve_handler.
import { isIP } from 'node:net';
import type { HostAddress } from '../resolver-hosts.ts';
import { fromHostsFile } from '../resolver-hosts.ts';
import { DEFAULT_PARAMETERS, type PeerAddress } from './peer.ts';
import type { UpstreamRequest } from './request.ts';
import { Upstream } from './upstream.ts';

/**
 * Calls `found` with the upstream, or with the status that the request ends with. Returns a function that gives the
 * question up, when the answer takes time.
 */
export function findUpstream(u: UpstreamRequest, found: (result: Upstream | number) => void): (() => void) | undefined {
  const { target, settings, r } = u;
  const upstream = target.upstream ?? configured(u);
  if (upstream) {
    const ready = (): void => found(upstream);
    if (!upstream.refresher || upstream.refresher.isReady(ready)) ready();
    return undefined;
  }
  const { host, port } = target;
  if (host.startsWith('unix:')) {
    found(group(u, [{ family: 'unix', host: host.slice(5), port: 0 }]));
    return undefined;
  }
  if (port === 0) {
    r.log('error', `no port in upstream "${host}"`);
    found(500);
    return undefined;
  }
  const literal = host.startsWith('[') ? host.slice(1, -1) : host;
  const family = isIP(literal);
  if (family) {
    found(group(u, [{ family: family as 4 | 6, host: literal, port }]));
    return undefined;
  }
  const { resolver } = settings;
  if (!resolver) {
    // The names of services that run as local processes need no DNS.
    const local = fromHostsFile(host);
    if (local) found(group(u, withPort(local, port)));
    else {
      r.log('error', `no resolver defined to resolve ${host}`);
      found(502);
    }
    return undefined;
  }
  return resolver.resolve(host, settings.resolverTimeoutMs, ({ addresses, error }) => {
    if (error) {
      r.log('error', `${host} could not be resolved (${error.code}: ${error.text})`);
      found(502);
    } else found(group(u, withPort(addresses, port)));
  });
}

/** An upstream of the configuration that has the name which the variable gave. */
function configured(u: UpstreamRequest): Upstream | undefined {
  const { host, port, hasPort } = u.target;
  const lower = host.toLowerCase();
  for (const upstream of u.settings.upstreams.values()) {
    if (upstream.name.toLowerCase() !== lower) continue;
    if ((upstream.port === 0 && !hasPort) || upstream.port === port) return upstream;
  }
  return undefined;
}

function withPort(addresses: readonly HostAddress[], port: number): PeerAddress[] {
  return addresses.map((a) => ({ family: a.family as 4 | 6, host: a.address, port }));
}

/** A group for this request alone: it remembers no failures. */
function group(u: UpstreamRequest, addresses: readonly PeerAddress[]): Upstream {
  const { host, port, hasPort } = u.target;
  const upstream = new Upstream(host, { file: '', line: 0 }, false, port, hasPort);
  upstream.servers.push({ text: host, parameters: DEFAULT_PARAMETERS, addresses });
  upstream.build();
  return upstream;
}
