// limit_rate and limit_rate_after: the last of the body filters lets no more bytes out a second than it is told. Mirrors
// the arithmetic of ngx_http_write_filter: whole seconds since the start of the request, times the rate.

import type { Template } from '../config/template.ts';
import { parseSizeBytes } from '../config/values.ts';
import { coreModule } from '../modules/core-rows.ts';
import type { Exchange } from './exchange.ts';
import type { BodyFilter, OpenFilter } from './filters.ts';

/** Settles the request's rate when its response begins. */
export function paceFilter(r: Exchange, open: OpenFilter): undefined {
  if (r.limitRate < 0) r.limitRate = sizeOf(r, coreModule.location(r.location).limit_rate);
  if (r.limitRate <= 0) return;
  if (r.limitRateAfter < 0) r.limitRateAfter = sizeOf(r, coreModule.location(r.location).limit_rate_after);
  open(new Pace(r));
}

function sizeOf(r: Exchange, template: Template | undefined): number {
  return template === undefined ? 0 : (parseSizeBytes(template.evaluate(r)) ?? 0);
}

class Pace implements BodyFilter {
  declare next: BodyFilter;
  readonly #r: Exchange;
  #held: Buffer[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isEnded = false;

  constructor(r: Exchange) {
    this.#r = r;
    r.onCleanup(() => clearTimeout(this.#timer));
  }

  write(chunk: Buffer): void {
    this.#held.push(chunk);
    if (!this.#timer) this.#go();
  }

  end(): void {
    this.#isEnded = true;
    if (this.#held.length) return;
    this.#stopWaiting();
    this.next.end();
  }

  flush(): void {
    if (!this.#timer) this.next.flush?.();
  }

  /** Lets out what the rate allows now. */
  #go(): void {
    const r = this.#r;
    while (this.#held.length) {
      const seconds = Math.floor(Date.now() / 1000) - Math.floor(r.startMs / 1000) + 1;
      const quota = r.limitRate * seconds - (r.bytesSent - r.limitRateAfter);
      if (quota <= 0) {
        this.#wait((-quota * 1000) / r.limitRate + 1);
        return;
      }
      const first = this.#held.shift()!;
      const before = r.bytesSent;
      if (first.length <= quota) this.next.write(first);
      else {
        this.#held.unshift(first.subarray(quota));
        this.next.write(first.subarray(0, quota));
        this.next.flush?.();
      }
      if (this.#isEnded && this.#held.length === 0) return;
      const paced = Math.max(0, r.bytesSent - r.limitRateAfter) - Math.max(0, before - r.limitRateAfter);
      const delayMs = Math.floor((paced * 1000) / r.limitRate);
      if (delayMs > 0) {
        this.#wait(delayMs);
        return;
      }
    }
  }

  #wait(ms: number): void {
    this.#r.main.downstream.flush();
    this.#r.holds++;
    this.#timer = setTimeout(() => {
      this.#stopWaiting();
      this.#go();
      if (this.#timer) return;
      if (this.#isEnded) this.next.end();
      else this.#r.drained();
    }, ms);
  }

  #stopWaiting(): void {
    if (!this.#timer) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#r.holds--;
  }
}
