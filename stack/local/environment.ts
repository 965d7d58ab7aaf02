// The environment of a service's processes. A container starts with none of the caller's variables, and so do these: only
// what a program needs to find its way on this machine is passed on, so that a service that works here works there too.
import { delimiter, dirname } from 'node:path';
import type { Service } from '../compose/service.ts';

const PASSED_ON = ['HOME', 'LANG', 'LC_ALL', 'LC_CTYPE', 'LOGNAME', 'SHELL', 'TERM', 'TMPDIR', 'TZ', 'USER'];

/**
 * The variables for one replica: the service's own, and where it lives. PORTICO_ADDRESS is what programs of ours bind
 * instead of a wildcard address; PORTICO_HOSTS is the file in which they look names up first.
 */
export function serviceEnvironment(service: Service, address: string, hostsFile: string): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = {};
  for (const name of PASSED_ON) if (process.env[name] !== undefined) environment[name] = process.env[name];
  // `node` in a command is the Node that runs Portico: the pinned one, as in the image.
  environment['PATH'] = [dirname(process.execPath), process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin'].join(
    delimiter,
  );
  return { ...environment, ...service.environment, PORTICO_ADDRESS: address, PORTICO_HOSTS: hostsFile };
}
