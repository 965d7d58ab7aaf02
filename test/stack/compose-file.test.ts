// What is read out of a compose file, and how each mistake in one is told: file, line, field. Nothing is started here.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Project, readProject, selectServices } from '../../stack/compose/project.ts';
import type { Service } from '../../stack/compose/service.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'portico-compose-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function read(text: string, environment: NodeJS.ProcessEnv = {}): Project {
  const file = join(directory, 'docker-compose.yml');
  writeFileSync(file, text);
  return readProject(file, environment, 'docker-compose.yml');
}

function service(lines: string, environment: NodeJS.ProcessEnv = {}): Service {
  const indented = lines.trim().replace(/^/gm, '    ');
  return read(`services:\n  web:\n${indented}\n`, environment).services.get('web')!;
}

describe('what is read', () => {
  test('command and entrypoint, as a list and as a string with quotes', () => {
    expect(service('command: [node, "a b.ts"]').command).toEqual(['node', 'a b.ts']);
    expect(service(`command: node -e 'x "y"' "a\\"b" c\\ d`).command).toEqual(['node', '-e', 'x "y"', 'a"b', 'c d']);
    expect(service('entrypoint: run it\ncommand: [now]').command).toEqual(['run', 'it', 'now']);
    expect(service('image: x').command).toEqual([]);
  });

  test('/app is the project, a bind mount is its source', () => {
    const web = service(
      'working_dir: /app/sub\nvolumes: ["./conf:/etc/nginx:ro", "data:/data"]\ncommand: [n, -c, /etc/nginx/n.conf, /app, /apple]',
    );
    expect(web.workingDirectory).toBe(join(directory, 'sub'));
    expect(web.command).toEqual(['n', '-c', join(directory, 'conf/n.conf'), directory, '/apple']);
  });

  test('environment: list and map, inherited names, env_file below it, .env for variables only', () => {
    writeFileSync(join(directory, '.env'), 'TAG=from-dotenv\nOTHER=other\n');
    writeFileSync(join(directory, 'web.env'), 'A=file\nB=file\n');
    const list = service('env_file: web.env\nenvironment: ["A=own", "TAG", "C=${OTHER}", "NOT_SET"]', {
      OTHER: 'caller',
    });
    expect(list.environment).toEqual({ A: 'own', B: 'file', TAG: 'from-dotenv', C: 'caller' });
    const map = service('env_file: [{path: none.env, required: false}]\nenvironment: {N: 5, T: true, TAG: }');
    expect(map.environment).toEqual({ N: '5', T: 'true', TAG: 'from-dotenv' });
  });

  test('depends_on: short and long', () => {
    const project = read(
      'services: {a: {command: a}, b: {command: b, healthcheck: {test: x}}, c: {depends_on: [a]},' +
        ' d: {depends_on: {a: {condition: service_completed_successfully}, b: {condition: service_healthy}}}}',
    );
    const conditions = (name: string) =>
      project.services.get(name)!.dependencies.map((one) => [one.service, one.condition]);
    expect(conditions('c')).toEqual([['a', 'service_started']]);
    expect(conditions('d')).toEqual([
      ['a', 'service_completed_successfully'],
      ['b', 'service_healthy'],
    ]);
    expect(selectServices(project, ['d']).map(({ name }) => name)).toEqual(['a', 'b', 'd']);
  });

  test('healthcheck: forms of the test, durations, defaults', () => {
    expect(
      service('healthcheck: {test: [CMD, a, b], interval: 1m30s, timeout: 500ms, retries: 5, start_period: 1h}')
        .healthcheck,
    ).toEqual({
      command: ['a', 'b'],
      intervalMs: 90_000,
      timeoutMs: 500,
      retries: 5,
      startPeriodMs: 3_600_000,
    });
    expect(service('healthcheck: {test: "a | b"}').healthcheck).toEqual({
      command: ['/bin/sh', '-c', 'a | b'],
      intervalMs: 30_000,
      timeoutMs: 30_000,
      retries: 3,
      startPeriodMs: 0,
    });
    expect(service('healthcheck: {test: [NONE]}').healthcheck).toBeUndefined();
    expect(service('healthcheck: {disable: true}').healthcheck).toBeUndefined();
  });

  test('ports, replicas, restart, stopping; numbers may come from variables', () => {
    const web = service(
      'ports: ["127.0.0.1:${P:-80}:8080", "9000-9001:9000-9001", "53:53/udp", "7000", "81:82", "[::1]:83:84/tcp", {target: 1, published: 2}]\n' +
        'deploy: {replicas: "${N}"}\nrestart: on-failure:4\nstop_signal: QUIT\nstop_grace_period: 1.5s',
      { N: '3' },
    );
    expect(web.ports.map(({ published, target }) => [published, target])).toEqual([
      [80, 8080],
      [9000, 9000],
      [9001, 9001],
      [81, 82],
      [83, 84],
      [2, 1],
    ]);
    expect(web).toMatchObject({
      replicas: 3,
      restart: { when: 'on-failure', maxRetries: 4 },
      stopSignal: 'SIGQUIT',
      stopGraceMs: 1500,
    });
    expect(service('restart: unless-stopped').restart).toEqual({ when: 'always' });
    expect(service('restart: "no"').restart).toEqual({ when: 'no' });
  });

  test('anchors and merge keys; the own value wins', () => {
    const project = read(
      'x-a: &a {restart: always, environment: {K: a}}\nx-b: &b {<<: *a, command: b}\n' +
        'services:\n  one: {<<: *b, command: own}\n  two: {<<: [{command: first}, *b]}\n',
    );
    expect(project.services.get('one')).toMatchObject({
      command: ['own'],
      restart: { when: 'always' },
      environment: { K: 'a' },
    });
    expect(project.services.get('two')!.command).toEqual(['first']);
  });

  test('keys that change nothing here are silent, others are named, profiles are left out', () => {
    const project = read(
      'version: "3"\nservices:\n  web: {image: x, build: ., cap_drop: [ALL], init: true, command: c, mem_limit: 1g}\n' +
        '  debug: {command: d, profiles: [debug]}\n',
    );
    expect(project.notes).toEqual(["services.web.mem_limit is a container's, and not enforced on local processes"]);
    expect(selectServices(project, []).map(({ name }) => name)).toEqual(['web']);
    expect(selectServices(project, ['debug']).map(({ name }) => name)).toEqual(['debug']);
  });
});

