// What the rewrite directives of one block compile to: a list of steps, run in order, `if` blocks inside it. Steps
// change the request; the last one run may end the program with a status. Mirrors ngx_http_script.c.

import type { Directive } from '../config/parser.ts';
import type { Template } from '../config/template.ts';
import type { VariableRef } from '../config/variables.ts';
import { DECLINED } from '../http/codes.ts';
import type { Exchange } from '../http/exchange.ts';
import { enterLocation } from '../http/find-config.ts';
import type { Location } from '../http/location.ts';
import type { Matcher } from '../http/matcher.ts';
import { sendText } from '../http/send-text.ts';
import { directiveText } from '../http/trace.ts';
import { escapeArgs, unescapeRedirect } from '../http/uri.ts';
import type { Condition } from './rewrite-condition.ts';

/** State of one run. */
export class Run {
  readonly r: Exchange;
  readonly isLogged: boolean;
  status = DECLINED;
  /** Captures are escaped for a query string in `set` and `if` values, until a `rewrite` has changed the URI. */
  escapesCaptures = true;

  constructor(r: Exchange, isLogged: boolean) {
    this.r = r;
    this.isLogged = isLogged;
  }

  note(message: string): void {
    if (this.isLogged) this.r.log('notice', message);
  }

  /** Tells a trace what the directive at hand did. */
  tell(at: Directive, outcome: string): void {
    this.r.client.trace?.observe('rewrite', `${directiveText(at)}  ${outcome}`, at);
  }

  get isTraced(): boolean {
    return this.r.client.trace !== undefined;
  }

  /** Ends the run with a return code or status. */
  end(status: number): true {
    this.status = status;
    return true;
  }
}

/** One step; true ends the program. */
export interface Step {
  run(run: Run): boolean;
}

export function runSteps(steps: readonly Step[], run: Run): boolean {
  for (const step of steps) if (step.run(run)) return true;
  return false;
}

/** Whether the path as sent had `%` or `+`, so that captures of it must be escaped again where they become a query. */
function isQuotedUri(r: Exchange): boolean {
  if (r.parent) return false;
  const { unparsedUri } = r;
  const question = unparsedUri.indexOf('?');
  return /[%+]/.test(question < 0 ? unparsedUri : unparsedUri.slice(0, question));
}

/** A value whose `$1` … `$9` are escaped when `isEscaping` and the URI was. */
export function evaluateCaptures(value: Template, r: Exchange, isEscaping: boolean): string {
  if (value.constant !== undefined) return value.constant;
  if (!isEscaping || !value.hasCaptures || !isQuotedUri(r)) return value.evaluate(r);
  let out = '';
  for (const part of value.parts) {
    if (typeof part === 'string') out += part;
    else if (part.isCapture) out += escapeArgs(part.get(r) ?? '');
    else out += part.get(r) ?? '';
  }
  return out;
}

/** `set $name value`. */
export class SetStep implements Step {
  readonly #at: Directive;
  readonly #ref: VariableRef;
  readonly #value: Template;

  constructor(at: Directive, ref: VariableRef, value: Template) {
    this.#at = at;
    this.#ref = ref;
    this.#value = value;
  }

