// The authorities whose certificates the generator trusts: those that the user gives, and by default the one that Portico made
// for this machine, so that https://localhost:8443/ needs no flag.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, parse } from 'node:path';
import { fileURLToPath } from 'node:url';

const LOCAL = join('certs', 'live', 'ca.pem');

/** PEM texts. Throws RangeError when a file that was asked for cannot be read. */
export function readAuthorities(file: string | undefined): string[] {
  if (file !== undefined) {
    try {
      return [readFileSync(file, 'utf8')];
    } catch (error) {
      throw new RangeError(`--cacert: ${(error as Error).message}`);
    }
  }
  const here = dirname(fileURLToPath(import.meta.url));
  const places = [process.cwd(), ...above(here)].map((directory) => join(directory, LOCAL));
  const found = places.find((place) => existsSync(place));
  return found === undefined ? [] : [readFileSync(found, 'utf8')];
}

/** The project's directory, in the repository or above the published build. */
function above(directory: string): string[] {
  const { root } = parse(directory);
  const parent = dirname(directory);
  return parent === root ? [parent] : [parent, dirname(parent)];
}
