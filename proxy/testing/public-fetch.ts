// A client for a configuration under test that takes the URLs of its real clients: host and port choose the listen
// address, Host and SNI are the URL's, certificates are not verified.
import { Agent, buildConnector, fetch as send } from 'undici';
import type { MappedAddress } from './start-proxy.ts';

/** A fetch on the mapped addresses; `close` gives its connections back. */
export function publicFetch(mapped: readonly MappedAddress[]) {
  const connector = buildConnector({ rejectUnauthorized: false });
  const agent = new Agent({
    connect(options, done) {
      const { hostname, protocol, port } = options;
      const wanted = Number(port) || (protocol === 'https:' ? 443 : 80);
      const found = addressFor(mapped, hostname.replace(/^\[|\]$/g, ''), wanted);
      if (!found) {
        done(new Error(`nothing listens on port ${wanted} in this configuration`), null);
        return;
      }
      const { host, port: actual } = found;
      connector(
        {
          ...options,
          hostname: host,
          host: `${host}:${actual}`,
          port: String(actual),
          servername: options.servername ?? hostname,
        },
        done,
      );
    },
  });
  const first = mapped[0]!.listen;
  const usual = first.isSsl ? 443 : 80;
  const base = `${first.isSsl ? 'https' : 'http'}://localhost${first.port === usual || first.port === 0 ? '' : `:${first.port}`}`;
  return {
    async fetch(url: string | URL, init: RequestInit = {}): Promise<Response> {
      const options = { redirect: 'manual', ...init, dispatcher: agent };
      return (await send(new URL(url, base), options as object)) as unknown as Response;
    },
    close: () => agent.destroy(),
  };
}

/** The address with that port: the host's own if it is an address, else the one for all. */
function addressFor(mapped: readonly MappedAddress[], host: string, port: number): MappedAddress | undefined {
  const those = mapped.filter(
    ({ listen }) => listen.port === port || (listen.family === 'unix' && mapped.length === 1),
  );
  return those.find(({ listen }) => listen.host === host) ?? those.find(({ listen }) => listen.isWildcard) ?? those[0];
}
