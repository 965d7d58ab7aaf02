// The generator of the resumed handshakes, against a TLS server that tells what came: in TLS 1.2 and 1.3, each connection but the
// first of a lane resumes a session, and Host names the port. And what it was stuck by: a
// server is not held up by what it writes about itself while a generator runs.
import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ensureCertificates } from '../../bench/certificate.ts';
import { start, stop } from '../../bench/processes.ts';

const RESUME = fileURLToPath(new URL('../../bench/resume.ts', import.meta.url));
const LANES = 2;
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'portico-resume-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test.each(['TLSv1.2', 'TLSv1.3'] as const)('resumes every session but the first with %s', async (version) => {
  const { certificate, key } = ensureCertificates(dir);
  const seen = { full: 0, resumed: 0, hosts: new Set<string | undefined>() };
  const server = createServer({
    cert: readFileSync(certificate),
    key: readFileSync(key),
    minVersion: version,
    maxVersion: version,
  });
  server.on('request', ({ socket, headers }, response) => {
    const tls = socket as TLSSocket;
    seen[tls.isSessionReused() ? 'resumed' : 'full']++;
    seen.hosts.add(headers.host);
    response.end('ok');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const { port } = server.address() as { port: number };
    const url = `https://127.0.0.1:${port}/`;
    const { stdout } = await promisify(execFile)(process.execPath, [RESUME, url, '0.5', String(LANES)]);
    const told = JSON.parse(stdout) as { requests: number; errors: number };
    expect(told.errors).toBe(0);
    expect(seen.full).toBe(LANES);
    expect(told.requests).toBe(seen.resumed);
    expect(told.requests).toBeGreaterThan(0);
    expect([...seen.hosts]).toEqual([`127.0.0.1:${port}`]);
  } finally {
    server.close();
  }
});

test('a server that writes more than a pipe holds goes on while the bench waits for its generator', async () => {
  const done = join(dir, 'done');
  const code = `fs.writeSync(2, 'x'.repeat(4 << 20)); fs.writeFileSync(${JSON.stringify(done)}, ''); setInterval(() => {}, 1e6)`;
  const child = start([process.execPath, '-e', code]);
  try {
    // As generators are run: this process reads nothing meanwhile.
    execFileSync('sh', ['-c', `until [ -e ${done} ]; do sleep 0.05; done`], { timeout: 10_000 });
  } finally {
    await stop(child);
  }
});
