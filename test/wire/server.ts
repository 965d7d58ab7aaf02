// Starts ours, or nginx, as the server under attack: one configuration, before a recording upstream. Its timeouts are one
// second, so every attack that leaves it waiting ends by itself.
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../proxy/start-proxy.ts';
import type { Program } from '../real/differential/twin.ts';
import { type RecordingUpstream, recordingUpstream } from './recording-upstream.ts';

export const FILE = Buffer.from(Array.from({ length: 1000 }, (_, i) => i % 251));

export interface WireServer {
  readonly port: number;
  /** Speaks HTTP/2 without TLS. */
  readonly h2Port: number;
  readonly upstream: RecordingUpstream;
  readonly process: ChildProcess;
  readonly errors: () => string;
  stop(): Promise<void>;
}

const conf = (port: number, h2Port: number, upstream: number): string => `
daemon off;
master_process off;
pid nginx.pid;
error_log error.log info;
events { worker_connections 4096; }
http {
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path temp_${name};`).join(' ')}
  access_log off;
  client_header_timeout 1s;
  client_body_timeout 1s;
  keepalive_timeout 1s;
  lingering_close off;
  upstream app { server 127.0.0.1:${upstream} max_fails=0; keepalive 64; }
  server {
    listen 127.0.0.1:${port} backlog=1024;
    listen 127.0.0.1:${h2Port} http2 backlog=1024;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_set_header X-Client $remote_addr;
    proxy_next_upstream off;
    location / { proxy_pass http://app; }
    location /stream { proxy_request_buffering off; proxy_pass http://app; }
    location /unlimited { client_max_body_size 0; proxy_pass http://app; }
    location /unlimited/stream { client_max_body_size 0; proxy_request_buffering off; proxy_pass http://app; }
    location /early { proxy_request_buffering off; proxy_pass http://app; }
    location /own { return 200 own; }
    location /file { root .; }
  }
}
`;

/** Starts one with an upstream of its own. */
export async function startWireServer(program: Program): Promise<WireServer> {
  const dir = mkdtempSync(join(tmpdir(), 'portico-wire-'));
  chmodSync(dir, 0o755);
  mkdirSync(join(dir, 'html'));
  const upstream = await recordingUpstream();
  const [port, h2Port] = [await freePort(), await freePort()];
  writeFileSync(join(dir, 'file'), FILE);
  writeFileSync(join(dir, 'nginx.conf'), conf(port, h2Port, upstream.port).replace('root .;', `root ${dir};`));
  const [command, ...args] = [...program, '-p', `${dir}/`, '-c', 'nginx.conf', '-e', 'error.log'];
  const child = spawn(command!, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('latin1').on('data', (text: string) => {
    stderr += text;
  });
  const exited = new Promise<void>((done) => child.on('exit', () => done()));
  const isUp = await new Promise<boolean>((done) => {
    const check = (): void => {
      if (existsSync(join(dir, 'nginx.pid'))) settle(true);
    };
    const watcher = watch(dir, check);
    const settle = (up: boolean): void => {
      watcher.close();
      done(up);
    };
    void exited.then(() => settle(false));
    check();
  });
  const errors = (): string => {
    const path = join(dir, 'error.log');
    return `${stderr}${existsSync(path) ? readFileSync(path, 'latin1') : ''}`;
  };
  if (!isUp) {
    await upstream.stop();
    throw new Error(`${command} did not start: ${errors()}`);
  }
  return {
    port,
    h2Port,
    upstream,
    process: child,
    errors,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      await exited;
      await upstream.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
