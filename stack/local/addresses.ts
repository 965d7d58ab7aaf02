// Gives every replica an address of its own, as a container would have: a /24 of the loopback network for each project
// (127.0.0.x for the first that is up, 127.0.1.x for the next, ...), claimed for as long as `up` lives. Where the system
// has only 127.0.0.1 (macOS without aliases), all replicas share it, and a service cannot be scaled.
import { createServer, type Server } from 'node:net';

/** The addresses of one project. */
export interface LoopbackNetwork {
  /** False where everything has to share 127.0.0.1. */
  hasOwnAddresses: boolean;
  /** The next unused address. Throws a RangeError when the network is full. */
  take(): string;
  /** Lets another project have the network. */
  release(): void;
}

const FIRST_HOST = 2;
const LAST_HOST = 254;

/** Claims the first network that no other project holds. */
export async function claimLoopbackNetwork(): Promise<LoopbackNetwork> {
  if (!(await canBind('127.0.0.2'))) return { hasOwnAddresses: false, take: () => '127.0.0.1', release: () => {} };
  for (let block = 0; block <= 255; block++) {
    // An abstract socket's name belongs to this loopback's namespace and vanishes with its holder, even at kill -9.
    const claim = await listen({ path: `\0portico-network-127.0.${block}` });
    if (claim === undefined) continue;
    let host = FIRST_HOST;
    return {
      hasOwnAddresses: true,
      take: () => {
        if (host > LAST_HOST) throw new RangeError(`more than ${LAST_HOST - FIRST_HOST + 1} replicas`);
        return `127.0.${block}.${host++}`;
      },
      release: () => void claim.close(),
    };
  }
  throw new RangeError('256 projects are up on this machine');
}

async function canBind(host: string): Promise<boolean> {
  const server = await listen({ host, port: 0 });
  server?.close();
  return server !== undefined;
}

function listen(where: { path: string } | { host: string; port: number }): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', () => resolve(undefined));
    server.listen({ ...where, exclusive: true }, () => {
      server.unref();
      resolve(server);
    });
  });
}
