/**
 * Uvicorn's --proxy-headers: believes X-Forwarded-Proto and X-Forwarded-For of trusted peers, and puts the client and scheme that they
 * name into the scope. The client is the last address in the list that is not itself trusted.
 */
import type { AllowList } from '../http/allow-list.ts';

/** The part of a scope that is rewritten. */
export interface ForwardedScope {
  readonly type: string;
  client: readonly [host: string, port: number] | null;
  scheme: string;
}

/** `host`, `host:port` or `[v6]:port`; anything else is left whole, so that it is not trusted by accident. */
function hostPort(text: string): readonly [string, number] {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(text);
  if (bracketed) return [bracketed[1] ?? '', toPort(bracketed[2])];
  const plain = /^([^:]*):(\d+)$/.exec(text);
  return plain ? [plain[1] ?? '', Number(plain[2])] : [text, 0];
}

const toPort = (text: string | undefined): number => (text !== undefined && /^\d+$/.test(text) ? Number(text) : 0);

/** Rewrites `scope` in place from the header fields, if its peer is trusted. */
export function applyProxyHeaders(
  scope: ForwardedScope,
  headers: readonly (readonly [string, string])[],
  trusted: AllowList,
  believesClient = true,
): void {
  if (!trusted.has(scope.client?.[0] ?? null)) return;
  let proto: string | null = null;
  const forwarded: string[] = [];
  for (const [name, value] of headers) {
    if (name === 'x-forwarded-proto') proto = value.trim();
    else if (name === 'x-forwarded-for') forwarded.push(value);
  }
  if (proto !== null && ['http', 'https', 'ws', 'wss'].includes(proto)) {
    scope.scheme = scope.type === 'websocket' ? proto.replace('http', 'ws') : proto;
  }
  if (forwarded.length === 0 || !believesClient) return;
  const hosts = forwarded
    .join(', ')
    .split(',')
    .map((host) => host.trim());
  const found = trusted.trustsAll
    ? undefined
    : hosts
        .toReversed()
        .map(hostPort)
        .find(([host]) => !trusted.has(host));
  const client = found ?? hostPort(hosts[0] ?? '');
  if (client[0] !== '') scope.client = client;
}
