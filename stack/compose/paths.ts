// Turns the paths that a container sees into the ones that local processes see: /app, where the image keeps the project,
// is the project's own directory, and a bind mount's target is its source. It is what lets one command serve both.
import { isAbsolute, join, normalize, resolve } from 'node:path';
import type { BindMount } from './ports.ts';

/** The project's place in the image; the Dockerfile's WORKDIR. */
export const IMAGE_DIRECTORY = '/app';

/**
 * Makes the mapping for one service. Called with a word of a command it changes the word only where it is a path that is
 * mapped; called with 'directory' it also makes a relative path absolute, from the project's directory.
 */
export function localPaths(
  projectDirectory: string,
  mounts: readonly BindMount[],
): (word: string, kind?: unknown) => string {
  const home = process.env['HOME'] ?? '';
  const table = [
    ...mounts.map(
      ({ source, target }) => [target, resolve(projectDirectory, source.replace(/^~(?=\/|$)/, home))] as const,
    ),
    [IMAGE_DIRECTORY, projectDirectory] as const,
  ].sort(([a], [b]) => b.length - a.length);
  return (word, kind) => {
    if (!isAbsolute(word)) return kind === 'directory' ? resolve(projectDirectory, word) : word;
    const path = normalize(word);
    for (const [inside, outside] of table) {
      if (path === inside) return outside;
      if (path.startsWith(`${inside.replace(/\/$/, '')}/`)) return join(outside, path.slice(inside.length));
    }
    return word;
  };
}
