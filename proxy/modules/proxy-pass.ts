// The URL of a proxy_pass, read when the configuration is, or for each request when it has variables: scheme, host,
// port, and the URI part that replaces the location's name. Mirrors ngx_http_proxy_pass, ngx_http_proxy_eval and
// ngx_parse_url.
import type { Compiler } from '../config/compile.ts';
import type { Cf } from '../config/rows.ts';
import type { Template } from '../config/template.ts';
import type { Exchange } from '../http/exchange.ts';
import type { Location } from '../http/location.ts';
import { parseAddress } from '../listen/address.ts';
import type { UpstreamTarget } from '../upstream/settings.ts';
import type { Upstream } from '../upstream/upstream.ts';

/** A `proxy_pass` as read. */
export interface ProxyPass {
  /** As written. */
  readonly url: string;
  /** Set when the URL has variables; then `target` is made for each request. */
  readonly template: Template | undefined;
  readonly target: UpstreamTarget | undefined;
  /** Length of the location's name, which the URI part replaces. */
  readonly locationLength: number;
  /** Name of the location, for the default of proxy_redirect. */
  readonly locationName: string;
  readonly isTls: boolean;
}

interface Url {
  readonly schema: string;
  readonly isTls: boolean;
  readonly host: string;
  readonly port: number;
  readonly hasPort: boolean;
  readonly uri: string;
  readonly isUnix: boolean;
}

/** Splits a URL; a string says what is wrong with it, in nginx's words. */
function parseUrl(text: string): Url | string {
  const lower = text.slice(0, 8).toLowerCase();
  const isTls = lower === 'https://';
  if (!isTls && !lower.startsWith('http://')) return 'invalid URL prefix';
  const schema = text.slice(0, isTls ? 8 : 7);
  const rest = text.slice(schema.length);
  const port = isTls ? 443 : 80;
  if (rest.startsWith('unix:')) {
    const colon = rest.indexOf(':', 5);
    const host = colon < 0 ? rest : rest.slice(0, colon);
    const parsed = parseAddress(host, 0);
    if (typeof parsed === 'string') return `${parsed} in upstream "${rest}"`;
    return { schema, isTls, host, port: 0, hasPort: false, uri: colon < 0 ? '' : rest.slice(colon + 1), isUnix: true };
  }
  const end = rest.search(/[/?]/);
  const authority = end < 0 ? rest : rest.slice(0, end);
  const uri = end < 0 ? '' : rest.slice(end);
  const parsed = parseAddress(authority, port);
  if (typeof parsed === 'string') return `${parsed} in upstream "${rest}"`;
  const host = parsed.hasPort ? authority.slice(0, authority.lastIndexOf(':')) : authority;
  return { schema, isTls, host, port: parsed.port, hasPort: parsed.hasPort, uri, isUnix: false };
}

function toTarget(url: Url, upstream: Upstream | undefined): UpstreamTarget {
  const standard = url.isTls ? 443 : 80;
  const isStandard = !url.hasPort || url.port === standard;
  return {
    schema: url.schema,
    isTls: url.isTls,
    hostHeader: url.isUnix ? 'localhost' : isStandard ? url.host : `${url.host}:${url.port}`,
    portText: url.isUnix ? '' : String(url.port),
    uri: url.uri,
    upstream,
    host: url.host,
    port: url.port,
    hasPort: url.hasPort,
  };
}

/** The row's `set`. `addUpstream` finds or makes the upstream that the URL names. */
export function readProxyPass(
  cf: Cf,
  addUpstream: (compiler: Compiler, cf: Cf, target: { host: string; port: number; hasPort: boolean }) => Upstream,
): ProxyPass {
  const text = cf.args[0]!;
  const location = cf.scope.location!;
  const template = cf.template(text);
  if (template.constant === undefined) {
    return {
      url: text,
      template,
      target: undefined,
      locationLength: location.name.length,
      locationName: location.name,
      isTls: true,
    };
  }
  const url = parseUrl(text);
  if (typeof url === 'string') return cf.fail(url);
  const upstream = addUpstream(cf.compiler, cf, url);
  const isNameless = location.kind === 'named' || location.kind === 'regex' || cf.scope.context !== LOCATION_CONTEXT;
  if (isNameless && url.uri !== '') {
    cf.fail(
      '"proxy_pass" cannot have URI part in location given by regular expression, or inside named location, ' +
        'or inside "if" statement, or inside "limit_except" block',
    );
  }
  return {
    url: text,
    template: undefined,
    target: toTarget(url, upstream),
    locationLength: isNameless ? 0 : location.name.length,
    locationName: isNameless ? '' : location.name,
    isTls: url.isTls,
  };
}

const LOCATION_CONTEXT = 16;

/** The target of this request; undefined after an error was logged. */
export function targetOf(pass: ProxyPass, r: Exchange): UpstreamTarget | undefined {
  if (pass.target) return pass.target;
  const text = pass.template!.evaluate(r);
  // A scheme with nothing behind it is none.
  const url = /^https?:\/\/$/i.test(text) ? 'invalid URL prefix' : parseUrl(text);
  if (typeof url === 'string') {
    r.log('error', url === 'invalid URL prefix' ? `${url} in "${text}"` : url);
    return undefined;
  }
  return toTarget(url.uri.startsWith('?') ? { ...url, uri: `/${url.uri}` } : url, undefined);
}

/** Whether a location's `proxy_pass` makes it redirect `/dir` to `/dir/`. */
export function isDirectory(location: Location): boolean {
  return location.name.endsWith('/');
}
