// The program and its processes: command line, exit codes, pid file, signals, workers that come and go.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { isAlive } from '../services/server-process.ts';
import { bodyOf, freePort, get, type RunningProxy, runProxy, startProxy, statusOf } from './start-proxy.ts';

const MAIN = fileURLToPath(new URL('../../proxy/main.ts', import.meta.url));
const MASTER = 'daemon off;\nworker_processes 2;\nuser root;\nerror_log error.log notice;\nevents { }\n';
const NOT_ROOT = process.getuid?.() === 0 ? MASTER : MASTER.replace('user root;\n', '');
const PID_SERVER = 'http { access_log off; server { listen 127.0.0.1:%%PORT_0%%; return 200 $pid; } }';

const running: RunningProxy[] = [];

async function start(...args: Parameters<typeof startProxy>): Promise<RunningProxy> {
  const proxy = await startProxy(...args);
  running.push(proxy);
  return proxy;
}

afterEach(async () => {
  for (const proxy of running.splice(0)) await proxy.stop();
});

/** Asks until a worker answers that `isWanted`. */
async function workerPid(proxy: RunningProxy, isWanted: (pid: string) => boolean = () => true): Promise<string> {
  for (;;) {
    const pid = bodyOf(await get(proxy.port, '/'));
    if (isWanted(pid)) return pid;
  }
}

function run(...args: string[]): Promise<{ code: number | null; stderr: string; stdout: string }> {
  const child = spawn(process.execPath, [MAIN, ...args]);
  let stderr = '';
  let stdout = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk;
  });
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk;
  });
  return new Promise((done) => child.on('close', (code) => done({ code, stderr, stdout })));
}

describe('command line', () => {
  it('refuses what nginx refuses, in its words', async () => {
    const refused = await Promise.all([run('-x'), run('now'), run('-c'), run('-s', 'halt')]);
    expect(refused.map(({ code }) => code)).toEqual([1, 1, 1, 1]);
    expect(refused.map(({ stderr }) => stderr)).toEqual([
      'nginx: invalid option: "x"\n',
      'nginx: invalid option: "now"\n',
      'nginx: option "-c" requires file name\n',
      'nginx: invalid option: "-s halt"\n',
    ]);
  });

  it('says its version and which modules it has', async () => {
    expect(await run('-v')).toMatchObject({ code: 0, stderr: 'nginx version: nginx/1.22.1\n' });
    const { stderr } = await run('-V');
    expect(stderr).toMatch(/^nginx version: nginx\/1\.22\.1\n/);
    expect(stderr).toMatch(/^configure arguments: .*--with-http_ssl_module/m);
    expect(stderr).toContain('--without-http_uwsgi_module');
    expect(stderr).not.toContain('--without-http_proxy_module');
  });

  it('tests a configuration', async () => {
    const good = await runProxy('pid nginx.pid; events { } http { access_log off; }');
    expect(good.code).toBe(0);
    expect(good.stderr).toBe(
      'nginx: the configuration file DIR/nginx.conf syntax is ok\nnginx: configuration file DIR/nginx.conf test is successful\n',
    );
    const bad = await runProxy('events { }\nhttp { nonsense; }');
    expect(bad.code).toBe(1);
    expect(bad.stderr).toBe(
      'nginx: [emerg] unknown directive "nonsense" in DIR/nginx.conf:2\nnginx: configuration file DIR/nginx.conf test failed\n',
    );
    const empty = await runProxy('http { access_log off; }');
    expect(empty.stderr).toContain('nginx: [emerg] no "events" section in configuration');
  });

  it('dumps what it read', async () => {
    const { stdout } = await runProxy('pid nginx.pid; events { } # here', ['-T']);
    expect(stdout).toBe('# configuration file DIR/nginx.conf:\npid nginx.pid; events { } # here\n');
  });

  it('says when there is nobody to signal', async () => {
    const { code, stderr } = await runProxy('pid nginx.pid; events { }', ['-s', 'reload']);
    expect(code).toBe(1);
    expect(stderr).toBe('nginx: [error] open() "DIR/nginx.pid" failed (2: No such file or directory)\n');
  });
});

