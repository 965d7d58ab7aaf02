// The project's own name service: a file in /etc/hosts format, whose path programs of ours find in PORTICO_HOSTS. As with
// Docker's DNS, a service's name has the addresses of all its running replicas, and a replica also has a name of its own;
// a replica that is down is not in it. Replaced in one step, so a reader never sees half a list.
import { renameSync, writeFileSync } from 'node:fs';

/** A running replica: `wsgi`, `wsgi-1`, its address. */
export interface HostsEntry {
  service: string;
  name: string;
  address: string;
}

/** Writes the file for the replicas that are running now. */
export function writeHostsFile(path: string, entries: readonly HostsEntry[]): void {
  const lines = entries.map(({ service, name, address }) => `${address}\t${service} ${name}\n`);
  const aside = `${path}.${process.pid}`;
  writeFileSync(aside, `# Written by portico up; names of the services that are running.\n${lines.join('')}`, {
    mode: 0o644,
  });
  renameSync(aside, path);
}
