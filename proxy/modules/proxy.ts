// `proxy_pass` and its relatives: the directives. What they become for a location is put together in
// proxy-location.ts; requests are handled in proxy-handler.ts. Mirrors ngx_http_proxy_module.
import {
  type Cf,
  count,
  custom,
  defineModule,
  flag,
  HSL,
  LIMIT_EXCEPT,
  LOCATION,
  LOCATION_IF,
  oneOf,
  size,
  someOf,
  template,
  time,
} from '../config/rows.ts';
import type { Template } from '../config/template.ts';
import { unused } from '../config/unused-row.ts';
import { parseCount, parseSizeBytes } from '../config/values.ts';
import { NEXT_WORDS } from '../upstream/next-upstream.ts';
import { IGNORABLE_HEADERS, type TempPath } from '../upstream/settings.ts';
import { proxyHandler } from './proxy-handler.ts';
import type { SetHeader } from './proxy-headers.ts';
import { isDirectory, type ProxyPass, readProxyPass } from './proxy-pass.ts';
import { cookieDomainRow, cookieFlagsRow, cookiePathRow, redirectRow } from './proxy-rewrites.ts';
import { addUpstream } from './upstream.ts';

const PAGE_BYTES = 4096;
const UNSET = -1;

function names(standard: undefined) {
  return custom<readonly string[] | undefined>(HSL, '1', {
    default: standard,
    isRepeatable: true,
    syntax: 'field',
    set: (cf, previous) => [...(previous ?? []), cf.args[0]!],
  });
}

function readTempPath(cf: Cf): TempPath {
  const [path, ...levels] = cf.args as [string, ...string[]];
  const digits = levels.map((level) => {
    const n = parseCount(level);
    return n !== undefined && n >= 1 ? n : cf.invalidValue();
  });
  if (digits.reduce((sum, n) => sum + n, 0) > 10) cf.invalidValue();
  return { directory: cf.compiler.fullPath(path), levels: digits };
}

export const proxyModule = defineModule('proxy', {
  location: {
    proxy_pass: custom<ProxyPass | undefined>(LOCATION | LOCATION_IF | LIMIT_EXCEPT, '1', {
      default: undefined,
      syntax: 'URL',
      // Nameless locations (`if`, `limit_except`) have their parent's: proxy-location.ts.
      merge: (_, own) => own,
      set(cf) {
        const pass = readProxyPass(cf, (compiler, at, target) => addUpstream(compiler, at, target, false));
        const location = cf.scope.location!;
        location.handler = proxyHandler;
        if (isDirectory(location)) location.isAutoRedirect = true;
        return pass;
      },
    }),
    proxy_redirect: redirectRow((cf) => {
      const pass = cf.scope.values.get(proxyModule.rows.location.proxy_pass) as ProxyPass | undefined;
      if (pass?.template) {
        cf.fail('"proxy_redirect default" cannot be used with "proxy_pass" directive with variables');
      }
      if (!pass) cf.fail('"proxy_redirect default" should be placed after the "proxy_pass" directive');
    }),
    proxy_cookie_domain: cookieDomainRow,
    proxy_cookie_path: cookiePathRow,
    proxy_cookie_flags: cookieFlagsRow,
    proxy_buffering: flag(HSL, true),
    proxy_request_buffering: flag(HSL, true),
    proxy_ignore_client_abort: flag(HSL, false),
    proxy_bind: custom<Template | 'off'>(HSL, '1-2', {
      default: 'off',
      syntax: 'address [transparent] | off',
      note: 'transparent is warned about and left out.',
      set(cf) {
        const [address, option] = cf.args as [string, string | undefined];
        if (option === undefined && address === 'off') return 'off';
        if (option === 'transparent') {
          cf.compiler.warn('transparent proxying is not supported on this platform, ignored', cf.directive);
        } else if (option !== undefined) cf.invalidParameter(option);
        const value = cf.template(address);
        if (value.constant !== undefined && !/^(\[?[0-9a-f:.]+\]?)(:\d+)?$/i.test(address)) {
          cf.fail(`invalid address "${address}"`);
        }
        return value;
      },
    }),
    proxy_socket_keepalive: flag(HSL, false),
    proxy_connect_timeout: time(HSL, '60s'),
    proxy_send_timeout: time(HSL, '60s'),
    proxy_send_lowat: unused(HSL, '1', 'size', '0', 'BSD only'),
    proxy_intercept_errors: flag(HSL, false),
    proxy_set_header: custom<readonly SetHeader[] | undefined>(HSL, '2', {
      default: undefined,
      isRepeatable: true,
      syntax: 'field value',
      defaultText: 'Host $proxy_host; Connection close',
      set(cf, previous) {
        const [name, value] = cf.args as [string, string];
        cf.template(value);
        return [...(previous ?? []), { name, value, place: { file: cf.directive.file, line: cf.directive.line } }];
      },
    }),
    proxy_headers_hash_max_size: unused(HSL, '1', 'size', '512', 'tables size themselves'),
    proxy_headers_hash_bucket_size: unused(HSL, '1', 'size', '64', 'tables size themselves'),
    proxy_set_body: template(HSL, { syntax: 'value' }),
    proxy_method: template(HSL, { syntax: 'method' }),
    proxy_pass_request_headers: flag(HSL, true),
    proxy_pass_request_body: flag(HSL, true),
    proxy_buffer_size: size(HSL, '4k'),
    proxy_read_timeout: time(HSL, '60s'),
    proxy_buffers: custom<{ number: number; sizeBytes: number }>(HSL, '2', {
      default: { number: 8, sizeBytes: PAGE_BYTES },
      syntax: 'number size',
      defaultText: '8 4k',
      set(cf) {
        const number = parseCount(cf.args[0]!);
        const sizeBytes = parseSizeBytes(cf.args[1]!);
        if (!number || !sizeBytes) return cf.invalidValue();
        return { number, sizeBytes };
      },
    }),
    proxy_busy_buffers_size: optionalSize('8k|16k', 'Checked; what the client has not taken counts as a whole.'),
    proxy_force_ranges: flag(HSL, false),
    proxy_limit_rate: size(HSL, '0'),
    proxy_temp_path: custom<TempPath | undefined>(HSL, '1-4', {
      default: undefined,
      syntax: 'path [level1 [level2 [level3]]]',
      defaultText: 'proxy_temp 1 2',
      set: readTempPath,
    }),
    proxy_max_temp_file_size: optionalSize('1024m'),
    proxy_temp_file_write_size: optionalSize('8k|16k', 'Checked; pieces are written as they come.'),
    proxy_next_upstream: someOf(HSL, NEXT_WORDS, ['error', 'timeout']),
    proxy_next_upstream_tries: count(HSL, 0),
    proxy_next_upstream_timeout: time(HSL, '0s'),
    proxy_pass_header: names(undefined),
    proxy_hide_header: names(undefined),
    proxy_ignore_headers: someOf(HSL, IGNORABLE_HEADERS, []),
    proxy_http_version: oneOf(HSL, ['1.0', '1.1'], '1.0'),
  },
});

/** A size whose default depends on others; -1 when it is not set. */
function optionalSize(defaultText: string, note?: string) {
  return custom<number>(HSL, '1', {
    default: UNSET,
    syntax: 'size',
    defaultText,
    ...(note === undefined ? {} : { note }),
    set: (cf) => parseSizeBytes(cf.args[0]!, true) ?? cf.invalidValue(),
  });
}
