// `try_files`: the first file or directory that is there becomes the URI; the last argument says where to go
// otherwise. In the precontent phase. Mirrors ngx_http_try_files_module, its treatment of `alias` included.
import { errnoText, type Place } from '../config/error.ts';
import { custom, defineModule, LOCATION, SERVER } from '../config/rows.ts';
import type { Template } from '../config/template.ts';
import { DECLINED, DONE } from '../http/codes.ts';
import type { Exchange } from '../http/exchange.ts';
import { internalRedirect, namedLocation } from '../http/finalize.ts';
import { testFile } from '../http/open-file.ts';
import { rootOf, rootPathOf } from '../http/paths.ts';

interface TryFiles {
  readonly files: readonly { readonly name: Template; readonly isDir: boolean }[];
  readonly fallback: Template;
  /** Status to answer with instead of the fallback, 0: none. */
  readonly code: number;
  readonly place: Place;
}

export const tryFilesModule = defineModule('try-files', {
  location: {
    try_files: custom<TryFiles | undefined>(SERVER | LOCATION, '2+', {
      default: undefined,
      syntax: 'file ... uri | file ... =code',
      // nginx does not inherit it.
      merge: (_, own) => own,
      set(cf) {
        const names = [...cf.args];
        const last = names.pop()!;
        let code = 0;
        if (last.startsWith('=')) {
          code = /^=\d+$/.test(last) ? Number(last.slice(1)) : -1;
          if (code < 0 || code > 999) cf.fail(`invalid code "${last}"`);
        }
        const files = names.map((name) => {
          const isDir = name.endsWith('/');
          return { name: cf.template(isDir ? name.slice(0, -1) : name), isDir };
        });
        return { files, fallback: cf.template(last), code, place: cf.directive };
      },
    }),
  },
});

/** Tries the files of this location. */
export function tryFilesHandler(r: Exchange): number {
  const conf = tryFilesModule.location(r.location).try_files;
  if (!conf) return DECLINED;
  const base = rootPathOf(r);
  if (base === undefined) return 500;
  const root = rootOf(r.location);
  const { trace } = r.client;

  for (const { name, isDir } of conf.files) {
    const uri = relativeToAlias(r, name);
    const path = base + uri;
    const file = testFile(r, path);
    if (trace) trace.observe('file', tried(path, isDir, file), conf.place);
    if (file.error !== '') {
      if (file.error !== 'ENOENT' && file.error !== 'ENOTDIR' && file.error !== 'ENAMETOOLONG') {
        r.log('crit', `${file.failed} "${path}" failed ${errnoText(file.cause)}`);
      }
      continue;
    }
    if (file.isDir !== isDir) continue;
    if (!root.isAlias) r.setUri(uri);
    else if (root.isWhole) {
      if (!isDir) {
        r.setUri(uri);
        r.addsUriToAlias = true;
      }
    } else r.setUri(r.uri.slice(0, root.aliasLength) + uri);
    return DECLINED;
  }

  if (conf.code) {
    trace?.observe('file', `try_files: nothing was there: =${conf.code}`, conf.place);
    return conf.code;
  }
  const target = relativeToAlias(r, conf.fallback);
  trace?.observe('file', `try_files: nothing was there: on to ${target}`, conf.place);
  if (target.startsWith('@')) namedLocation(r, target);
  else {
    const question = target.indexOf('?');
    if (question < 0) internalRedirect(r, target, '');
    else internalRedirect(r, target.slice(0, question), target.slice(question + 1));
  }
  return DONE;
}

/** What a trace is told of a candidate. */
function tried(path: string, isDir: boolean, file: ReturnType<typeof testFile>): string {
  const wanted = isDir ? 'a directory' : 'a file';
  if (file.error !== '') return `try_files: ${path} (${wanted}) is not there (${file.error})`;
  if (file.isDir !== isDir) return `try_files: ${path} is there, but is not ${wanted}`;
  return `try_files: ${path} is there, ${wanted}: chosen`;
}

/** A name with variables loses the location's name, which the alias stands for. */
function relativeToAlias(r: Exchange, name: Template): string {
  const text = name.evaluate(r);
  const { aliasLength } = rootOf(r.location);
  if (aliasLength > 0 && name.constant === undefined && text.startsWith(r.uri.slice(0, aliasLength))) {
    return text.slice(aliasLength);
  }
  return text;
}
