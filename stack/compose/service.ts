// Reads one service of a compose file into what running it locally needs, and nothing else: argument list, environment,
// directory, dependencies, healthcheck, replicas, restart policy and how to stop it. Keys and shapes are checked on the
// way; defaults are Docker's (interval 30 s, 3 retries, 10 s of grace, SIGTERM, no restart).
import { constants } from 'node:os';
import { join } from 'node:path';
import { readDotenv } from './dotenv.ts';
import { argumentsOf, booleanOf, countOf, durationMsOf, listOf, mapOf, pairsOf, textOf } from './fields.ts';
import { checkKeys, DEPLOY_KEYS, HEALTHCHECK_KEYS, SERVICE_KEYS } from './keys.ts';
import { type Located, refuse } from './located.ts';
import { localPaths } from './paths.ts';
import { bindMountsOf, type PublishedPort, portsOf } from './ports.ts';

/** What must be true of a service before another may start. */
export type Condition = 'service_started' | 'service_healthy' | 'service_completed_successfully';

export interface Dependency {
  service: string;
  condition: Condition;
  isRequired: boolean;
  line: number;
}

/** A command whose exit status 0 means healthy. Times in ms. */
export interface Healthcheck {
  command: string[];
  intervalMs: number;
  timeoutMs: number;
  retries: number;
  startPeriodMs: number;
}

export interface RestartPolicy {
  when: 'no' | 'on-failure' | 'always';
  /** How often at most; undefined for no limit. */
  maxRetries?: number;
}

/** One service, ready to be run as local processes. */
export interface Service {
  name: string;
  line: number;
  /** Empty when the file leaves it to the image, which is not known here. */
  command: string[];
  workingDirectory: string;
  environment: Record<string, string>;
  dependencies: Dependency[];
  healthcheck?: Healthcheck;
  replicas: number;
  restart: RestartPolicy;
  stopSignal: NodeJS.Signals;
  stopGraceMs: number;
  ports: PublishedPort[];
  profiles: string[];
}

/** What a service's reading needs to know of its project. */
export interface ServiceContext {
  projectDirectory: string;
  getVariable(name: string): string | undefined;
  note(line: string): void;
}

const NAME = /^[a-zA-Z0-9._-]+$/;

/** Reads the service `name` from its node. Throws ComposeError. */
export function readService(name: string, node: Located, context: ServiceContext): Service {
  if (!NAME.test(name)) throw refuse(node, `has a name with characters other than letters, digits, ".", "_" and "-"`);
  const map = mapOf(node);
  checkKeys(map, SERVICE_KEYS, context.note);
  const has = <T>(key: string, read: (value: Located) => T): T | undefined => {
    const value = map.entries.get(key);
    return value === undefined || (value.kind === 'scalar' && value.value === null) ? undefined : read(value);
  };
  const toLocal = localPaths(context.projectDirectory, has('volumes', bindMountsOf) ?? []);
  const healthcheck = has('healthcheck', (value) => readHealthcheck(value, toLocal, context));
  return {
    name,
    line: node.line,
    command: [...(has('entrypoint', argumentsOf) ?? []), ...(has('command', argumentsOf) ?? [])].map(toLocal),
    workingDirectory: has('working_dir', (value) => toLocal(textOf(value), 'directory')) ?? context.projectDirectory,
    environment: {
      ...has('env_file', (v) => readEnvFiles(v, context)),
      ...has('environment', (v) => ownPairs(v, context)),
    },
    dependencies: has('depends_on', readDependencies) ?? [],
    ...(healthcheck === undefined ? {} : { healthcheck }),
    replicas: has('deploy', (value) => readReplicas(value, context)) ?? has('scale', countOf) ?? 1,
    restart: has('restart', readRestart) ?? { when: 'no' },
    stopSignal: has('stop_signal', readSignal) ?? 'SIGTERM',
    stopGraceMs: has('stop_grace_period', durationMsOf) ?? 10_000,
    ports: has('ports', portsOf) ?? [],
    profiles: has('profiles', (value) => listOf(value).map(textOf)) ?? [],
  };
}

