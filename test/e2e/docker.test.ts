// End to end with Docker: build, `up --wait`, the README's tour, scale, down. Skipped, with the reason printed, where no
// engine answers. Project name (and so the images) and host ports are the test's own, so it can run beside a stack that is up.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import * as compose from 'docker-compose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../stack/portico-project.ts';
import { http1 } from './http-client.ts';
import {
  checkBothApps,
  checkCrash,
  checkForwarded,
  checkRedirect,
  checkStaticFiles,
  checkWebSocket,
  type Entrance,
} from './walkthrough.ts';

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
const MINUTE_MS = 60_000;

/** Why this cannot run here; undefined when it can. */
function whyNot(): string | undefined {
  const info = spawnSync('docker', ['info', '--format', '{{.ServerVersion}}'], { encoding: 'utf8', timeout: 20_000 });
  if (info.error !== undefined) return `docker cannot be run (${info.error.message})`;
  if (info.status !== 0) return `no Docker engine answers: ${info.stderr.trim().split('\n').at(-1)}`;
  const plugin = spawnSync('docker', ['compose', 'version'], { encoding: 'utf8' });
  return plugin.status === 0 ? undefined : 'the engine answers, but there is no docker compose';
}

const reason = whyNot();
if (reason !== undefined) process.stderr.write(`skipped test/e2e/docker.test.ts: ${reason}\n`);

describe.skipIf(reason !== undefined)('the stack in containers', () => {
  const project = `portico-test-${process.pid}`;
  let options: compose.IDockerComposeOptions;
  let entrance: Entrance;

  beforeAll(async () => {
    const [httpPort, httpsPort] = [await freePort(), await freePort()];
    options = {
      cwd: REPOSITORY,
      composeOptions: ['--project-name', project],
      env: {
        ...process.env,
        PORTICO_HTTP_PORT: String(httpPort),
        PORTICO_HTTPS_PORT: String(httpsPort),
      },
    };
    await told(compose.upAll({ ...options, commandOptions: ['--build', '--wait', '--scale', 'wsgi=3'] }));
    const { out } = await told(
      compose.exec('proxy', ['cat', 'certs/live/ca.pem'], { ...options, commandOptions: ['-T'] }),
    );
    entrance = {
      origin: `https://localhost:${httpsPort}`,
      httpOrigin: `http://localhost:${httpPort}`,
      authority: out,
      httpsTarget: 8443,
    };
  }, 5 * MINUTE_MS);

  afterAll(async () => {
    await compose.downAll({ ...options, commandOptions: ['--volumes', '--rmi', 'local', '--timeout', '20'] });
  }, 2 * MINUTE_MS);

  test('both apps, over HTTP/1.1 and HTTP/2', () => checkBothApps(entrance));
  test('static files: 200, 304, 206, 404', () => checkStaticFiles(entrance));
  test('HTTP redirects to HTTPS', () => checkRedirect(entrance));
  test('WebSocket echo', () => checkWebSocket(entrance));
  test('the apps see scheme, host and client as the proxy tells them', () => checkForwarded(entrance));

  test('--scale wsgi=3 is visible in /headers: the host names of three containers', async () => {
    const hostnames = new Set<string>();
    for (let index = 0; index < 12; index++) {
      const { body } = await http1(`${entrance.origin}/headers`, entrance.authority);
      hostnames.add((JSON.parse(body) as { hostname: string }).hostname);
    }
    expect(hostnames.size).toBe(3);
  });

  test('containers run as a plain user on a read-only root', async () => {
    for (const service of ['proxy', 'wsgi', 'asgi']) {
      const { out } = await told(compose.exec(service, ['id', '-u'], { ...options, commandOptions: ['-T'] }));
      expect(out.trim()).toBe('1000');
      await expect(
        compose.exec(service, ['touch', '/app/x'], { ...options, commandOptions: ['-T'] }),
      ).rejects.toMatchObject({
        err: expect.stringContaining('Read-only file system'),
      });
    }
  });

  test('/crash is a 502, and the next request is served', () => checkCrash(entrance), MINUTE_MS);

  test(
    'down is clean: every server ends by itself, nothing is left',
    async () => {
      await told(compose.stop(options));
      const { stdout } = spawnSync(
        'docker',
        [
          'ps',
          '--all',
          '--filter',
          `label=com.docker.compose.project=${project}`,
          '--format',
          '{{.Names}} {{.Status}}',
        ],
        { encoding: 'utf8' },
      );
      const lines = stdout.trim().split('\n');
      expect(lines).toHaveLength(6);
      // 137 would be a kill at the end of the grace.
      for (const line of lines) expect(line).toMatch(/ Exited \((?:0|143)\) /);
      await told(compose.downAll({ ...options, commandOptions: ['--volumes', '--rmi', 'local'] }));
      const left = spawnSync('docker', ['ps', '-aq', '--filter', `label=com.docker.compose.project=${project}`], {
        encoding: 'utf8',
      });
      expect(left.stdout).toBe('');
    },
    2 * MINUTE_MS,
  );
});

/** The result, or an Error with what compose wrote; the library rejects with a plain object. */
async function told<T extends compose.IDockerComposeResult>(promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    const { err, out } = error as compose.IDockerComposeResult;
    throw error instanceof Error ? error : new Error(`${out}\n${err}`);
  }
}