describe('starting', () => {
  it('gives up a port that is taken, and says who has it', async () => {
    const holder = createServer();
    await new Promise<void>((done) => holder.listen(0, '127.0.0.1', done));
    const { port } = holder.address() as { port: number };
    const { code, stderr } = await runProxy(
      `events { } http { access_log off; server { listen 127.0.0.1:${port}; } }`,
      [],
    );
    holder.close();
    expect(code).toBe(1);
    expect(stderr).toContain(`nginx: [emerg] bind() to 127.0.0.1:${port} failed (98: Address already in use)`);
    expect(stderr).toContain('nginx: [emerg] still could not bind()');
  });

  it('writes the pid file of the process that was started, and removes it', async () => {
    const proxy = await start(PID_SERVER, { preamble: NOT_ROOT });
    expect(Number(proxy.read('nginx.pid'))).toBe(proxy.process.pid);
    const file = join(proxy.dir, 'nginx.pid');
    proxy.signal('SIGQUIT');
    expect(await proxy.exited).toBe(0);
    expect(existsSync(file)).toBe(false);
  });

  it('goes to the background, and comes back on -s stop', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'portico-daemon-'));
    const port = await freePort();
    const conf = `pid nginx.pid; error_log error.log notice; events { } http { access_log off; server { listen 127.0.0.1:${port}; return 204; } }`;
    writeFileSync(join(dir, 'nginx.conf'), conf);
    const args = ['-p', dir, '-c', 'nginx.conf', '-e', 'error.log'];
    expect(await run(...args)).toMatchObject({ code: 0, stderr: '' });
    expect(statusOf(await get(port, '/'))).toBe(204);
    const pid = Number(readFileSync(join(dir, 'nginx.pid'), 'utf8'));
    expect((await run(...args, '-s', 'stop')).code).toBe(0);
    while (existsSync(join(dir, 'nginx.pid'))) await new Promise((done) => setImmediate(done));
    expect(readFileSync(join(dir, 'error.log'), 'utf8')).toContain(
      `${pid}#${pid}: signal 15 (SIGTERM) received, exiting`,
    );
    rmSync(dir, { recursive: true, force: true });
  });
});

describe('workers', () => {
  it('are replaced when they crash, and the log says so', async () => {
    const proxy = await start(PID_SERVER, { preamble: NOT_ROOT.replace('worker_processes 2', 'worker_processes 1') });
    const first = await workerPid(proxy);
    process.kill(Number(first), 'SIGKILL');
    await proxy.waitFor('error.log', new RegExp(`\\[alert\\] .* worker process ${first} exited on signal 9`));
    // The socket lives on in the master, so the next request waits for the new worker instead of being refused.
    const second = await workerPid(proxy);
    expect(second).not.toBe(first);
  });

  it('are replaced at once, however often they are killed as soon as they serve', async () => {
    const proxy = await start(PID_SERVER, { preamble: NOT_ROOT.replace('worker_processes 2', 'worker_processes 1') });
    let pid = await workerPid(proxy);
    for (let kill = 0; kill < 12; kill++) {
      process.kill(Number(pid), 'SIGKILL');
      await proxy.waitFor('error.log', new RegExp(`worker process ${pid} exited on signal 9`));
      pid = await workerPid(proxy);
    }
  });

  it('serve on when the master is killed, until they are told to stop themselves', async () => {
    const proxy = await start(PID_SERVER, { preamble: NOT_ROOT });
    const first = await workerPid(proxy);
    // Both serve: one that still waits for its sockets could not without the master.
    const workers = [first, await workerPid(proxy, (pid) => pid !== first)].map(Number);
    proxy.signal('SIGKILL');
    await proxy.exited;
    try {
      // One after the other is told; who is left answers.
      for (const [index, pid] of workers.entries()) {
        for (let count = 0; count < 5; count++) {
          expect(workers.slice(index)).toContain(Number(bodyOf(await get(proxy.port, '/'))));
        }
        process.kill(pid, index === 0 ? 'SIGQUIT' : 'SIGTERM');
        await proxy.waitFor('error.log', new RegExp(`${pid}#${pid}: exit`));
        while (isAlive(pid)) await new Promise((done) => setTimeout(done, 5));
      }
      await expect(get(proxy.port, '/')).rejects.toThrow('ECONNREFUSED');
    } finally {
      for (const pid of workers.filter(isAlive)) process.kill(pid, 'SIGKILL');
    }
  });

  it('finish their requests on QUIT', async () => {
    const slow =
      'http { access_log off; server { listen 127.0.0.1:%%PORT_0%%; location / { root .; limit_rate 20000; } } }';
    const proxy = await start(slow, { preamble: NOT_ROOT, files: { 'f.bin': 'x'.repeat(30_000) } });
    const client = connect(proxy.port, '127.0.0.1').setEncoding('latin1');
    client.write('GET /f.bin HTTP/1.0\r\n\r\n');
    let text = '';
    for await (const part of client) {
      if (text === '') proxy.signal('SIGQUIT');
      text += part;
    }
    expect(bodyOf(text)).toHaveLength(30_000);
    expect(await proxy.exited).toBe(0);
  });

  it('that cannot start are not tried for ever', async () => {
    const conf =
      'daemon off; working_directory /does/not/exist; events { } http { access_log off; server { listen 127.0.0.1:0; } }';
    const port = await freePort();
    const { code } = await runProxy(conf.replace(':0', `:${port}`), []);
    expect(code).toBe(1);
  });
});
