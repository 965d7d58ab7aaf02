// Rows of nginx's http core module that hold a value. What acts when it is read (http, server, location, listen,
// types, …) stands in modules/core-blocks.ts.

import {
  type Cf,
  count,
  custom,
  defineModule,
  flag,
  HSL,
  HSLI,
  HTTP,
  LIMIT_EXCEPT,
  LOCATION,
  LOCATION_IF,
  oneOf,
  SERVER,
  size,
  someOf,
  text,
  time,
} from '../config/rows.ts';
import type { Template } from '../config/template.ts';
import { unused } from '../config/unused-row.ts';
import { parseSizeBytes, parseTimeMs } from '../config/values.ts';
import { OpenFileCache } from '../http/open-file-cache.ts';
import type { ErrorLog } from '../log.ts';
import { parseErrorLog } from './error-log.ts';
import { SYSLOG_NOTE } from './syslog.ts';

/** `root`/`alias` as compiled. */
export interface RootPath {
  readonly path: Template;
  readonly isAlias: boolean;
}

export interface ErrorPage {
  readonly status: number;
  /** -1: keep the status; 0: take the target's (`=`). */
  readonly overwrite: number;
  readonly uri: Template;
}

export interface Keepalive {
  readonly timeoutMs: number;
  /** Seconds of the `Keep-Alive` header, 0: none; undefined in a value that leaves it to the level above. */
  readonly headerSeconds: number | undefined;
}

const HS = HTTP | SERVER;