describe('what is refused', () => {
  test.each([
    ['services:\n  web:\n    comand: x\n', ':3: services.web additional property "comand" is not allowed'],
    ['service: {}\n', ':1: additional property "service" is not allowed'],
    ['services:\n', ':1: services must be a mapping'],
    ['name: x\n', ':1: has no services'],
    ['services: {}\n', ':1: services is empty'],
    ['services:\n  web: node\n', ':2: services.web must be a mapping'],
    ['services:\n  web:\n    command: [a, {b: c}]\n', ':3: services.web.command[1] must be a string'],
    ["services:\n  web:\n    command: 'a \"b'\n", ':3: services.web.command has a " that is not closed'],
    ['services:\n  web:\n    image: x\n    ports: 80\n', ':4: services.web.ports must be a list'],
    ['services:\n  web:\n    ports:\n      - "80:http"\n', ':4: services.web.ports[0] "80:http" is not a port mapping'],
    ['services:\n  web:\n    ports: ["80:70000"]\n', ':3: services.web.ports[0] has port 70000'],
    [
      'services:\n  web:\n    ports: ["1-3:1-2"]\n',
      ':3: services.web.ports[0] "1-3:1-2" has ranges of different lengths',
    ],
    ['services:\n  web:\n    stop_grace_period: 10\n', ':3: services.web.stop_grace_period must be a duration'],
    ['services:\n  web:\n    stop_signal: SIGNO\n', ':3: services.web.stop_signal "SIGNO" is not a signal'],
    ['services:\n  web:\n    restart: often\n', ':3: services.web.restart must be no, always'],
    ['services:\n  web:\n    deploy: {replicas: many}\n', ':3: services.web.deploy.replicas must be a whole number'],
    ['services:\n  web:\n    healthcheck: {interval: 1s}\n', ':3: services.web.healthcheck needs a test'],
    ['services:\n  web:\n    healthcheck: {test: [RUN, x]}\n', ':3: services.web.healthcheck.test must be'],
    ['services:\n  web:\n    environment: [=x]\n', ':3: services.web.environment[0] "=x" has no name'],
    ['services:\n  web:\n    env_file: no.env\n', ':3: services.web.env_file'],
    ['services:\n  web:\n    depends_on: [db]\n', ':3: services.web.depends_on names "db", which is no service'],
    [
      'services:\n  a: {depends_on: [b]}\n  b: {depends_on: [c]}\n  c:\n    depends_on: [a]\n',
      ':5: services.c.depends_on makes a circle: a -> b -> c -> a',
    ],
    [
      'services:\n  a: {depends_on: {b: {condition: service_healthy}}}\n  b: {command: b}\n',
      ':2: services.a.depends_on waits for "b" to be healthy',
    ],
    [
      'services:\n  a: {depends_on: {b: {condition: ready}}}\n  b: {command: b}\n',
      ':2: services.a.depends_on.b.condition must be one of',
    ],
    ['services:\n  web:\n    command: ${X:?set it}\n', ':3: required variable X is missing a value: set it'],
    ['services:\n  web:\n    command: *nope\n', ':3: '],
    ['services:\n  web: {command: a}\n  web: {command: b}\n', ':3: Map keys must be unique'],
    ['services:\n\tweb: x\n', ':2: '],
  ])('%j', (text, message) => {
    let error: Error | undefined;
    try {
      read(text);
    } catch (caught) {
      error = caught as Error;
    }
    expect(error?.name).toBe('ComposeError');
    expect(error?.message).toContain(`docker-compose.yml${message}`);
    expect(error?.message).not.toContain('\n');
  });
});
