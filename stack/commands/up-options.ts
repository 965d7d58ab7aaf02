// Reads the command line of `portico up` and holds it against the project: which services, how many replicas of each.
// What cannot work locally is refused here, before anything is started.
import { parseArgs } from 'node:util';
import { ComposeError } from '../compose/error.ts';
import type { Project } from '../compose/project.ts';
import { selectServices } from '../compose/project.ts';
import type { Service } from '../compose/service.ts';
import { UsageError } from './command.ts';

/** The command line of `up`, read. */
export interface UpOptions {
  file: string | undefined;
  scale: Map<string, number>;
  isDetached: boolean;
  services: string[];
}

/** Parses the arguments. Throws UsageError. */
export function parseUpOptions(argv: readonly string[]): UpOptions {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(argv);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  const scale = new Map<string, number>();
  for (const given of parsed.values.scale ?? []) {
    const match = /^([^=]+)=(\d{1,3})$/.exec(given);
    if (match === null) throw new UsageError(`--scale takes SERVICE=NUMBER, not "${given}"`);
    scale.set(match[1]!, Number(match[2]));
  }
  return { file: parsed.values.file, scale, isDetached: parsed.values.detach === true, services: parsed.positionals };
}

function parse(argv: readonly string[]) {
  return parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      file: { type: 'string', short: 'f' },
      scale: { type: 'string', multiple: true },
      detach: { type: 'boolean', short: 'd' },
    },
  });
}

/** The services to run with their replicas set. Throws ComposeError. */
export function chooseServices(project: Project, options: UpOptions, shown: string): Service[] {
  for (const name of options.scale.keys()) {
    if (!project.services.has(name)) throw new UsageError(`--scale names "${name}", which is no service of ${shown}`);
  }
  const chosen = selectServices(project, options.services).map((service) => ({
    ...service,
    replicas: options.scale.get(service.name) ?? service.replicas,
  }));
  for (const service of chosen) {
    const at = `services.${service.name}`;
    if (service.command.length === 0) {
      throw new ComposeError(
        shown,
        service.line,
        `${at} has no command, and its image's own is not known to local processes; give it one, or name the services to run`,
      );
    }
    if (service.replicas > 1 && service.ports.length > 0) {
      throw new ComposeError(
        shown,
        service.line,
        `${at} publishes port ${service.ports[0]!.published} and so can have only one replica, not ${service.replicas}`,
      );
    }
  }
  return chosen;
}

/** Refuses to scale where the replicas would have to share one address. */
export function checkSharedAddress(services: readonly Service[], shown: string): void {
  for (const { name, replicas, line } of services) {
    if (replicas > 1) {
      throw new ComposeError(
        shown,
        line,
        `services.${name} cannot have ${replicas} replicas: this system has no loopback addresses beside 127.0.0.1; ` +
          'raise the number of workers instead, or use docker compose up --scale',
      );
    }
  }
}

/** Lines on what differs from Docker for the chosen services: ports that would have to be mapped, services left out. */
export function localNotes(project: Project, services: readonly Service[]): string[] {
  const notes: string[] = [];
  for (const { name, ports } of services) {
    for (const { published, target } of ports) {
      if (published === target) continue;
      notes.push(`services.${name}.ports is ${published}:${target}, but a local process listens on ${target} itself`);
    }
  }
  for (const { name, profiles } of project.services.values()) {
    if (profiles.length === 0 || services.some((one) => one.name === name)) continue;
    notes.push(`services.${name} is in the profile ${profiles.join(', ')}; name it to have it run`);
  }
  return notes;
}
