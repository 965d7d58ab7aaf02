// `add_before_body`, `add_after_body`: puts the answers of subrequests before and after a response's body. Mirrors
// ngx_http_addition_filter_module.
import { defineModule, HSL, text } from '../config/rows.ts';
import { ERROR } from '../http/codes.ts';
import { hasTypeOf, typesRow } from '../http/content-type.ts';
import type { Exchange } from '../http/exchange.ts';
import type { BodyFilter, OpenFilter } from '../http/filters.ts';
import { OutputOrder, startSubrequest } from '../http/subrequest.ts';

export const additionModule = defineModule('addition', {
  location: {
    add_before_body: text(HSL, '', { syntax: 'uri' }),
    add_after_body: text(HSL, '', { syntax: 'uri' }),
    addition_types: typesRow(HSL, ['text/html']),
  },
});

/** Opens the filter for main responses of the listed types. */
export function additionFilter(r: Exchange, open: OpenFilter): undefined {
  const { add_before_body: before, add_after_body: after, addition_types: types } = additionModule.location(r.location);
  if ((before === '' && after === '') || r.out.status !== 200 || r.parent || !hasTypeOf(r, types)) return;
  r.out.clearContentLength();
  r.out.clearAcceptRanges();
  r.out.weakenEtag();
  r.order ??= new OutputOrder(r);
  open(new Addition(r, before, after));
}

class Addition implements BodyFilter {
  declare next: BodyFilter;
  readonly #r: Exchange;
  readonly #before: string;
  readonly #after: string;
  #isBegun = false;

  constructor(r: Exchange, before: string, after: string) {
    this.#r = r;
    this.#before = before;
    this.#after = after;
  }

  #begin(): void {
    if (this.#isBegun) return;
    this.#isBegun = true;
    if (this.#before !== '') this.#start(this.#before);
  }

  #start(uri: string): void {
    if (!startSubrequest(this.#r, uri, '', {})) this.#r.finalize(ERROR);
  }

  write(chunk: Buffer): void {
    this.#begin();
    this.next.write(chunk);
  }

  end(): void {
    this.#begin();
    if (this.#after !== '') this.#r.order!.onLast = () => this.#start(this.#after);
    this.next.end();
  }

  flush(): void {
    this.next.flush?.();
  }
}
