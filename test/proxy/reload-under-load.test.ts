// HUP while clients ask without a pause, over kept and over fresh connections, plain and TLS: reloads go to and fro
// between two configurations with other listeners, upstreams, certificate and log file, and no request fails. A server
// may close a kept connection just as the next request is sent on it (nginx does so at a reload, too); a client sends
// that one again on a fresh connection, so this one does, where not one byte of an answer had come.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type PeerCertificate, type TLSSocket, connect as tlsConnect } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort, get, type RunningProxy, startProxy } from './start-proxy.ts';

const RELOADS = 4;
const WORKERS = 2;
const WORDS = ['first', 'second'] as const;
const BODY = 'x'.repeat(20_000);

let proxy: RunningProxy | undefined;
const upstreams: Server[] = [];
const files: Record<string, string> = {};

beforeAll(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'portico-certificates-'));
  for (const word of WORDS) {
    const [crt, key] = [join(dir, `${word}.crt`), join(dir, `${word}.key`)];
    const subject = ['-subj', `/CN=${word}`, '-days', '2', '-keyout', key, '-out', crt];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject], { stdio: 'ignore' });
    files[`${word}.crt`] = readFileSync(crt, 'latin1');
    files[`${word}.key`] = readFileSync(key, 'latin1');
    upstreams.push(await upstream(word));
  }
  rmSync(dir, { recursive: true });
});

afterAll(async () => {
  await proxy?.stop();
  for (const server of upstreams) {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
});

/** Answers with its word in front of the body; slowly, in pieces, where the URI says so. */
async function upstream(word: string): Promise<Server> {
  const server = createServer((request, response) => {
    response.setHeader('Content-Length', word.length + BODY.length);
    response.write(word);
    if (request.url === '/slow') setTimeout(() => response.end(BODY), 100);
    else response.end(BODY);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return server;
}

function portOf(server: Server): number {
  return (server.address() as { port: number }).port;
}

interface Client {
  served: number;
  /** Requests that were sent again. */
  resent: number;
  readonly failures: string[];
}

type Open = () => Socket;

/** Asks until `isDone`; on one connection as long as it lasts when `isKept`. */
async function ask(open: Open, uri: string, isKept: boolean, client: Client, isDone: () => boolean): Promise<void> {
  let socket: Socket | undefined;
  while (!isDone()) {
    const isReused = socket !== undefined;
    socket ??= open();
    const answer = await exchange(socket, uri, isKept);
    if (isReused && answer === '') {
      client.resent++;
      socket = undefined;
      continue;
    }
    const body = answer.slice(answer.indexOf('\r\n\r\n') + 4);
    const isRight = answer.startsWith('HTTP/1.1 200 ') && WORDS.some((word) => body === word + BODY);
    if (isRight) client.served++;
    else
      client.failures.push(
        `${uri} ${open.name} ${isReused ? 'reused' : 'fresh'}: ${answer.slice(0, 200)} (${answer.length})`,
      );
    if (!isKept || !isRight || /^connection: close\r$/im.test(answer)) {
      socket.destroy();
      socket = undefined;
    }
  }
  socket?.destroy();
}

/** Sends one request; resolves with the answer, or what came of it. */
function exchange(socket: Socket, uri: string, isKept: boolean): Promise<string> {
  return new Promise((done) => {
    let answer = '';
    const onData = (chunk: Buffer): void => {
      answer += chunk.toString('latin1');
      const head = answer.indexOf('\r\n\r\n');
      const length = Number(/^content-length: (\d+)\r$/im.exec(answer.slice(0, head + 2))?.[1] ?? Number.NaN);
      if (head >= 0 && answer.length >= head + 4 + length) finish();
    };
    const finish = (): void => {
      socket.off('data', onData).off('close', finish).off('end', finish);
      done(answer);
    };
    socket.on('data', onData).on('close', finish).on('end', finish);
    socket.write(`GET ${uri} HTTP/1.1\r\nHost: localhost\r\n${isKept ? '' : 'Connection: close\r\n'}\r\n`);
  });
}

/** A failed connection shows as an empty answer; what failed is told apart by `isReused`. */
function quiet<T extends Socket>(socket: T): T {
  socket.on('error', () => undefined);
  return socket;
}

function certificateOf(port: number): Promise<PeerCertificate> {
  return new Promise((done, failed) => {
    const socket = tlsConnect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      done(socket.getPeerCertificate());
      socket.destroy();
    }).on('error', failed);
  });
}

it('fails no request while the configuration goes to and fro', async () => {
  const [own0, own1] = [await freePort(), await freePort()];
  const confOf = (which: 0 | 1, [plain, tls]: readonly (number | string)[]): string => `
http {
  access_log ${WORDS[which]}.log;
  upstream u { ${which ? 'least_conn;' : ''} server 127.0.0.1:${portOf(upstreams[which]!)}; ${which ? '' : 'keepalive 4;'} }
  server {
    listen 127.0.0.1:${plain};
    listen 127.0.0.1:${which ? own1 : own0};
    listen 127.0.0.1:${tls} ssl;
    ssl_certificate ${WORDS[which]}.crt;
    ssl_certificate_key ${WORDS[which]}.key;
    location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}`;
  const user = process.getuid?.() === 0 ? 'user root;\n' : '';
  const preamble = `daemon off;\nworker_processes ${WORKERS};\n${user}error_log error.log notice;\nevents { }\n`;
  proxy = await startProxy(confOf(0, ['%%PORT_0%%', '%%PORT_1%%']), { preamble, files });
  const running = proxy;
  const [plain, tls] = running.ports as [number, number];

  let isDone = false;
  const client: Client = { served: 0, resent: 0, failures: [] };
  const openPlain: Open = () => quiet(connect(plain, '127.0.0.1'));
  const openTls: Open = (): TLSSocket => quiet(tlsConnect({ port: tls, host: '127.0.0.1', rejectUnauthorized: false }));
  const clients = [openPlain, openTls].flatMap((open) =>
    ['/', '/slow'].flatMap((uri) => [true, false].map((kept) => ask(open, uri, kept, client, () => isDone))),
  );
  try {
    for (let reload = 1; reload <= RELOADS; reload++) {
      const which = (reload % 2) as 0 | 1;
      writeFileSync(join(running.dir, 'nginx.conf'), `pid nginx.pid;\n${preamble}${confOf(which, running.ports)}`);
      writeFileSync(join(running.dir, `${WORDS[which]}.log`), '');
      running.signal('SIGHUP');
      // The former workers are gone: every connection and every line from now on is the new configuration's.
      const gone = new RegExp(`(?:worker process \\d+ exited with code 0[\\s\\S]*){${reload * WORKERS}}`);
      await running.waitFor('error.log', gone);
      const [here, away] = which ? [own1, own0] : [own0, own1];
      expect(await get(here, '/')).toContain(`\r\n\r\n${WORDS[which]}x`);
      await expect(get(away, '/')).rejects.toThrow('ECONNREFUSED');
      expect((await certificateOf(tls)).subject.CN).toBe(WORDS[which]);
      const served = client.served;
      await running.waitFor(`${WORDS[which]}.log`, /GET \/ HTTP/);
      while (client.served === served && client.failures.length === 0) await get(here, '/');
    }
  } finally {
    isDone = true;
    await Promise.all(clients);
  }
  expect(client.failures).toEqual([]);
  expect(client.served).toBeGreaterThan(RELOADS * clients.length);
  expect(running.read('error.log')).not.toMatch(/\[(?:error|crit|alert|emerg)\]/);
}, 60_000);
