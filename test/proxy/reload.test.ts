// HUP and USR1: a new configuration without a lost request, a bad one without effect, logs that move on.
import { renameSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { throwawayCertificate } from '../../proxy/testing/throwaway-certificate.ts';
import { bodyOf, freePort, get, type RunningProxy, startProxy, statusOf } from './start-proxy.ts';

const PREAMBLE = `daemon off;\nworker_processes 2;\n${process.getuid?.() === 0 ? 'user root;\n' : ''}error_log error.log notice;\nevents { }\n`;

let proxy: RunningProxy | undefined;

afterEach(async () => {
  await proxy?.stop();
  proxy = undefined;
});

function rewrite(running: RunningProxy, http: string): void {
  writeFileSync(join(running.dir, 'nginx.conf'), `pid nginx.pid;\n${PREAMBLE}\n${http}\n`);
}

function server(port: number, word: string): string {
  return `http { access_log access.log; server { listen 127.0.0.1:${port}; return 200 ${word}; } }`;
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue()));
}

describe('reload', () => {
  it('goes over to the new configuration and its sockets', async () => {
    proxy = await startProxy('http { access_log off; server { listen 127.0.0.1:%%PORT_0%%; return 200 old; } }', {
      preamble: PREAMBLE,
    });
    const next = await freePort();
    rewrite(proxy, server(next, 'new'));
    proxy.signal('SIGHUP');
    await proxy.waitFor('error.log', /exited with code 0[\s\S]*exited with code 0/);
    expect(bodyOf(await get(next, '/'))).toBe('new');
    await expect(get(proxy.port, '/')).rejects.toThrow('ECONNREFUSED');
  });

  it('keeps the old configuration when the new one is wrong', async () => {
    proxy = await startProxy('http { access_log off; server { listen 127.0.0.1:%%PORT_0%%; return 200 old; } }', {
      preamble: PREAMBLE,
    });
    rewrite(proxy, 'http { nonsense; }');
    proxy.signal('SIGHUP');
    await proxy.waitFor('error.log', /\[emerg\] .*unknown directive "nonsense" in .*nginx\.conf:/);
    expect(bodyOf(await get(proxy.port, '/'))).toBe('old');
  });

  it('turns nobody away', async () => {
    proxy = await startProxy('http { access_log off; server { listen 127.0.0.1:%%PORT_0%%; return 200 0; } }', {
      preamble: PREAMBLE,
    });
    const running = proxy;
    let isDone = false;
    let served = 0;
    const client = async (): Promise<void> => {
      while (!isDone) {
        expect(statusOf(await get(running.port, '/'))).toBe(200);
        served++;
      }
    };
    const clients = Promise.all([client(), client(), client(), client()]);
    for (const word of ['1', '2', '3']) {
      rewrite(running, server(running.port, word));
      running.signal('SIGHUP');
      await until(async () => bodyOf(await get(running.port, '/')) === word);
    }
    isDone = true;
    await clients;
    expect(served).toBeGreaterThan(3);
  });

  it('closes idle connections of the old workers, not busy ones', async () => {
    proxy = await startProxy('http { access_log off; server { listen 127.0.0.1:%%PORT_0%%; return 200 old; } }', {
      preamble: PREAMBLE,
    });
    const socket = connect(proxy.port, '127.0.0.1');
    const closed = new Promise<void>((done) => socket.on('close', () => done()));
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await new Promise((done) => socket.once('data', done));
    proxy.signal('SIGHUP');
    await closed;
    expect(bodyOf(await get(proxy.port, '/'))).toBe('old');
  });

  it.each(['', ' ssl'])('serves a connection that was to bring its first request (listen%s)', async (ssl) => {
    const { certificate, key } = await throwawayCertificate();
    proxy = await startProxy(
      `http { access_log off; server { listen 127.0.0.1:%%PORT_0%%${ssl};
       ssl_certificate a.crt; ssl_certificate_key a.key; return 200 old; } }`,
      { preamble: PREAMBLE, files: { 'a.crt': certificate, 'a.key': key } },
    );
    const socket = connect(proxy.port, '127.0.0.1');
    await new Promise((done) => socket.once('connect', done));
    rewrite(proxy, server(proxy.port, 'new'));
    proxy.signal('SIGHUP');
    // One of the two has nothing to wait for. The other one still waits when two generations have come and gone.
    for (const gone of [1, 3, 5]) {
      await proxy.waitFor('error.log', new RegExp(`(?:exited with code 0[\\s\\S]*){${gone}}`));
      if (gone < 5) proxy.signal('SIGHUP');
    }
    const stream = ssl ? tlsConnect({ socket, rejectUnauthorized: false }) : socket;
    let answer = '';
    stream.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1');
    });
    const closed = new Promise((done, failed) => stream.on('close', done).on('error', failed));
    stream.write('GET / HTTP/1.0\r\n\r\n');
    await closed;
    expect(bodyOf(answer)).toBe('old');
    await proxy.waitFor('error.log', /(?:exited with code 0[\s\S]*){6}/);
  });

  it('reloads in a single process, too', async () => {
    const single = 'daemon off;\nmaster_process off;\nerror_log error.log notice;\nevents { }\n';
    proxy = await startProxy('http { access_log off; server { listen 127.0.0.1:%%PORT_0%%; return 200 old; } }', {
      preamble: single,
    });
    const running = proxy;
    writeFileSync(join(proxy.dir, 'nginx.conf'), `pid nginx.pid;\n${single}${server(proxy.port, 'new')}`);
    proxy.signal('SIGHUP');
    await until(async () => bodyOf(await get(running.port, '/')) === 'new');
  });
});

describe('reopening logs', () => {
  it('writes to fresh files after USR1', async () => {
    const conf = 'http { access_log access.log; server { listen 127.0.0.1:%%PORT_0%%; return 204; } }';
    proxy = await startProxy(conf, { preamble: PREAMBLE.replace('worker_processes 2', 'worker_processes 1') });
    await get(proxy.port, '/before');
    await proxy.waitFor('access.log', /before/);
    renameSync(join(proxy.dir, 'access.log'), join(proxy.dir, 'access.old'));
    renameSync(join(proxy.dir, 'error.log'), join(proxy.dir, 'error.old'));
    proxy.signal('SIGUSR1');
    await proxy.waitFor('access.log', /^/);
    const running = proxy;
    // The worker is told a moment after the master has reopened its own.
    await until(async () => {
      await get(running.port, '/after');
      return /after/.test(running.read('access.log'));
    });
    expect(proxy.read('access.old')).toContain('before');
    expect(proxy.read('error.old')).toContain('signal 10 (SIGUSR1) received, reopening logs');
  });
});
