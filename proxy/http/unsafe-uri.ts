// URIs that an upstream or a document gives for an internal redirect or an include: they may not climb out of where
// they are, not even when decoded. Mirrors ngx_http_parse_unsafe_uri.
import { unescapeUri } from './uri.ts';

const CLIMBS = /(?:^|\/)\.\.(?:\/|$)/;

/** Path (decoded) and query; undefined where nginx calls the URI unsafe. */
export function parseUnsafeUri(text: string): { uri: string; args: string } | undefined {
  if (text === '' || text.startsWith('?')) return undefined;
  const question = text.indexOf('?');
  const path = question < 0 ? text : text.slice(0, question);
  const uri = unescapeUri(path);
  if (CLIMBS.test(path) || CLIMBS.test(uri) || uri.includes('\0')) return undefined;
  return { uri, args: question < 0 ? '' : text.slice(question + 1) };
}
