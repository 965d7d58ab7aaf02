import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GUNICORN_ROWS } from '../../services/settings/gunicorn-rows.ts';
import { readGunicornCommand, splitWords } from '../../services/settings/gunicorn-settings.ts';
import { UVICORN_ROWS } from '../../services/settings/uvicorn-rows.ts';
import { readUvicornCommand } from '../../services/settings/uvicorn-settings.ts';
import { ServerProcess } from './server-process.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'settings-test-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function config(name: string, text: string): string {
  const file = path.join(directory, name);
  writeFileSync(file, text);
  return file;
}

describe("Gunicorn's settings", () => {
  it('come from the defaults, the file, the environment and the command line, the last one winning', async () => {
    const file = config('a.conf.py', 'workers = 2\nthreads = 2\ntimeout = 2\nbind = "127.0.0.1:2"\n');
    const env = { GUNICORN_CMD_ARGS: '--threads 3 --timeout 3', WEB_CONCURRENCY: '9' };
    const { settings } = await readGunicornCommand(['-c', file, '-t', '4', 'app'], env);
    expect(settings).toMatchObject({ workers: 2, threads: 3, timeout: 4, bind: ['127.0.0.1:2'], keepalive: 2 });
    expect((await readGunicornCommand(['app'], { WEB_CONCURRENCY: '9', PORT: '5000' })).settings).toMatchObject({
      workers: 9,
      bind: ['0.0.0.0:5000'],
    });
  });

  it('can be typed in all the ways that argparse takes', async () => {
    const { settings, app } = await readGunicornCommand(
      ['-w4', '--thr=2', '-b', 'a:1', '-b', 'b:2', 'm:app', '--preload'],
      {},
    );
    expect(settings).toMatchObject({ workers: 4, threads: 2, bind: ['a:1', 'b:2'], preload_app: true });
    expect(app).toBe('m:app');
  });

  it('can be written as Python literals', async () => {
    const file = config(
      'b.conf.py',
      [
        '"""A docstring."""',
        'import multiprocessing, os',
        'base = 2  # a name of its own',
        'workers = multiprocessing.cpu_count() * 2 + 1',
        'threads = base * 3',
        'bind = [',
        "    '127.0.0.1:1',  # one",
        '    "unix:/tmp/a#b.sock",',
        ']',
        "accesslog = '-'",
        'preload_app = True',
        'raw_env = ("A=1", "B=2")',
        'secure_scheme_headers = {"X-P": "https"}',
        "proc_name = os.environ.get('NO_SUCH_NAME', 'fall' 'back')",
        'def unrelated():',
        '    return 1',
      ].join('\n'),
    );
    const { settings } = await readGunicornCommand(['-c', file, 'app'], {});
    expect(settings).toMatchObject({
      workers: os.cpus().length * 2 + 1,
      threads: 6,
      bind: ['127.0.0.1:1', 'unix:/tmp/a#b.sock'],
      accesslog: '-',
      preload_app: true,
      raw_env: ['A=1', 'B=2'],
      secure_scheme_headers: { 'X-P': 'https' },
      proc_name: 'fallback',
    });
  });

  it('refuses what only Python could evaluate, with file and line', async () => {
    const file = config('c.conf.py', 'import x\n\nworkers = x.count()\n');
    await expect(readGunicornCommand(['-c', file, 'app'], {})).rejects.toThrow(
      `${file}:3: workers: cannot call x.count()`,
    );
    const hook = config('d.conf.py', 'def on_starting(server):\n    pass\n');
    await expect(readGunicornCommand(['-c', hook, 'app'], {})).rejects.toThrow(
      'the server hook on_starting is a Python function',
    );
  });

  it.each([
    [['--nope', 'app'], 'unrecognized arguments: --nope'],
    [['-w', 'abc', 'app'], "argument -w/--workers: invalid int value: 'abc'"],
    [['-w'], 'argument -w/--workers: expected one argument'],
    [['--work', '1'], 'ambiguous option: --work could match '],
    [['-w', '-1', 'app'], 'Value must be positive: -1'],
    [[], 'No application module specified.'],
    [['-c', 'no-such.py', 'app'], "'no-such.py' doesn't exist"],
  ])('refuses %j', async (args, message) => {
    await expect(readGunicornCommand(args, {})).rejects.toThrow(message);
  });

  it('says which settings have no effect', async () => {
    const { warnings } = await readGunicornCommand(['--ssl-version', 'TLSv1_2', 'app'], {});
    expect(warnings).toEqual([expect.stringMatching(/^ssl_version has no effect: /)]);
    const others = ['--http2-max-frame-size', '9', '--dirty-threads', '2', '--uwsgi-allow-from', '::2'];
    expect((await readGunicornCommand([...others, 'app'], {})).warnings.toSorted()).toEqual([
      'dirty_threads has no effect: dirty arbiters are not part of the path that Portico runs.',
      'http2_max_frame_size has no effect: the WSGI side speaks HTTP/1.x only; let the proxy speak HTTP/2.',
      'uwsgi_allow_ips has no effect: only http is spoken.',
    ]);
  });

  it('splits GUNICORN_CMD_ARGS as a shell does', () => {
    expect(splitWords(`-b "a b" --x='c d' e\\ f ""g`)).toEqual(['-b', 'a b', '--x=c d', 'e f', 'g']);
  });
});

