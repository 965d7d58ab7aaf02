// `auth_basic`: user and password against a file of hashes, in the access phase. The file is read for each request, so
// that a change counts at once. Mirrors ngx_http_auth_basic_module.
import { readFileSync } from 'node:fs';
import { errnoText } from '../config/error.ts';
import { custom, defineModule } from '../config/rows.ts';
import type { Template } from '../config/template.ts';
import { basicCredentials } from '../http/basic-credentials.ts';
import { DECLINED, OK } from '../http/codes.ts';
import type { Exchange } from '../http/exchange.ts';
import { fsPath } from '../http/fs-path.ts';
import { HSL_LIMIT } from './core-rows.ts';
import { checkPassword } from './password-hash.ts';

export const authBasicModule = defineModule('auth-basic', {
  location: {
    auth_basic: custom<Template | undefined>(HSL_LIMIT, '1', {
      default: undefined,
      syntax: 'string | off',
      defaultText: 'off',
      set: (cf) => cf.template(cf.args[0]!),
    }),
    auth_basic_user_file: custom<((r: Exchange) => string) | undefined>(HSL_LIMIT, '1', {
      default: undefined,
      syntax: 'file',
      set(cf) {
        const path = cf.template(cf.args[0]!);
        return (r) => cf.compiler.fullPath(path.evaluate(r), 'conf');
      },
    }),
  },
});

export function authBasicHandler(r: Exchange): number {
  const conf = authBasicModule.location(r.location);
  if (!conf.auth_basic || !conf.auth_basic_user_file) return DECLINED;
  const realm = conf.auth_basic.evaluate(r);
  if (realm === 'off') return DECLINED;

  const credentials = basicCredentials(r);
  if (!credentials) {
    r.log('info', 'no user/password was provided for basic authentication');
    return challenge(r, realm);
  }
  const path = conf.auth_basic_user_file(r);
  let file: string;
  try {
    file = readFileSync(fsPath(path), 'latin1');
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    r.log(isMissing ? 'error' : 'crit', `open() "${path}" failed ${errnoText(error)}`);
    return isMissing ? 403 : 500;
  }
  const { user, password } = credentials;
  const hash = findHash(file, user);
  if (hash === undefined) {
    r.log('error', `user "${user}" was not found in "${path}"`);
    return challenge(r, realm);
  }
  const verdict = checkPassword(password, hash);
  if (verdict === 'match') return OK;
  if (verdict === 'unsupported') {
    r.log('crit', `the kind of password hash of user "${user}" in "${path}" is not supported`);
    return 500;
  }
  r.log('error', `user "${user}": password mismatch`);
  return challenge(r, realm);
}

/** The hash of the first line `user:hash[:comment]`. */
function findHash(file: string, user: string): string | undefined {
  const start = `${user}:`;
  for (let at = 0; at < file.length; ) {
    let end = file.indexOf('\n', at);
    if (end < 0) end = file.length;
    if (file.startsWith(start, at) && file[at] !== '#') {
      return /^[^:\r]*/.exec(file.slice(at + start.length, end))![0];
    }
    at = end + 1;
  }
  return undefined;
}

function challenge(r: Exchange, realm: string): number {
  r.out.add('WWW-Authenticate', `Basic realm="${realm}"`);
  return 401;
}
