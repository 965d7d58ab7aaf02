// Rows of directives that are read, checked and then have nothing to act on.
import { type Cf, once, parseFlag, type Row } from './rows.ts';

/** A directive that nginx accepts and that has nothing to tune here (hash sizes, aio, …): checked, then unused. */
export function unused(
  contexts: number,
  args: string,
  syntax: string,
  defaultText: string | undefined,
  note: string,
): Row<true | undefined> {
  return {
    in: contexts,
    args,
    syntax,
    defaultText,
    default: undefined,
    note,
    set: (cf, previous) => checkUnused(cf, previous, syntax),
  };
}

/** A value that nothing reads must be a good one all the same. */
function checkUnused(cf: Cf, previous: true | undefined, syntax: string): true | undefined {
  const [value = ''] = cf.args;
  const isHashSize = cf.name.includes('_hash_');
  const isSingle = syntax === 'size' || syntax === 'number' || syntax === 'interval' || syntax === 'on | off';
  if (!isSingle) return undefined;
  once(cf, previous);
  if (syntax === 'on | off') parseFlag(cf, value);
  else if (isHashSize || syntax === 'number') {
    if (!/^\d+$/.test(value)) cf.fail(`"${cf.name}" directive invalid number`);
  } else if (syntax === 'interval') cf.time(value);
  else cf.size(value);
  return true;
}