export const coreModule = defineModule('core', {
  server: {
    client_header_timeout: time(HS, '60s'),
    client_header_buffer_size: size(HS, '1k'),
    large_client_header_buffers: custom(HS, '2', {
      default: { number: 4, sizeBytes: 8192 },
      syntax: 'number size',
      defaultText: '4 8k',
      set(cf) {
        const number = Number(cf.args[0]);
        const sizeBytes = parseSizeBytes(cf.args[1]!);
        if (!/^\d+$/.test(cf.args[0]!) || number === 0) cf.invalidValue();
        if (!sizeBytes) return cf.invalidValue();
        return { number, sizeBytes };
      },
    }),
    ignore_invalid_headers: flag(HS, true),
    merge_slashes: flag(HS, true),
    underscores_in_headers: flag(HS, false),
    connection_pool_size: unused(HS, '1', 'size', '256|512', 'memory is the runtime’s business'),
    request_pool_size: unused(HS, '1', 'size', '4k', 'memory is the runtime’s business'),
  },
  location: {
    root: custom<RootPath | undefined>(HSLI, '1', {
      default: undefined,
      syntax: 'path',
      defaultText: 'html',
      isRepeatable: true,
      set(cf, previous): RootPath {
        checkRoot(cf, previous, 'alias');
        return rootPath(cf, false);
      },
    }),
    alias: custom<RootPath | undefined>(LOCATION, '1', {
      default: undefined,
      syntax: 'path',
      isRepeatable: true,
      set(cf, previous): RootPath {
        if (cf.scope.location?.kind === 'named') {
          cf.fail('the "alias" directive cannot be used inside the named location');
        }
        checkRoot(cf, previous, 'root');
        return rootPath(cf, true);
      },
    }),
    default_type: text(HSL, 'text/plain'),
    internal: custom<boolean>(LOCATION, 'none', {
      default: false,
      syntax: '',
      set: () => true,
      merge: (_, own) => own ?? false,
    }),
    client_max_body_size: size(HSL, '1m'),
    client_body_buffer_size: size(HSL, '16k'),
    client_body_timeout: time(HSL, '60s'),
    client_body_temp_path: custom<string | undefined>(HSL, '1-4', {
      default: undefined,
      syntax: 'path [level1 [level2 [level3]]]',
      defaultText: 'client_body_temp',
      set: (cf) => cf.compiler.fullPath(cf.args[0]!),
    }),
    client_body_in_file_only: oneOf(HSL, ['off', 'on', 'clean'], 'off'),
    client_body_in_single_buffer: flag(HSL, false, { note: 'A body in memory always is in one piece.' }),
    satisfy: oneOf(HSL, ['all', 'any'], 'all'),
    keepalive_timeout: custom<Keepalive>(HSL, '1-2', {
      default: { timeoutMs: 75_000, headerSeconds: 0 },
      syntax: 'timeout [header_timeout]',
      defaultText: '75s',
      set(cf) {
        const timeoutMs = cf.time(cf.args[0]!);
        if (cf.args[1] === undefined) return { timeoutMs, headerSeconds: undefined };
        const header = parseTimeMs(cf.args[1]);
        if (header === undefined) return cf.invalidValue();
        return { timeoutMs, headerSeconds: Math.floor(header / 1000) };
      },
      merge: (parent, own) => (own ? { ...own, headerSeconds: own.headerSeconds ?? parent.headerSeconds } : parent),
    }),
    keepalive_requests: count(HSL, 1000),
    keepalive_time: time(HSL, '1h'),
    keepalive_disable: { ...someOf(HSL, ['none', 'msie6', 'safari'], ['msie6']), args: '1-2' },
    lingering_close: oneOf(HSL, ['off', 'on', 'always'], 'on'),
    lingering_time: time(HSL, '30s'),
    lingering_timeout: time(HSL, '5s'),
    reset_timedout_connection: flag(HSL, false, {
      note: 'Accepted; a connection that timed out is closed, not reset.',
    }),
    send_timeout: time(HSL, '60s'),
    absolute_redirect: flag(HSL, true),
    server_name_in_redirect: flag(HSL, false),
    port_in_redirect: flag(HSL, true),
    server_tokens: oneOf(HSL, ['on', 'off', 'build'], 'on'),
    msie_padding: flag(HSL, true),
    msie_refresh: flag(HSL, false),
    log_not_found: flag(HSL, true),
    log_subrequest: flag(HSL, false),
    recursive_error_pages: flag(HSL, false),
    chunked_transfer_encoding: flag(HSL, true),
    etag: flag(HSL, true),
    if_modified_since: oneOf(HSL, ['off', 'exact', 'before'], 'exact'),
    max_ranges: { ...count(HSL, Number.MAX_SAFE_INTEGER), defaultText: undefined },
    tcp_nodelay: flag(HSL, true),
    tcp_nopush: flag(HSL, false, { note: 'Accepted; a small response leaves in one write as it is.' }),
    limit_rate: custom<Template | undefined>(HSLI, '1', {
      default: undefined,
      syntax: 'rate',
      defaultText: '0',
      set(cf) {
        const value = cf.template(cf.args[0]!);
        if (value.constant !== undefined && parseSizeBytes(value.constant) === undefined) cf.invalidValue();
        return value;
      },
    }),
    limit_rate_after: custom<Template | undefined>(HSLI, '1', {
      default: undefined,
      syntax: 'size',
      defaultText: '0',
      set(cf) {
        const value = cf.template(cf.args[0]!);
        if (value.constant !== undefined && parseSizeBytes(value.constant) === undefined) cf.invalidValue();
        return value;
      },
    }),
    error_page: custom<readonly ErrorPage[] | undefined>(HSLI, '2+', {
      default: undefined,
      isRepeatable: true,
      syntax: 'code ... [=[response]] uri',
      set(cf, previous) {
        const args = [...cf.args];
        const uri = args.pop()!;
        let overwrite = -1;
        const last = args.at(-1)!;
        if (last.startsWith('=')) {
          args.pop();
          if (args.length === 0) cf.fail(`invalid value "${last}"`);
          if (last === '=') overwrite = 0;
          else {
            overwrite = /^=\d+$/.test(last) ? Number(last.slice(1)) : cf.fail(`invalid value "${last}"`);
          }
        }
        const pages = args.map((arg): ErrorPage => {
          const status = /^\d+$/.test(arg) ? Number(arg) : cf.fail(`invalid value "${arg}"`);
          if (status === 499) cf.fail(`invalid value "${arg}"`);
          if (status < 300 || status > 599) cf.fail(`value "${arg}" must be between 300 and 599`);
          // A request with a bad header may be answered through `error_page 400` or by its own number.
          return {
            status,
            overwrite: overwrite >= 0 ? overwrite : [494, 495, 496, 497].includes(status) ? 400 : -1,
            uri: cf.template(uri),
          };
        });
        return [...(previous ?? []), ...pages];
      },
    }),
    error_log: custom<ErrorLog | undefined>(HSL, '1+', {
      default: undefined,
      isRepeatable: true,
      syntax: 'file [level]',
      defaultText: 'logs/error.log error',
      note: `Logs of memory: are refused; debug says no more than info. ${SYSLOG_NOTE}`,
      set: parseErrorLog,
    }),
    open_file_cache: custom<OpenFileCache | null>(HSL, '1-2', {
      default: null,
      syntax: 'off | max=N [inactive=time]',
      defaultText: 'off',
      set: openFileCache,
    }),
    open_file_cache_valid: time(HSL, '60s'),
    open_file_cache_min_uses: count(HSL, 1),
    open_file_cache_errors: flag(HSL, false),
    open_file_cache_events: unused(HSL, 'flag', 'on | off', 'off', 'for kernels with kqueue'),
    types_hash_max_size: unused(HSL, '1', 'size', '1024', 'tables size themselves'),
    types_hash_bucket_size: unused(HSL, '1', 'size', '64', 'tables size themselves'),
    sendfile: flag(HSLI, false, {
      note: 'on Linux, for files from 16 KB on that leave as they are, without TLS or a filter',
    }),
    sendfile_max_chunk: size(HSL, '2m', {
      note: 'what one connection is sent before others get their turn, read or unread',
    }),
    subrequest_output_buffer_size: size(HSL, '4k'),
    aio: custom<true | undefined>(HSL, '1', {
      default: undefined,
      syntax: 'off | threads[=pool]',
      defaultText: 'off',
      note: 'how files are read is the runtime’s business',
      set: checkAio,
    }),
    aio_write: unused(HSL, 'flag', 'on | off', 'off', 'how files are read is the runtime’s business'),
    directio: custom<true | undefined>(HSL, '1', {
      default: undefined,
      syntax: 'size | off',
      defaultText: 'off',
      note: 'how files are read is the runtime’s business',
      set(cf) {
        if (cf.args[0] !== 'off') cf.size(cf.args[0]!);
        return true;
      },
    }),
    directio_alignment: unused(HSL, '1', 'size', '512', 'how files are read is the runtime’s business'),
    read_ahead: unused(HSL, '1', 'size', '0', 'how files are read is the runtime’s business'),
    output_buffers: unused(HSL, '2', 'number size', '2 32k', 'how files are read is the runtime’s business'),
    postpone_output: size(HSL, '1460'),
    send_lowat: unused(HSL, '1', 'size', '0', 'BSD only'),
    auth_delay: time(HSL, '0s'),
  },
});