  run(run: Run): boolean {
    const value = evaluateCaptures(this.#value, run.r, run.escapesCaptures);
    const ref = this.#ref;
    if (run.isTraced) run.tell(this.#at, `$${ref.name} = "${value}"`);
    if (ref.variable!.set) ref.variable!.set(run.r, value);
    else ref.store(run.r, value);
    return false;
  }
}

/** `break`. */
export class BreakStep implements Step {
  readonly #at: Directive;

  constructor(at: Directive) {
    this.#at = at;
  }

  run(run: Run): boolean {
    const { r } = run;
    if (run.isTraced) run.tell(this.#at, 'the rest of this block is left out');
    if (r.isUriRewritten) {
      r.isLocationValid = false;
      r.isUriRewritten = false;
    }
    return true;
  }
}

/** `return code [text]`. */
export class ReturnStep implements Step {
  readonly #at: Directive;
  readonly #status: number;
  readonly #text: Template | undefined;

  constructor(at: Directive, status: number, text: Template | undefined) {
    this.#at = at;
    this.#status = status;
    this.#text = text;
  }

  run(run: Run): boolean {
    const text = this.#text;
    if (run.isTraced) run.tell(this.#at, `answers ${this.#status}${text ? ` "${text.evaluate(run.r)}"` : ''}`);
    if (this.#status >= 400 && (!text || text.constant === '')) return run.end(this.#status);
    // `$status` in the text is the one that is being sent.
    run.r.out.status = this.#status;
    return run.end(sendText(run.r, this.#status, text ? text.evaluate(run.r) : ''));
  }
}

/** `if (condition) { … }`: the block's steps, and the location whose settings hold from then on. */
export class IfStep implements Step {
  readonly #at: Directive;
  readonly #condition: Condition;
  readonly #location: Location | undefined;
  readonly steps: Step[] = [];

  constructor(at: Directive, condition: Condition, location: Location | undefined) {
    this.#at = at;
    this.#condition = condition;
    this.#location = location;
  }

  run(run: Run): boolean {
    const holds = this.#condition(run);
    if (run.isTraced) run.tell(this.#at, holds ? 'is true' : 'is false');
    if (!holds) return false;
    if (this.#location) {
      run.r.location = this.#location;
      enterLocation(run.r);
    }
    return runSteps(this.steps, run);
  }
}

export interface Rewriting {
  readonly at: Directive;
  readonly matcher: Matcher;
  /** The replacement up to its first `?` (whole for a redirect), and what follows it. */
  readonly target: Template;
  readonly query: Template | undefined;
  /** False when the replacement ends in `?`. */
  readonly keepsArgs: boolean;
  /** 0: no redirect. */
  readonly redirectStatus: number;
  readonly isBreak: boolean;
  readonly isLast: boolean;
}

/** `rewrite regex replacement [flag]`. */
export class RewriteStep implements Step {
  readonly #to: Rewriting;

  constructor(to: Rewriting) {
    this.#to = to;
  }

  run(run: Run): boolean {
    const { r } = run;
    const to = this.#to;
    const { pattern } = to.matcher;
    const subject = r.uri;
    if (!to.matcher.exec(r, subject)) {
      run.note(`"${pattern}" does not match "${subject}"`);
      if (run.isTraced) run.tell(to.at, `does not match "${subject}"`);
      r.captures = undefined;
      return false;
    }
    run.note(`"${pattern}" matches "${subject}"`);
    r.isInternal = true;
    r.isUnparsedValid = false;
    if (to.isBreak) {
      r.isLocationValid = false;
      r.isUriRewritten = false;
    } else {
      r.isUriRewritten = true;
    }
    const ok = to.redirectStatus ? this.#redirect(run) : this.#change(run);
    run.escapesCaptures = false;
    return !ok || to.isLast;
  }

  #redirect(run: Run): boolean {
    const { r } = run;
    const to = this.#to;
    let target = unescapeRedirect(evaluateCaptures(to.target, r, true));
    if (to.keepsArgs && r.args !== '') target += (to.target.source.includes('?') ? '&' : '?') + r.args;
    run.note(`rewritten redirect: "${target}"`);
    if (run.isTraced) run.tell(to.at, `matches: ${to.redirectStatus} to "${target}"`);
    r.out.setLocation(target);
    run.status = to.redirectStatus;
    return true;
  }

  #change(run: Run): boolean {
    const { r } = run;
    const to = this.#to;
    const uri = evaluateCaptures(to.target, r, false);
    if (to.query) {
      const query = evaluateCaptures(to.query, r, true);
      r.args = to.keepsArgs && r.args !== '' ? `${query}&${r.args}` : query;
    } else if (!to.keepsArgs) r.args = '';
    run.note(`rewritten data: "${uri}", args: "${r.args}"`);
    if (run.isTraced)
      run.tell(to.at, `matches "${r.uri}": now "${uri}"${r.args === '' ? '' : `, arguments "${r.args}"`}`);
    if (uri === '') {
      r.log('error', 'the rewritten URI has a zero length');
      run.status = 500;
      return false;
    }
    r.setUri(uri);
    return true;
  }
}
