// Who is measured: the real nginx and ours, from the same nginx.conf, with an nginx of its own as the upstream. A peer
// that is not installed is left out with its reason.
import type { ChildProcess } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureCertificates } from './certificate.ts';
import { freePort, hasProgram, listening, pinned, start, stop } from './processes.ts';

export interface Peer {
  readonly name: string;
  /** Why it cannot run here; undefined when it can. */
  readonly missing: string | undefined;
  /** Command that runs it in the foreground on a prefix directory with `nginx.conf` in it. */
  command(dir: string): string[];
}

const MAIN = fileURLToPath(new URL('../proxy/main.ts', import.meta.url));

export const PEERS: readonly Peer[] = [
  {
    name: 'nginx',
    missing: hasProgram('nginx') ? undefined : 'nginx is not installed (apt-get install nginx)',
    command: (dir) => ['nginx', '-p', `${dir}/`, '-c', 'nginx.conf', '-e', 'error.log'],
  },
  {
    name: 'portico',
    missing: undefined,
    command: (dir) => [process.execPath, MAIN, '-p', `${dir}/`, '-c', 'nginx.conf', '-e', 'error.log'],
  },
];

export interface RunningPeer {
  readonly peer: Peer;
  readonly process: ChildProcess;
  readonly httpPort: number;
  readonly httpsPort: number;
}

/** A directory with everything that the cases ask for, an upstream, and the peers that can run here. */
export class Arena {
  readonly dir: string = mkdtempSync(join(tmpdir(), 'portico-bench-'));
  readonly running: RunningPeer[] = [];
  #upstream: ChildProcess | undefined;

  async open(workers: number): Promise<void> {
    // Workers of peers started by root run as another user.
    chmodSync(this.dir, 0o755);
    const html = join(this.dir, 'html');
    mkdirSync(html);
    writeFileSync(join(html, '1k'), 'x'.repeat(1024));
    writeFileSync(join(html, '64k'), 'x'.repeat(65_536));
    writeFileSync(join(html, '10m'), Buffer.alloc(10 * 1024 * 1024, 'x'));
    const { certificate, key } = ensureCertificates(this.dir);
    const upstreamPort = await freePort();
    const upstreamDir = join(this.dir, 'upstream');
    mkdirSync(upstreamDir);
    writeFileSync(join(upstreamDir, 'nginx.conf'), upstreamConf(upstreamPort, html));
    this.#upstream = start(pinned(1, ['nginx', '-p', `${upstreamDir}/`, '-c', 'nginx.conf', '-e', 'error.log']));
    await listening(upstreamPort);
    for (const peer of PEERS) {
      if (peer.missing) continue;
      const dir = join(this.dir, peer.name);
      mkdirSync(dir);
      const httpPort = await freePort();
      const httpsPort = await freePort();
      writeFileSync(
        join(dir, 'nginx.conf'),
        peerConf({ workers, httpPort, httpsPort, upstreamPort, html, certificate, key }),
      );
      const process = start(pinned(0, peer.command(dir)));
      await listening(httpPort);
      this.running.push({ peer, process, httpPort, httpsPort });
    }
  }

  async close(): Promise<void> {
    for (const { process } of this.running) await stop(process);
    if (this.#upstream) await stop(this.#upstream);
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function upstreamConf(port: number, html: string): string {
  return `daemon off; worker_processes 1; pid nginx.pid; events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f;
  uwsgi_temp_path u; scgi_temp_path s;
  server { listen 127.0.0.1:${port}; root ${html}; location = /hello { return 200 "hello from the upstream, 34 bytes\\n"; } }
}
`;
}

interface PeerSettings {
  readonly workers: number;
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly upstreamPort: number;
  readonly html: string;
  readonly certificate: string;
  readonly key: string;
}

function peerConf(s: PeerSettings): string {
  return `daemon off; worker_processes ${s.workers}; pid nginx.pid; events { worker_connections 16384; }
http {
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  access_log access.log; keepalive_requests 1000000; sendfile on;
  upstream app { server 127.0.0.1:${s.upstreamPort}; keepalive 128; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:${s.httpPort}; listen 127.0.0.1:${s.httpsPort} ssl;
    ssl_certificate ${s.certificate}; ssl_certificate_key ${s.key};
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
    location /app/ { proxy_pass http://app/; }
    location /plain/ { proxy_http_version 1.0; proxy_set_header Connection close; proxy_pass http://127.0.0.1:${s.upstreamPort}/; }
    location /static/ { alias ${s.html}/; }
  }
}
`;
}
