// Who is measured: nginx and ours from the same nginx.conf, HAProxy and Caddy with the same service in their own words, and the
// proxy libraries that a Node user would take instead. All have the same nginx as their upstream. A peer that is not
// installed is left out with its reason.
import type { ChildProcess } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Ability } from './cases.ts';
import { ensureCertificates } from './certificate.ts';
import { caddyfile, haproxyConf, nginxConf, type Service, upstreamConf } from './configurations.ts';
import { freePort, hasProgram, listening, pinned, start, stop } from './processes.ts';

export interface Peer {
  readonly name: string;
  /** Why it cannot run here; undefined when it can. */
  readonly missing: string | undefined;
  readonly can: readonly Ability[];
  /** Writes its configuration into `dir`; the command that runs it in the foreground. */
  prepare(dir: string, service: Service): string[];
}

const MAIN = fileURLToPath(new URL('../proxy/main.ts', import.meta.url));
const NODE_PROXY = fileURLToPath(new URL('./node-proxy.ts', import.meta.url));
const SOCKET_UPSTREAM = fileURLToPath(new URL('./upstream.ts', import.meta.url));
const ALL: readonly Ability[] = ['proxy', 'tls', 'close', 'static', 'gzip', 'http2', 'websocket', 'workers'];

function nginxLike(name: string, missing: string | undefined, command: readonly string[]): Peer {
  return {
    name,
    missing,
    can: ALL,
    prepare(dir, service) {
      writeFileSync(join(dir, 'nginx.conf'), nginxConf(service));
      return [...command, '-p', `${dir}/`, '-c', 'nginx.conf', '-e', 'error.log'];
    },
  };
}

function library(name: string, needs: readonly string[], can: readonly Ability[]): Peer {
  const require = createRequire(import.meta.url);
  const absent = needs.filter((module) => {
    try {
      require.resolve(module);
      return false;
    } catch {
      return true;
    }
  });
  return {
    name,
    missing: absent.length ? `${name} is not installed (npm install --no-save ${absent.join(' ')})` : undefined,
    can,
    prepare: (_dir, s) => [
      process.execPath,
      NODE_PROXY,
      name,
      String(s.httpPort),
      String(s.httpsPort),
      String(s.upstreamPort),
      s.certificate,
      s.key,
    ],
  };
}

function absent(program: string): string | undefined {
  return hasProgram(program) ? undefined : `${program} is not installed (apt-get install ${program})`;
}

export const PEERS: readonly Peer[] = [
  nginxLike('nginx', absent('nginx'), ['nginx']),
  nginxLike('portico', undefined, [process.execPath, MAIN]),
  {
    name: 'haproxy',
    missing: absent('haproxy'),
    can: ['proxy', 'tls', 'close', 'http2', 'websocket', 'workers'],
    prepare(dir, service) {
      const pem = join(dir, 'both.pem');
      writeFileSync(pem, readFileSync(service.certificate, 'utf8') + readFileSync(service.key, 'utf8'));
      writeFileSync(join(dir, 'haproxy.cfg'), haproxyConf(service, pem));
      return ['haproxy', '-db', '-f', join(dir, 'haproxy.cfg')];
    },
  },
  {
    name: 'caddy',
    missing: absent('caddy'),
    can: ['proxy', 'tls', 'close', 'static', 'http2', 'websocket'],
    prepare(dir, service) {
      writeFileSync(join(dir, 'Caddyfile'), caddyfile(service));
      return ['env', `HOME=${dir}`, 'caddy', 'run', '--config', join(dir, 'Caddyfile'), '--adapter', 'caddyfile'];
    },
  },
  library('http-proxy', ['http-proxy'], ['proxy', 'tls', 'close']),
  library('http-proxy-3', ['http-proxy-3'], ['proxy', 'tls', 'close']),
  // Passes on the upstream's "Connection: keep-alive" to a client that wants to close, and does not close.
  library('@fastify/http-proxy', ['@fastify/http-proxy', 'fastify'], ['proxy', 'tls']),
];

