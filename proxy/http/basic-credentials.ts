// User and password of an `Authorization: Basic` header, for auth_basic and $remote_user. Mirrors
// ngx_http_auth_basic_user.
import type { Exchange } from './exchange.ts';

export interface BasicCredentials {
  readonly user: string;
  readonly password: string;
}

const BASE64 = /^[A-Za-z0-9+/]+={0,2}/;

/** What the request's header holds; undefined when there is none or it cannot be read. */
export function basicCredentials(r: Exchange): BasicCredentials | undefined {
  const header = r.headers?.get('authorization');
  if (header === undefined || header.slice(0, 6).toLowerCase() !== 'basic ') return undefined;
  const encoded = header.slice(6).replace(/^ +/, '');
  const plain = encoded.replace(/=.*$/s, '');
  if (plain === '' || !BASE64.test(plain) || BASE64.exec(plain)![0] !== plain || plain.length % 4 === 1)
    return undefined;
  const text = Buffer.from(plain, 'base64').toString('latin1');
  const colon = text.indexOf(':');
  if (colon <= 0) return undefined;
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** `$remote_user`. */
export function basicUser(r: Exchange): string | undefined {
  return basicCredentials(r)?.user;
}
