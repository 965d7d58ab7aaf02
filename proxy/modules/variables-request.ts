// Variables about what was asked: request line, URI, arguments, host, user, body, files.
import { randomBytes } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { errnoText } from '../config/error.ts';
import type { Variable } from '../config/variables.ts';
import { basicUser } from '../http/basic-credentials.ts';
import type { Exchange } from '../http/exchange.ts';
import { fsPath } from '../http/fs-path.ts';
import { pathOf, rootOf } from '../http/paths.ts';

function protocol(r: Exchange): string | undefined {
  return r.main.version === 2000 ? 'HTTP/2.0' : r.main.protocol;
}

function realpathRoot(r: Exchange): string | undefined {
  const path = rootOf(r.location).evaluate(r);
  try {
    return realpathSync(fsPath(path), 'latin1');
  } catch (error) {
    r.log('crit', `realpath() "${path}" failed ${errnoText(error)}`);
    return undefined;
  }
}

function contentLength(r: Exchange): string | undefined {
  const sent = r.headers.get('content-length');
  if (sent !== undefined) return sent;
  // A chunked body has a length once it was read, and none is left of one that was dropped.
  const { body } = r.main;
  if (body?.isDiscarded && r.isChunked) return '0';
  return body?.store && body.isComplete ? String(body.store.length) : undefined;
}

function requestBody(r: Exchange): string | undefined {
  const store = r.main.body?.store;
  if (!store || store.isInFile || store.length === 0) return undefined;
  return store.bytes().toString('latin1');
}

/** The query; there is none where the request had not even a `?`, or nothing behind it. */
function query(r: Exchange): string | undefined {
  return r.args === '' && !/^[^#?]*\?[^#]/.test(r.unparsedUri) ? undefined : r.args;
}

function path(r: Exchange): string | undefined {
  return r.main.method === '' ? undefined : r.uri;
}

export const REQUEST_VARIABLES: readonly (readonly [string, Variable])[] = [
  ['content_length', { get: contentLength }],
  ['content_type', { get: (r) => r.headers.get('content-type') }],
  ['host', { get: (r) => r.main.host || r.server.name }],
  ['server_name', { get: (r) => r.server.name }],
  ['server_protocol', { get: protocol }],
  ['request_uri', { get: (r) => r.main.unparsedUri || undefined }],
  ['uri', { get: path }],
  ['document_uri', { get: path }],
  ['request', { get: (r) => r.main.requestLine || undefined }],
  ['request_method', { get: (r) => r.main.method || undefined }],
  ['query_string', { get: query }],
  [
    'args',
    {
      get: query,
      isChangeable: true,
      set(r, value) {
        r.args = value;
        r.isUnparsedValid = false;
      },
    },
  ],
  ['is_args', { get: (r) => (r.args === '' ? '' : '?') }],
  ['document_root', { get: (r) => rootOf(r.location).evaluate(r) }],
  ['realpath_root', { get: realpathRoot }],
  ['request_filename', { get: pathOf }],
  ['remote_user', { get: basicUser }],
  ['request_body', { get: requestBody }],
  ['request_body_file', { get: (r) => r.main.body?.store?.path }],
  ['request_length', { get: (r) => String(r.main.requestLength) }],
  ['request_id', { get: () => randomBytes(16).toString('hex'), isCached: true }],
  ['pipe', { get: (r) => (r.main.isPipelined ? 'p' : '.') }],
];
