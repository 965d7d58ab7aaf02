// Content types: which one a URI's extension gives, and whether a response has one of a set (gzip_types and its like).
// Mirrors ngx_http_set_content_type, ngx_http_test_content_type and ngx_http_types_slot.
import { custom, type Row } from '../config/rows.ts';
import { blocksModule } from '../modules/core-blocks.ts';
import { coreModule } from '../modules/core-rows.ts';
import type { Exchange } from './exchange.ts';
import { bareType } from './media-type.ts';

/** Gives the response the type that `types` and `default_type` say, unless it has one. */
export function setContentType(r: Exchange): void {
  const { out } = r;
  if (out.contentType !== '') return;
  const { exten } = r;
  const { types } = blocksModule.location(r.location);
  const type = exten === '' ? undefined : (types.get(exten) ?? types.get(exten.toLowerCase()));
  out.contentType = type ?? coreModule.location(r.location).default_type;
}

/** Types in lower case; null stands for any (`*`). */
export type TypeSet = ReadonlySet<string> | null;

/** Whether the response's type is in the set. */
export function hasTypeOf(r: Exchange, types: TypeSet): boolean {
  if (types === null) return true;
  const { contentType } = r.out;
  if (contentType === '') return false;
  return types.has(contentType) || types.has(bareType(contentType).toLowerCase());
}

/** A directive that lists types; the first of `standard` always belongs to the list. */
export function typesRow(contexts: number, standard: readonly [string, ...string[]]): Row<TypeSet> {
  return custom<TypeSet>(contexts, '1+', {
    default: new Set(standard),
    isRepeatable: true,
    syntax: 'mime-type ...',
    defaultText: standard.join(' '),
    set(cf, previous) {
      if (previous === null) return null;
      const types = new Set(previous ?? [standard[0]]);
      for (const arg of cf.args) {
        const type = arg.toLowerCase();
        if (type === '*') return null;
        if (types.has(type)) cf.compiler.warn(`duplicate MIME type "${type}"`, cf.directive);
        types.add(type);
      }
      return types;
    },
  });
}
