// A row that several filters have: `NAME number size` of buffers.
import { custom, HSL, type Row } from '../config/rows.ts';
import { parseSizeBytes } from '../config/values.ts';

/** `number size` of buffers: checked; buffers size themselves here. */
export function buffersRow(defaultText: string): Row<undefined> {
  return custom<undefined>(HSL, '2', {
    default: undefined,
    isRepeatable: true,
    syntax: 'number size',
    defaultText,
    note: 'checked; buffers size themselves',
    set(cf) {
      if (!/^[1-9]\d*$/.test(cf.args[0]!) || !parseSizeBytes(cf.args[1]!)) cf.invalidValue();
      return undefined;
    },
  });
}
