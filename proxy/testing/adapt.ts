// Makes a configuration that was written for a server run on any machine: for its tests, and for `portico explain`. What
// is changed does not decide what happens to a request: users, paths of temporary files and caches, certificates that
// are not on this machine, and the blocks around a file that is meant to be included.
import { existsSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { Directive } from '../config/parser.ts';

export interface AdaptOptions {
  /** Directory of the configuration file, with a trailing slash: certificates are relative to it. */
  readonly confPrefix: string;
  /** Where temporary files and caches go. */
  readonly scratch: string;
  /** Stand for certificate files that are not there. */
  readonly certificate: string;
  readonly key: string;
}

/** Left out: who runs the workers, checks of a certificate that a fake upstream cannot have. */
const DROPPED = new Set(['user', 'proxy_ssl_verify', 'proxy_ssl_crl']);
/** Left out where the file is not there. */
const OPTIONAL_FILES = new Set([
  'ssl_dhparam',
  'ssl_crl',
  'ssl_password_file',
  'ssl_session_ticket_key',
  'ssl_stapling_file',
  'proxy_ssl_password_file',
]);
const CERTIFICATES = new Set([
  'ssl_client_certificate',
  'ssl_trusted_certificate',
  'proxy_ssl_trusted_certificate',
  'proxy_ssl_certificate',
]);
const TEMP_PATHS = ['client_body_temp_path', 'proxy_temp_path'];

/** The directives to compile instead of `directives`. */
export function adaptDirectives(directives: readonly Directive[], options: AdaptOptions): Directive[] {
  let top = [...directives];
  const isFragment =
    !top.some((d) => d.name === 'http') && top.some((d) => d.name === 'server' || d.name === 'upstream');
  if (isFragment) top = [block('http', top, top[0]!)];
  top = adaptBlock(top, { ...options, caches: 0 });
  if (!top.some((d) => d.name === 'events' || d.fault)) top.unshift(block('events', [], top[0]));
  return top.map((d) => (d.name === 'http' && d.block ? { ...d, block: withTempPaths(d.block, d, options) } : d));
}

function block(name: string, inside: Directive[], at?: { file: string; line: number }): Directive {
  return { name, args: [], isQuoted: [], block: inside, file: at?.file ?? '', line: at?.line ?? 0 };
}

function withTempPaths(inside: Directive[], at: Directive, { scratch }: AdaptOptions): Directive[] {
  const paths = TEMP_PATHS.map((name) => ({
    ...at,
    name,
    args: [join(scratch, name)],
    isQuoted: [false],
    block: undefined,
  }));
  return [...paths, ...inside];
}

function adaptBlock(directives: readonly Directive[], options: AdaptOptions & { caches: number }): Directive[] {
  const out: Directive[] = [];
  // A pair of which one file is missing is replaced as a whole.
  const pair = directives.filter((d) => d.name === 'ssl_certificate' || d.name === 'ssl_certificate_key');
  const isPairMissing = pair.some((d) => isMissing(d, options));
  for (const directive of directives) {
    const { name, args } = directive;
    if (DROPPED.has(name) || TEMP_PATHS.includes(name)) continue;
    if (OPTIONAL_FILES.has(name) && isMissing(directive, options)) continue;
    if (name === 'ssl_certificate' && isPairMissing) out.push({ ...directive, args: [options.certificate] });
    else if (name === 'ssl_certificate_key' && isPairMissing) out.push({ ...directive, args: [options.key] });
    else if (CERTIFICATES.has(name) && isMissing(directive, options))
      out.push({ ...directive, args: [options.certificate] });
    else if (name === 'proxy_ssl_certificate_key' && isMissing(directive, options))
      out.push({ ...directive, args: [options.key] });
    else if (name === 'proxy_cache_path') {
      const path = join(options.scratch, `cache${++options.caches}`);
      const own = args.slice(1).filter((arg) => !arg.startsWith('use_temp_path='));
      out.push({ ...directive, args: [path, ...own] });
    } else if (name === 'access_log' && args[0]?.includes('$')) {
      // Opened for each line, wherever the variables lead; here it is one log under the name as written.
      out.push({ ...directive, args: [args[0].replaceAll('$', '%'), ...args.slice(1)] });
    } else if (directive.block) out.push({ ...directive, block: adaptBlock(directive.block, options) });
    else out.push(directive);
  }
  return out;
}

function isMissing({ args }: Directive, { confPrefix }: AdaptOptions): boolean {
  const path = args[0] ?? '';
  if (path === '' || path.includes('$') || path.startsWith('data:')) return false;
  return !existsSync(isAbsolute(path) ? path : join(confPrefix, path));
}
