// Files that come with the proxy (proxy/conf), for configurations that include them from where nginx keeps them.
import { readFileSync } from 'node:fs';

/** The text of a file under proxy/. */
export function packagedFile(name: string): string {
  return readFileSync(new URL(`../${name}`, import.meta.url), 'latin1');
}
