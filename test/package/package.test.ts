// The published package in an empty project: startProxy from JavaScript and from TypeScript, the example with vitest, and
// the commands. Nothing of this repository's sources is in reach of it.
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../proxy/start-proxy.ts';
import { type InstalledPackage, installPackage } from './installed-package.ts';

let project: InstalledPackage;
beforeAll(() => {
  project = installPackage();
}, 60_000);
afterAll(() => project?.remove());

test('holds JavaScript and declarations, no sources and nothing of one’s own machine', () => {
  const names = readdirSync(join(project.directory, 'node_modules/portico'), { recursive: true }) as string[];
  expect(names.filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))).toEqual([]);
  expect(names.filter((name) => /(^|\/)(test|bench|live|temp|node_modules)(\/|$)|\.pem$/.test(name))).toEqual([]);
  const fixed = names
    .filter((name) => name.endsWith('.js'))
    .filter((name) => {
      const text = readFileSync(join(project.directory, 'node_modules/portico', name), 'utf8');
      return /(?:from|import\()\s*['"]\.[^'"]*\.ts['"]/.test(text);
    });
  expect(fixed).toEqual([]);
});

const USE = `
import { startProxy } from 'portico';
const proxy = await startProxy('server { listen 80; location /api/ { proxy_pass http://app.internal/; } }', {
  upstreams: { 'app.internal': (request) => ({ status: 201, body: { asked: request.url } }) },
});
const response = await proxy.fetch('http://shop.example/api/items?q=1');
await proxy.idle();
console.log(JSON.stringify([
  response.status, await response.json(), proxy.accessLog[0].values.request, proxy.upstreams['app.internal'].requests[0].method,
]));
await proxy.stop();
`;

describe('startProxy', () => {
  test('from JavaScript', () => {
    project.write('use.js', USE);
    const { stdout, stderr } = project.run('node', 'use.js');
    expect([stdout, stderr]).toEqual(['[201,{"asked":"/items?q=1"},"GET /api/items?q=1 HTTP/1.1","GET"]\n', '']);
  });

  test('says what it needs when Node is too old', () => {
    project.write(
      'old.js',
      `Object.defineProperty(process, 'versions', { value: { node: '20.1.0' } });
import('portico').then(({ startProxy }) => startProxy('server { }')).catch((error) => console.log(error.message));\n`,
    );
    expect(project.run('node', 'old.js').stdout).toMatch(/^portico needs Node 24, and this is v/);
  });

  test('from TypeScript, with its types, checked in full', () => {
    project.write(
      'use.ts',
      `import { type AccessLogEntry, type FakeUpstream, startProxy, type TestedProxy } from 'portico';
import type { WsgiApp } from 'portico/wsgi';
const app: FakeUpstream = (request) => ({ status: 201, body: request.json() });
const proxy: TestedProxy = await startProxy('server { listen 80; }', { upstreams: { app, down: null, two: ['a', { body: 'b' }] } });
const response: Response = await proxy.fetch('http://a.example/', { method: 'POST' });
const entry: AccessLogEntry | undefined = proxy.accessLog[0];
const status: string | undefined = entry?.values['status'];
export const wsgi: WsgiApp = (_environ, start) => {
  start('200 OK', []);
  return [];
};
// @ts-expect-error a status is a number
await startProxy('', { upstreams: { app: { status: 'no' } } });
console.log(response.status, status);
`,
    );
    const options = [
      '--noEmit',
      '--strict',
      '--target',
      'es2024',
      '--types',
      'node',
      '--skipLibCheck',
      'false',
      'use.ts',
    ];
    const nodenext = project.run('tsc', '--module', 'nodenext', ...options);
    expect([nodenext.stdout, nodenext.status]).toEqual(['', 0]);
    const bundler = project.run('tsc', '--module', 'esnext', '--moduleResolution', 'bundler', ...options);
    expect([bundler.stdout, bundler.status]).toEqual(['', 0]);
  });

  test('from the example, with vitest', () => {
    cpSync(fileURLToPath(new URL('../../examples', import.meta.url)), join(project.directory, 'examples'), {
      recursive: true,
    });
    const { stdout, status } = project.run('vitest', 'run', '--no-color', 'examples');
    expect([stdout, status]).toEqual([expect.stringMatching(/Tests {2}4 passed \(4\)/), 0]);
  });
});

/** Starts a command and waits until its output matches. */
async function start(args: readonly string[], ready: RegExp, env: NodeJS.ProcessEnv = {}): Promise<ChildProcess> {
  const child = spawn('portico', args, { cwd: project.directory, env: { ...project.env, ...env } });
  running.add(child);
  let output = '';
  await new Promise<void>((done, failed) => {
    const onData = (chunk: Buffer): void => {
      output += chunk.toString();
      if (ready.test(output)) done();
    };
    child.stdout.on('data', onData);
    child.stderr.on('data', onData);
    child.on('exit', (code) => failed(new Error(`ended with ${code}: ${output}`)));
  });
  return child;
}