describe("Gunicorn's command", () => {
  const run = async (...args: string[]): Promise<{ status: number | null; log: string }> => {
    const server = new ServerProcess('gunicorn', args);
    const { status } = await server.exited;
    return { status, log: server.log };
  };

  it('checks a configuration and an app, and prints the settings', async () => {
    expect(await run('--check-config', 'services/apps/flask.ts:app')).toEqual({ status: 0, log: '' });
    const bad = await run('--check-config', 'nomod:app');
    expect(bad.status).toBe(1);
    expect(bad.log).toContain('Error while loading the application:');
    const printed = await run('--print-config', '-w', '3', 'services/apps/flask.ts:app');
    expect(printed.status).toBe(0);
    expect(printed.log).toMatch(/^workers +=\s3$/m);
    expect(printed.log).toMatch(/^bind +=\s\['127\.0\.0\.1:8000'\]$/m);
  });

  it('documents every flag in --help, and exits with 2 for a bad one', async () => {
    const help = await run('--help');
    for (const row of GUNICORN_ROWS) for (const flag of row.flags) expect(help.log).toContain(flag);
    expect(help.log).toContain('examples:');
    const bad = await run('--nope', 'x');
    expect(bad).toEqual({
      status: 2,
      log: 'usage: gunicorn [OPTIONS] [APP_MODULE]\ngunicorn: error: unrecognized arguments: --nope\n',
    });
    expect(await run('-k', 'gevent', 'x')).toMatchObject({
      status: 1,
      log: expect.stringContaining('greenlets exist only in Python'),
    });
  });

  it('calls the hooks of a TypeScript config file, in the master and in workers', async () => {
    const file = config(
      'hooks.ts',
      `export const workers = 1;
       export const bind = '127.0.0.1:0';
       export const when_ready = (server: { log: { info(text: string): void } }) => server.log.info('hook: ready');
       export const post_worker_init = (worker: { log: { info(text: string): void } }) => worker.log.info('hook: worker');
       export const on_exit = (server: { log: { info(text: string): void } }) => server.log.info('hook: exit');`,
    );
    const server = new ServerProcess('gunicorn', ['-c', file, 'services/apps/flask.ts:app']);
    await server.said(/hook: worker/);
    await server.stop();
    expect(server.log).toMatch(/hook: ready[\s\S]*hook: worker[\s\S]*hook: exit/);
  });
});

describe("Uvicorn's settings", () => {
  it('come from flags, UVICORN_ variables and WEB_CONCURRENCY', () => {
    const command = readUvicornCommand(['m:app', '--port=1', '--no-access-log', '--header', 'A:b'], {
      UVICORN_HOST: 'h',
      UVICORN_PORT: '2',
      WEB_CONCURRENCY: '3',
    });
    expect(command.settings).toMatchObject({ host: 'h', port: 1, access_log: false, headers: ['A:b'] });
    expect(command).toMatchObject({ app: 'm:app', workers: 3 });
  });

  it('takes variables from an env file, without overruling the environment', () => {
    const env: NodeJS.ProcessEnv = { A: 'kept' };
    readUvicornCommand(['m:app', '--env-file', config('env', 'A=1\nexport B="two words"\n# no\n')], env);
    expect(env).toEqual({ A: 'kept', B: 'two words' });
  });

  it('documents every option in --help', async () => {
    const server = new ServerProcess('uvicorn', ['--help']);
    expect((await server.exited).status).toBe(0);
    for (const row of UVICORN_ROWS) for (const flag of row.flags) expect(server.log).toContain(flag);
  });
});

describe('a local replica', () => {
  it('binds its own address where it is told to bind all, and resolves names from its hosts file', async () => {
    const env = {
      PORTICO_ADDRESS: '127.0.0.3',
      PORTICO_HOSTS: config('hosts', '# replicas\n127.0.0.4 other app-1\n127.0.0.5 app-1\n'),
    };
    const one = new ServerProcess('gunicorn', ['-b', '0.0.0.0:0', '-b', 'app-1:0', 'services/apps/flask.ts:app'], {
      env,
    });
    await one.said(/Listening at: http:\/\/127\.0\.0\.3:\d+,http:\/\/127\.0\.0\.4:\d+ /);
    await one.stop();
    const two = new ServerProcess('uvicorn', ['--host', '0.0.0.0', '--port', '0', 'services/apps/fastapi.ts:app'], {
      env,
    });
    await two.said(/Uvicorn running on http:\/\/127\.0\.0\.3:\d+ /);
    await two.stop();
  });
});
