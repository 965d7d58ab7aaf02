// What the user reads when the stack is up: what answers where, the curl line that works now, where to trust the
// authority, and how to stop. URLs come from the compose file's x-portico, or from the published ports.
import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Project } from '../compose/project.ts';
import type { Service } from '../compose/service.ts';

/** The banner, lines with their ends. `from` is the user's directory, so that the paths in it can be pasted. */
export function banner(
  project: Project,
  services: readonly Service[],
  figures: { replicas: number; seconds: string; from: string; isDetached: boolean },
): string {
  const urls = project.welcome.urls.length > 0 ? project.welcome.urls : publishedUrls(services);
  const width = Math.max(0, ...urls.map(({ url }) => url.length));
  const lines = [
    `${project.name} is up: ${figures.replicas} ${figures.replicas === 1 ? 'process' : 'processes'} ready in ${figures.seconds} s`,
    '',
  ];
  for (const { url, note } of urls) lines.push(`  ${url.padEnd(width)}   ${note}`.trimEnd());
  const { authority } = project.welcome;
  const secure = urls.find(({ url }) => url.startsWith('https:'))?.url;
  if (authority !== undefined && existsSync(join(project.directory, authority))) {
    const path = relative(figures.from, join(project.directory, authority)) || authority;
    if (secure !== undefined) lines.push('', `  curl --cacert ${path} ${secure}`);
    lines.push(
      '',
      `  To trust it in a browser, import ${path} as an authority: Firefox and Chrome under Settings, Certificates;`,
      `  macOS: security add-trusted-cert -k ~/Library/Keychains/login.keychain-db ${path}`,
      `  Debian: sudo cp ${path} /usr/local/share/ca-certificates/portico.crt && sudo update-ca-certificates`,
    );
  }
  lines.push(
    '',
    figures.isDetached
      ? '  portico ps shows it, portico down stops it.'
      : '  Ctrl-C stops it; a second Ctrl-C kills it.',
  );
  return `\n${lines.join('\n')}\n\n`;
}

function publishedUrls(services: readonly Service[]): Array<{ url: string; note: string }> {
  return services.flatMap(({ name, ports }) =>
    ports.map(({ target }) => ({ url: `http://localhost:${target}/`, note: name })),
  );
}