const running = new Set<ChildProcess>();
afterEach(async () => {
  for (const child of running) await stop(child, 'SIGTERM');
});

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  running.delete(child);
  if (child.exitCode !== null) return child.exitCode;
  const exited = new Promise<number | null>((done) => child.once('exit', (code) => done(code)));
  child.kill(signal);
  return await exited;
}

/** The body that a port answers with, once something listens there. */
async function bodyOf(port: number): Promise<string> {
  for (;;) {
    try {
      return await (await fetch(`http://127.0.0.1:${port}/`)).text();
    } catch (error) {
      if (((error as Error).cause as NodeJS.ErrnoException).code !== 'ECONNREFUSED') throw error;
    }
  }
}

describe('npx portico', () => {
  test('is found by npx, and knows its version', () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(project.run('npx', '--offline', 'portico', '--version').stdout).toBe(`portico ${version}\n`);
  });

  test('nginx tests and runs a configuration', async () => {
    const port = await freePort();
    project.write(
      'site.conf',
      `pid site.pid; events { } http { server { listen 127.0.0.1:${port}; return 200 ok; } access_log off; }`,
    );
    const tested = project.run('portico', 'nginx', '-t', '-p', '.', '-c', 'site.conf', '-e', 'stderr');
    expect([tested.stderr, tested.status]).toEqual([expect.stringContaining('test is successful'), 0]);
    const nginx = await start(
      ['nginx', '-p', '.', '-c', 'site.conf', '-e', 'stderr', '-g', 'daemon off; error_log stderr notice;'],
      /start worker process/,
    );
    expect(await bodyOf(port)).toBe('ok');
    expect(await stop(nginx, 'SIGQUIT')).toBe(0);
  });

  test('explain reads a configuration', () => {
    project.write('app.conf', 'server { listen 80; location /a/ { proxy_pass http://app.internal/; } }');
    expect(project.run('portico', 'explain', '-c', 'app.conf', '/a/b').stdout).toContain('request    GET /b HTTP/1.0');
  });

  test('gunicorn serves an app of the project, and the demo of the package', async () => {
    project.write(
      'app.js',
      `export const app = (environ, start) => { start('200 OK', [['Content-Length', '4']]); return [Buffer.from('wsgi')]; };\n`,
    );
    for (const [workerClass, name, body] of [
      ['sync', 'app:app', 'wsgi'],
      ['gthread', 'portico/apps/flask:app', '{"message":"Hello from Flask"}'],
    ] as const) {
      const port = await freePort();
      const gunicorn = await start(['gunicorn', '-b', `127.0.0.1:${port}`, '-k', workerClass, name], /Booting worker/);
      expect((await bodyOf(port)).trim()).toBe(body);
      expect(await stop(gunicorn, 'SIGTERM')).toBe(0);
    }
  });

  test('uvicorn serves an app of the project', async () => {
    project.write(
      'main.js',
      `export async function app(scope, receive, send) {
  await send({ type: 'http.response.start', status: 200, headers: [] });
  await send({ type: 'http.response.body', body: Buffer.from('asgi') });
}\n`,
    );
    for (const more of [[], ['--workers', '2']]) {
      const port = await freePort();
      const uvicorn = await start(
        ['uvicorn', 'main:app', '--port', String(port), '--lifespan', 'off', ...more],
        more.length ? /(Started server process[\s\S]*){2}/ : /Uvicorn running on/,
      );
      expect(await bodyOf(port)).toBe('asgi');
      await stop(uvicorn, 'SIGTERM');
    }
  });

  test('up runs the stack that comes with it, in the project’s own directory', async () => {
    const [http, https] = [await freePort(), await freePort()];
    const before = readdirSync(project.directory);
    const ports = { PORTICO_HTTP_PORT: String(http), PORTICO_HTTPS_PORT: String(https) };
    const up = await start(['up'], /portico is up/, ports);
    const authority = join(project.directory, '.portico/default/certs/live/ca.pem');
    const curl = `import { Agent, fetch } from 'undici';
import { readFileSync } from 'node:fs';
const dispatcher = new Agent({ connect: { ca: readFileSync('${authority}') } });
for (const path of ['/', '/api/', '/static/hello.txt']) {
  const response = await fetch('https://localhost:${https}' + path, { dispatcher });
  console.log(response.status, response.headers.get('server'));
}
process.exit();
`;
    project.write('curl.js', curl);
    const answers = project.run('node', 'curl.js');
    expect([answers.stdout, answers.stderr]).toEqual(['200 nginx/1.22.1\n'.repeat(3), '']);
    const redirect = await fetch(`http://127.0.0.1:${http}/x`, { redirect: 'manual' });
    expect(redirect.headers.get('location')).toBe(`https://127.0.0.1:${https}/x`);
    expect(project.run('portico', 'ps').stdout).toMatch(/^proxy-1 .*healthy/m);
    expect(project.run('portico', 'down').status).toBe(0);
    expect(await stop(up, 'SIGTERM')).toBe(0);
    expect(readdirSync(project.directory)).toEqual(['.portico', ...before, 'curl.js'].sort());
    expect(readFileSync(join(project.directory, '.portico/.gitignore'), 'utf8')).toBe('*\n');
    expect(existsSync(join(project.directory, 'node_modules/portico/dist/certs/live'))).toBe(false);
  });
});