/** One row of a case: a peer, and whose figure its own is divided by. */
export interface RunningPeer {
  readonly name: string;
  readonly against: string;
  readonly can: readonly Ability[];
  readonly workers: number;
  readonly process: ChildProcess;
  readonly httpPort: number;
  readonly httpsPort: number;
  /** From the start of the process to the first connection that it accepted, in ms. */
  readonly startMs: number;
}

export interface Topology {
  readonly workers: number;
  /** Each peer also runs with so many, and is held against itself; null for no such twin. */
  readonly scaledTo: number | null;
  /** Server blocks besides the one that is asked. */
  readonly servers: number;
}

/** A directory with everything that the cases ask for, the upstreams, and the peers that can run here. */
export class Arena {
  readonly dir: string = mkdtempSync(join(tmpdir(), 'portico-bench-'));
  readonly running: RunningPeer[] = [];
  readonly #upstreams: ChildProcess[] = [];

  /** Starts `peers`. They have a core of their own; where any has more workers than one, all get all cores. */
  async open(peers: readonly Peer[], { workers, scaledTo, servers }: Topology): Promise<void> {
    // Workers of peers started by root run as another user.
    chmodSync(this.dir, 0o755);
    const html = join(this.dir, 'html');
    mkdirSync(html);
    writeFileSync(join(html, '1k'), 'x'.repeat(1024));
    writeFileSync(join(html, '64k'), 'x'.repeat(65_536));
    writeFileSync(join(html, '1m'), Buffer.alloc(1024 * 1024, 'x'));
    writeFileSync(join(html, '10m'), Buffer.alloc(10 * 1024 * 1024, 'x'));
    const { certificate, key } = ensureCertificates(this.dir);
    const upstreamPort = await freePort();
    const socketPort = await freePort();
    const upstreamDir = join(this.dir, 'upstream');
    mkdirSync(upstreamDir);
    writeFileSync(join(upstreamDir, 'nginx.conf'), upstreamConf(upstreamPort, html));
    const nginx = ['nginx', '-p', `${upstreamDir}/`, '-c', 'nginx.conf', '-e', 'error.log'];
    for (const command of [nginx, [process.execPath, SOCKET_UPSTREAM, String(socketPort)]]) {
      this.#upstreams.push(start(pinned(1, command)));
    }
    await Promise.all([listening(upstreamPort), listening(socketPort)]);
    const common = { servers, upstreamPort, socketPort, html, certificate, key };
    const isPinned = Math.max(workers, scaledTo ?? 1) === 1;
    for (const peer of peers) {
      if (scaledTo === null) {
        await this.#start(peer, { ...common, workers }, isPinned, peer.name, 'nginx');
        continue;
      }
      const one = `${peer.name}, 1 worker`;
      await this.#start(peer, { ...common, workers: 1 }, isPinned, one, one);
      await this.#start(peer, { ...common, workers: scaledTo }, isPinned, `${peer.name}, ${scaledTo} workers`, one);
    }
  }

  async #start(
    peer: Peer,
    common: Omit<Service, 'httpPort' | 'httpsPort'>,
    isPinned: boolean,
    name: string,
    against: string,
  ): Promise<void> {
    const dir = join(this.dir, name.replace('/', '-').replaceAll(' ', ''));
    mkdirSync(dir);
    const httpPort = await freePort();
    const httpsPort = await freePort();
    const command = peer.prepare(dir, { ...common, httpPort, httpsPort });
    const beganMs = performance.now();
    const process = start(isPinned ? pinned(0, command) : command, dir);
    this.#upstreams.unshift(process);
    await listening(httpPort);
    const startMs = performance.now() - beganMs;
    this.running.push({ name, against, can: peer.can, workers: common.workers, process, httpPort, httpsPort, startMs });
    await listening(httpsPort);
  }

  async close(): Promise<void> {
    for (const process of this.#upstreams) await stop(process);
    rmSync(this.dir, { recursive: true, force: true });
  }
}
