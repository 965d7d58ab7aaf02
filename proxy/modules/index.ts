// The `index` directive: a request that ends in a slash is redirected, internally, to the first index file that is
// there. First in the content phase. Mirrors ngx_http_index_module.
import { errnoText } from '../config/error.ts';
import { custom, defineModule, HSL } from '../config/rows.ts';
import { constantTemplate, type Template } from '../config/template.ts';
import { DECLINED, DONE, OK } from '../http/codes.ts';
import type { Exchange } from '../http/exchange.ts';
import { internalRedirect } from '../http/finalize.ts';
import { testFile } from '../http/open-file.ts';
import { pathOf } from '../http/paths.ts';
import { coreModule } from './core-rows.ts';

export const indexModule = defineModule('index', {
  location: {
    index: custom<readonly Template[]>(HSL, '1+', {
      default: [constantTemplate('index.html')],
      isRepeatable: true,
      syntax: 'file ...',
      defaultText: 'index.html',
      set(cf, previous) {
        const added = cf.args.map((arg, i) => {
          if (arg === '') cf.fail(`index "${cf.args[0]}" in "index" directive is invalid`);
          if (arg.startsWith('/') && i !== cf.args.length - 1) {
            cf.compiler.warn('only the last index in "index" directive should be absolute', cf.directive);
          }
          return cf.template(arg);
        });
        return [...(previous ?? []), ...added];
      },
    }),
  },
});

/** Looks for the index files of a directory. */
export function indexHandler(r: Exchange): number {
  if (!r.uri.endsWith('/')) return DECLINED;
  if (r.method !== 'GET' && r.method !== 'HEAD' && r.method !== 'POST') return DECLINED;
  let directory: string | undefined;
  for (const index of indexModule.location(r.location).index) {
    const name = index.evaluate(r);
    if (name.startsWith('/')) {
      internalRedirect(r, name, r.args);
      return DONE;
    }
    if (directory === undefined) {
      directory = pathOf(r);
      if (directory === undefined) return 500;
    }
    const path = directory + name;
    const file = testFile(r, path);
    r.client.trace?.observe(
      'file',
      `index: ${path} ${file.error === '' ? 'is there' : `is not there (${file.error})`}`,
    );
    if (file.error === '') {
      internalRedirect(r, r.uri + name, r.args);
      return DONE;
    }
    if (file.error === 'ELOOP' || file.error === 'EMLINK') return 403;
    if (file.error !== 'ENOENT') {
      if (file.error === 'ENOTDIR' || file.error === 'ENAMETOOLONG' || file.error === 'EACCES') {
        return notFound(r, path, file.error, file.cause);
      }
    }
    const rc = testDirectory(r, path, directory);
    if (rc !== OK) return rc;
    if (file.error !== 'ENOENT') {
      r.log('crit', `${file.failed} "${path}" failed ${errnoText(file.cause)}`);
      return 500;
    }
  }
  return DECLINED;
}

/** A missing directory is "not found", a directory without an index is not. */
function testDirectory(r: Exchange, indexPath: string, directory: string): number {
  const path = directory.length > 1 && directory.endsWith('/') ? directory.slice(0, -1) : directory;
  const dir = testFile(r, path);
  if (dir.error === 'ELOOP' || dir.error === 'EMLINK') return 403;
  if (dir.error === 'ENOENT') return notFound(r, indexPath, dir.error, dir.cause);
  // The index file's own test got past the directory, so it may be searched.
  if (dir.error === 'EACCES') return OK;
  if (dir.error !== '') {
    r.log('crit', `${dir.failed} "${path}" failed ${errnoText(dir.cause)}`);
    return 500;
  }
  if (dir.isDir) return OK;
  // The system said so for the index file already (ENOTDIR), but Node does not tell it from ENOENT.
  return notFound(r, indexPath, 'ENOTDIR', { code: 'ENOTDIR' });
}

function notFound(r: Exchange, path: string, code: string, cause: unknown): number {
  if (code === 'EACCES') {
    r.log('error', `"${path}" is forbidden ${errnoText(cause)}`);
    return 403;
  }
  if (coreModule.location(r.location).log_not_found) r.log('error', `"${path}" is not found ${errnoText(cause)}`);
  return 404;
}
