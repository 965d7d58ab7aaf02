// HTTP/2 towards clients: its directives and variable. The protocol itself stands in http/h2-*.ts; `listen … http2`
// and `http2 on` in core-blocks.ts. Mirrors ngx_http_v2_module.
import { type AnyRow, count, custom, defineModule, flag, HSL, HTTP, SERVER, size } from '../config/rows.ts';
import { unused } from '../config/unused-row.ts';
import { parseSizeBytes } from '../config/values.ts';
import type { Variable } from '../config/variables.ts';

const HS = HTTP | SERVER;
const NO_PUSH = 'Accepted; clients are never pushed to, browsers have given it up.';

/** A directive that nginx dropped in 1.19.7: warned about and ignored. */
function obsolete(name: string, instead: string): AnyRow {
  return custom<undefined>(HS, '1', {
    default: undefined,
    syntax: 'value',
    note: `Obsolete, use ${instead}.`,
    set(cf) {
      cf.compiler.warn(`the "${name}" directive is obsolete, use the "${instead}" directive instead`, cf.directive);
      return undefined;
    },
  });
}

export const http2Module = defineModule('http2', {
  server: {
    http2_max_concurrent_streams: count(HS, 128),
    http2_max_concurrent_pushes: count(HS, 10, { note: NO_PUSH }),
    http2_body_preread_size: custom(HS, '1', {
      default: 65_536,
      syntax: 'size',
      defaultText: '64k',
      set(cf) {
        const bytes = parseSizeBytes(cf.args[0]!) ?? cf.invalidValue();
        if (bytes > 2 ** 31 - 1) cf.fail('the maximum body preread buffer size is 2147483647');
        return bytes;
      },
    }),
    http2_recv_buffer_size: unused(HTTP, '1', 'size', '256k', 'Memory is the runtime’s business.'),
    http2_pool_size: unused(HS, '1', 'size', '4k', 'Memory is the runtime’s business.'),
    http2_streams_index_size: unused(HS, '1', 'number', '32', 'Tables size themselves.'),
    http2_max_requests: obsolete('http2_max_requests', 'keepalive_requests'),
    http2_max_field_size: obsolete('http2_max_field_size', 'large_client_header_buffers'),
    http2_max_header_size: obsolete('http2_max_header_size', 'large_client_header_buffers'),
    http2_recv_timeout: obsolete('http2_recv_timeout', 'client_header_timeout'),
    http2_idle_timeout: obsolete('http2_idle_timeout', 'keepalive_timeout'),
  },
  location: {
    http2_chunk_size: size(HSL, '8k'),
    http2_push: custom<undefined>(HSL, '1', {
      default: undefined,
      isRepeatable: true,
      syntax: 'uri | off',
      defaultText: 'off',
      note: NO_PUSH,
      set: () => undefined,
    }),
    http2_push_preload: flag(HSL, false, { note: NO_PUSH }),
  },
});

export const HTTP2_VARIABLES: readonly (readonly [string, Variable])[] = [
  // `h2` over TLS, `h2c` without, empty for HTTP/1.x.
  ['http2', { get: (r) => (r.version < 2000 ? '' : r.client.tls ? 'h2' : 'h2c') }],
];
