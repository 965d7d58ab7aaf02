// Reads a compose file as one project: finds it, its .env, its services; checks that dependencies exist and make no
// circle. The result is plain data; nothing has been started when a ComposeError is thrown.
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { PACKAGE_DIRECTORY, packagedComposeFile } from '../packaged-project.ts';
import { readDotenv } from './dotenv.ts';
import { ComposeError } from './error.ts';
import { mapOf, textOf } from './fields.ts';
import { checkKeys, TOP_KEYS } from './keys.ts';
import { type Located, parseLocated, refuse } from './located.ts';
import { readService, type Service } from './service.ts';

/** What the banner says when everything is healthy; from the file's `x-portico`, which Compose ignores. */
export interface Welcome {
  urls: Array<{ url: string; note: string }>;
  authority?: string;
}

/** A compose file, read and checked. */
export interface Project {
  name: string;
  file: string;
  directory: string;
  services: Map<string, Service>;
  welcome: Welcome;
  /** Keys that cannot be followed here and variables that are not set, a line each. */
  notes: string[];
}

/** The names that Compose looks for, in its order. */
const FILE_NAMES = ['compose.yaml', 'compose.yml', 'docker-compose.yaml', 'docker-compose.yml'];

// What a compose file can refer to in order to differ under `portico up`. nginx's master, started by root, gives its
// workers to nobody, who can read neither a checkout in /root nor the project's private files; in the image, as for any
// other user, master and workers are one user, and so they are here.
const LOCAL_VARIABLES: Readonly<Record<string, string>> = {
  ...(process.getuid?.() === 0 ? { PORTICO_NGINX_GLOBALS: 'user root;' } : {}),
  PORTICO_PACKAGE: PACKAGE_DIRECTORY,
};

/**
 * The file to use: the one given, or the first of Compose's names in `directory`, or Portico's own topology where
 * `portico up` has put it. Throws ComposeError.
 */
export function findComposeFile(given: string | undefined, directory: string): string {
  if (given !== undefined) return resolve(directory, given);
  const name = FILE_NAMES.find((one) => existsSync(join(directory, one)));
  if (name === undefined) {
    const packaged = packagedComposeFile(directory);
    if (existsSync(packaged)) return packaged;
    throw new ComposeError(
      directory,
      undefined,
      `no ${FILE_NAMES.at(-1)} here; go to the project, or name it with --file`,
    );
  }
  return join(directory, name);
}

/** Whether a compose file of Compose's names is in `directory`. */
export function hasComposeFile(directory: string): boolean {
  return FILE_NAMES.some((one) => existsSync(join(directory, one)));
}

/** Reads the project. `shown` is how errors spell the file, for a path relative to where the user is. */
export function readProject(file: string, environment: NodeJS.ProcessEnv, shown: string = file): Project {
  const directory = dirname(file);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ComposeError(shown, undefined, `cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  const notes: string[] = [];
  const note = (line: string): void => {
    if (!notes.includes(line)) notes.push(line);
  };
  const dotenv = existsSync(join(directory, '.env'))
    ? readDotenv(join(directory, '.env'), (name) => environment[name])
    : new Map<string, string>();
  const getVariable = (name: string): string | undefined =>
    environment[name] ?? dotenv.get(name) ?? LOCAL_VARIABLES[name];
  const top = mapOf(
    parseLocated(text, shown, {
      get: getVariable,
      onUnset: (name) => note(`the variable ${name} is not set, and is taken as empty`),
    }),
  );
  checkKeys(top, TOP_KEYS, note);
  const node = top.entries.get('services');
  if (node === undefined) throw refuse(top, 'has no services');

  const services = new Map<string, Service>();
  for (const [name, value] of mapOf(node).entries) {
    services.set(name, readService(name, value, { projectDirectory: directory, getVariable, note }));
  }
  if (services.size === 0) throw refuse(node, 'is empty');
  const given = top.entries.get('name');
  const project: Project = {
    name: given === undefined ? basename(directory) : textOf(given),
    file,
    directory,
    services,
    welcome: readWelcome(top.entries.get('x-portico')),
    notes,
  };
  checkDependencies(project, shown);
  return project;
}

function readWelcome(node: Located | undefined): Welcome {
  if (node === undefined) return { urls: [] };
  const map = mapOf(node);
  const urls = map.entries.get('urls');
  const authority = map.entries.get('ca');
  return {
    urls: urls === undefined ? [] : [...mapOf(urls).entries].map(([url, value]) => ({ url, note: textOf(value) })),
    ...(authority === undefined ? {} : { authority: textOf(authority) }),
  };
}

function checkDependencies(project: Project, shown: string): void {
  const done = new Set<string>();
  const visit = (service: Service, trail: readonly string[]): void => {
    if (done.has(service.name)) return;
    for (const dependency of service.dependencies) {
      const target = project.services.get(dependency.service);
      const field = `services.${service.name}.depends_on`;
      if (target === undefined) {
        throw new ComposeError(shown, dependency.line, `${field} names "${dependency.service}", which is no service`);
      }
      if (dependency.condition === 'service_healthy' && target.healthcheck === undefined) {
        throw new ComposeError(
          shown,
          dependency.line,
          `${field} waits for "${target.name}" to be healthy, but it has no healthcheck`,
        );
      }
      const at = trail.indexOf(target.name);
      if (at !== -1 || target === service) {
        const circle = [...trail.slice(at === -1 ? trail.length : at), service.name, target.name].join(' -> ');
        throw new ComposeError(shown, dependency.line, `${field} makes a circle: ${circle}`);
      }
      visit(target, [...trail, service.name]);
    }
    done.add(service.name);
  };
  for (const service of project.services.values()) visit(service, []);
}

/** What to run: the services asked for (all without a profile if none) and all that they depend on, in starting order. */
export function selectServices(project: Project, asked: readonly string[]): Service[] {
  const chosen = new Set<Service>();
  const choose = (name: string): void => {
    const service = project.services.get(name);
    if (service === undefined) throw new ComposeError(basename(project.file), undefined, `no such service: ${name}`);
    if (chosen.has(service)) return;
    for (const dependency of service.dependencies) choose(dependency.service);
    chosen.add(service);
  };
  if (asked.length > 0) for (const name of asked) choose(name);
  else for (const service of project.services.values()) if (service.profiles.length === 0) choose(service.name);
  return [...chosen];
}