/** The contexts of `limit_except`, where access rules may stand. */
export const HSL_LIMIT = HSL | LIMIT_EXCEPT;
export const HSLI_LIMIT = HSL | LOCATION_IF | LIMIT_EXCEPT;

/** `root` and `alias` stand for the same thing: one of them, once. */
function checkRoot(cf: Cf, previous: RootPath | undefined, other: 'root' | 'alias'): void {
  if (previous) cf.fail(`"${cf.name}" directive is duplicate`);
  const { root, alias } = coreModule.rows.location;
  if (cf.scope.values.has(other === 'root' ? root : alias)) {
    cf.fail(`"${cf.name}" directive is duplicate, "${other}" directive was specified earlier`);
  }
  const circular = /\$(?:document_root|\{document_root\}|realpath_root|\{realpath_root\})/.exec(cf.args[0]!);
  if (circular)
    cf.fail(`the ${circular[0].replace(/[{}]/g, '')} variable cannot be used in the "${cf.name}" directive`);
}

function rootPath(cf: Cf, isAlias: boolean): RootPath {
  let path = cf.args[0]!;
  if (!isAlias && path.endsWith('/')) path = path.slice(0, -1);
  return { path: cf.template(path.startsWith('$') ? path : cf.compiler.fullPath(path)), isAlias };
}

function openFileCache(cf: Cf): OpenFileCache | null {
  let max = 0;
  let inactiveMs = 60_000;
  let isOff = false;
  for (const arg of cf.args) {
    if (arg.startsWith('max=')) {
      max = Number(arg.slice(4));
      if (!/^max=\d+$/.test(arg) || max === 0) cf.fail(`invalid "open_file_cache" parameter "${arg}"`);
    } else if (arg.startsWith('inactive=')) {
      inactiveMs = parseTimeMs(arg.slice(9)) ?? cf.fail(`invalid "open_file_cache" parameter "${arg}"`);
    } else if (arg === 'off') isOff = true;
    else cf.fail(`invalid "open_file_cache" parameter "${arg}"`);
  }
  if (isOff) return null;
  if (max === 0) cf.fail('"open_file_cache" must have the "max" parameter');
  return new OpenFileCache(max, inactiveMs);
}

/** As an nginx that was built with threads and without AIO: Debian's. */
function checkAio(cf: Cf): true {
  const [value] = cf.args as [string];
  const [, pool] = /^threads=(.+)$/s.exec(value) ?? [];
  if (value === 'on') cf.fail('"aio on" is unsupported on this platform');
  if (value !== 'off' && value !== 'threads' && pool === undefined) cf.invalidValue();
  if (pool === undefined || cf.template(pool).constant === undefined) return true;
  // Pools may be declared further down.
  cf.compiler.atEnd.push(() => {
    if (!cf.compiler.threadPools.has(pool)) cf.fail(`unknown thread pool "${pool}"`);
  });
  return true;
}