function readHealthcheck(
  node: Located,
  toLocal: (word: string) => string,
  context: ServiceContext,
): Healthcheck | undefined {
  const map = mapOf(node);
  checkKeys(map, HEALTHCHECK_KEYS, context.note);
  const has = <T>(key: string, read: (value: Located) => T): T | undefined => {
    const value = map.entries.get(key);
    return value === undefined ? undefined : read(value);
  };
  if (has('disable', booleanOf) === true) return undefined;
  const test = map.entries.get('test');
  if (test === undefined) throw refuse(node, "needs a test: the image's own is not known to local processes");
  const words = test.kind === 'list' ? test.items.map(textOf) : ['CMD-SHELL', textOf(test)];
  const [kind, ...rest] = words;
  if (kind === 'NONE') return undefined;
  if ((kind !== 'CMD' && kind !== 'CMD-SHELL') || rest.length === 0) {
    throw refuse(test, 'must be a string, or a list that starts with CMD, CMD-SHELL or NONE');
  }
  return {
    command: kind === 'CMD' ? rest.map(toLocal) : ['/bin/sh', '-c', rest.join(' ')],
    intervalMs: has('interval', durationMsOf) || 30_000,
    timeoutMs: has('timeout', durationMsOf) || 30_000,
    retries: has('retries', countOf) || 3,
    startPeriodMs: has('start_period', durationMsOf) ?? 0,
  };
}

const CONDITIONS = ['service_started', 'service_healthy', 'service_completed_successfully'] as const;

function readDependencies(node: Located): Dependency[] {
  if (node.kind === 'list') {
    return node.items.map((item) => ({
      service: textOf(item),
      condition: 'service_started',
      isRequired: true,
      line: item.line,
    }));
  }
  return [...mapOf(node).entries].map(([service, value]) => {
    const entry = mapOf(value);
    const given = entry.entries.get('condition');
    const condition = given === undefined ? 'service_started' : CONDITIONS.find((one) => one === textOf(given));
    if (condition === undefined) throw refuse(given!, `must be one of ${CONDITIONS.join(', ')}`);
    const required = entry.entries.get('required');
    return { service, condition, isRequired: required === undefined || booleanOf(required), line: value.line };
  });
}

function readReplicas(node: Located, context: ServiceContext): number | undefined {
  const map = mapOf(node);
  checkKeys(map, DEPLOY_KEYS, context.note);
  const replicas = map.entries.get('replicas');
  return replicas === undefined ? undefined : countOf(replicas);
}

function readRestart(node: Located): RestartPolicy {
  // YAML reads an unquoted no as text here (1.2), and as false in files written for older parsers.
  const text = textOf(node);
  if (text === 'no' || text === 'false') return { when: 'no' };
  if (text === 'always' || text === 'unless-stopped') return { when: 'always' };
  const match = /^on-failure(?::(\d+))?$/.exec(text);
  if (match === null) throw refuse(node, 'must be no, always, unless-stopped, on-failure or on-failure:N');
  return { when: 'on-failure', ...(match[1] === undefined ? {} : { maxRetries: Number(match[1]) }) };
}

function readSignal(node: Located): NodeJS.Signals {
  const text = textOf(node).toUpperCase();
  const named = text.startsWith('SIG') ? text : `SIG${text}`;
  const found = Object.entries(constants.signals).find(([name, number]) => name === named || String(number) === text);
  if (found === undefined) throw refuse(node, `"${textOf(node)}" is not a signal of this system`);
  return found[0] as NodeJS.Signals;
}

function ownPairs(node: Located, context: ServiceContext): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (const [name, given] of pairsOf(node)) {
    const value = given ?? context.getVariable(name);
    if (value !== undefined) pairs[name] = value;
  }
  return pairs;
}

function readEnvFiles(node: Located, context: ServiceContext): Record<string, string> {
  const all: Record<string, string> = {};
  for (const item of node.kind === 'list' ? node.items : [node]) {
    let path: Located | undefined = item;
    let isRequired = true;
    if (item.kind === 'map') {
      path = item.entries.get('path');
      if (path === undefined) throw refuse(item, 'needs a path');
      const required = item.entries.get('required');
      isRequired = required === undefined || booleanOf(required);
    }
    const file = textOf(path).startsWith('/') ? textOf(path) : join(context.projectDirectory, textOf(path));
    try {
      Object.assign(all, Object.fromEntries(readDotenv(file, context.getVariable)));
    } catch (error) {
      if (isRequired) throw refuse(path, `${(error as Error).message}`);
    }
  }
  return all;
}
