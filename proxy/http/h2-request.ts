// From the decoded header fields of a stream to the Exchange's request: pseudo-headers, names that must not be, cookies
// put together again. Mirrors ngx_http_v2_validate_header, ngx_http_v2_pseudo_header and ngx_http_v2_run_request.
import { coreModule } from '../modules/core-rows.ts';
import type { Exchange } from './exchange.ts';
import { Fields } from './head.ts';
import { applyFields, applyUri } from './request-checks.ts';

/** What is to be done with a stream whose header block is whole. */
export type Admission =
  | { readonly kind: 'run' }
  /** Answer with this status. */
  | { readonly kind: 'answer'; readonly status: number }
  /** The stream itself is at fault: reset it. */
  | { readonly kind: 'reset' };

const RUN: Admission = { kind: 'run' };
const RESET: Admission = { kind: 'reset' };
const BAD: Admission = { kind: 'answer', status: 400 };

const GOOD_NAME = /^[a-z0-9-]+$/;
const NEVER_IN_NAME = /[\x00-\x20\x7f:A-Z]/;
const NEVER_IN_VALUE = /[\0\r\n]/;

/** Takes the fields into `r`. `isEnded`: no body follows. */
export function admit(r: Exchange, received: readonly (readonly [string, string])[], isEnded: boolean): Admission {
  const fields = new Fields();
  r.headers = fields;
  const conf = coreModule.server(r.server);
  const pseudo: { method?: string; scheme?: string; path?: string } = {};
  let cookies: string | undefined;
  for (const [name, value] of received) {
    const bare = name.startsWith(':') ? name.slice(1) : name;
    const isOdd = !GOOD_NAME.test(bare);
    if (isOdd && NEVER_IN_NAME.test(bare)) {
      r.log('info', `client sent invalid header name: "${name}"`);
      return RESET;
    }
    if (NEVER_IN_VALUE.test(value)) {
      r.log('info', `client sent header "${name}" with invalid value: "${value}"`);
      return RESET;
    }
    if (name !== bare) {
      if (bare === 'authority') fields.add('host', value);
      else if (!takePseudo(r, pseudo, bare, value)) return BAD;
    } else if (isOdd && conf.ignore_invalid_headers && !(conf.underscores_in_headers && /^[a-z0-9_-]+$/.test(name))) {
      r.log('info', `client sent invalid header: "${name}"`);
    } else if (name === 'cookie') cookies = cookies === undefined ? value : `${cookies}; ${value}`;
    else {
      fields.names.push(name);
      fields.lower.push(name);
      fields.values.push(value);
    }
  }
  for (const needed of ['method', 'scheme', 'path'] as const) {
    if (pseudo[needed] !== undefined) continue;
    r.log('info', `client sent no :${needed} header`);
    return BAD;
  }
  if (cookies !== undefined) fields.add('cookie', cookies);
  r.requestLine = `${r.method} ${r.unparsedUri} HTTP/2.0`;
  // A body without a declared length is framed by the stream's end.
  if (!isEnded && !fields.has('content-length')) r.isChunked = true;
  const status = applyFields(r, fields);
  if (status) return { kind: 'answer', status };
  if (r.contentLength > 0 && isEnded) {
    r.log('info', 'client prematurely closed stream');
    return BAD;
  }
  return RUN;
}

/** One of `:method`, `:scheme`, `:path`; false when it cannot be. */
function takePseudo(
  r: Exchange,
  into: { method?: string; scheme?: string; path?: string },
  name: string,
  value: string,
): boolean {
  const refuse = (why: string): false => {
    r.log('info', `client sent ${why}`);
    return false;
  };
  if (name !== 'method' && name !== 'scheme' && name !== 'path') return refuse(`unknown pseudo-header ":${name}"`);
  if (into[name] !== undefined) return refuse(`duplicate :${name} header`);
  if (value === '') return refuse(`empty :${name} header`);
  into[name] = value;
  switch (name) {
    case 'method':
      if (!/^[A-Z_-]+$/.test(value)) return refuse(`invalid method: "${value}"`);
      r.method = value;
      return true;
    case 'scheme':
      return /^[A-Za-z][A-Za-z0-9+.-]*$/.test(value) || refuse(`invalid :scheme header: "${value}"`);
    case 'path':
      if (!value.startsWith('/') || /[\x00-\x20\x7f]/.test(value)) return refuse(`invalid :path header: "${value}"`);
      return applyUri(r, value) || refuse(`invalid :path header: "${value}"`);
  }
}
