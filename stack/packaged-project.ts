// What `portico up` runs in a project that has no compose file: the topology that comes with Portico, copied to
// .portico/default of that project. The programs stay in the package; configuration, certificates, state and temporary
// files are the project's own. The copy is made anew at each start, so that it fits the installed version.
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where the programs are: the repository, or dist/ of the published package. */
export const PACKAGE_DIRECTORY: string = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

const EXTENSION = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
const PROGRAM = /(?<=[\s[])((?:certs|proxy|services|stack)\/[\w/-]+)\.(ts|mjs)(:\w+)?(?=[\s,\]])/g;

/** The copied compose file of a project; there once `portico up` has made it. */
export function packagedComposeFile(directory: string): string {
  return join(directory, '.portico/default/docker-compose.yml');
}

/** Whether a directory is a project that the topology may be copied to. */
export function isProject(directory: string): boolean {
  return existsSync(join(directory, 'package.json'));
}

/** Copies the topology; gives its compose file. PORTICO_HTTP_PORT and PORTICO_HTTPS_PORT move it to other ports. */
export function copyPackagedProject(directory: string, environment: NodeJS.ProcessEnv): string {
  const file = packagedComposeFile(directory);
  const copy = join(file, '..');
  mkdirSync(join(copy, 'proxy/temp'), { recursive: true });
  writeFileSync(join(directory, '.portico/.gitignore'), '*\n');
  for (const folder of ['proxy/conf', 'proxy/html']) {
    cpSync(join(PACKAGE_DIRECTORY, folder), join(copy, folder), { recursive: true, force: true });
  }
  const { PORTICO_HTTP_PORT: http = '8080', PORTICO_HTTPS_PORT: https = '8443' } = environment;
  const onPorts = (text: string): string => text.replace(/\b8080\b/g, http).replace(/\b8443\b/g, https);
  const conf = join(copy, 'proxy/conf/nginx.conf');
  writeFileSync(conf, onPorts(readFileSync(conf, 'utf8')));
  const text = onPorts(readFileSync(join(PACKAGE_DIRECTORY, 'docker-compose.yml'), 'utf8'));
  writeFileSync(
    file,
    text.replace(PROGRAM, (_, path: string, extension: string, name = '') => {
      const program = extension === 'ts' ? `${path}${EXTENSION}` : `${path}.${extension}`;
      return `"\${PORTICO_PACKAGE}/${program}${name}"`;
    }),
  );
  return file;
}
