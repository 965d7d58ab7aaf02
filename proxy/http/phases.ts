// DESIGN: THE ORDER in which a request meets the modules. This file is the table and the engine that walks it; a
// module never calls another. Phases and their order are nginx's (ngx_http_core_run_phases); within a phase nginx runs
// the handlers in reverse order of module registration, which gives the order below.
import { accessHandler } from '../modules/access.ts';
import { authBasicHandler } from '../modules/auth-basic.ts';
import { authRequestHandler } from '../modules/auth-request.ts';
import { autoindexHandler } from '../modules/autoindex.ts';
import { coreModule } from '../modules/core-rows.ts';
import { gzipStaticHandler } from '../modules/gzip-static.ts';
import { indexHandler } from '../modules/index.ts';
import { limitConnHandler } from '../modules/limit-conn.ts';
import { limitReqHandler } from '../modules/limit-req.ts';
import { mirrorHandler } from '../modules/mirror.ts';
import { realipHandler } from '../modules/realip.ts';
import { rewriteHandler } from '../modules/rewrite.ts';
import { staticHandler } from '../modules/static.ts';
import { tryFilesHandler } from '../modules/try-files.ts';
import { AGAIN, DECLINED, DONE, ERROR, OK } from './codes.ts';
import { delayRequest } from './delay.ts';
import type { Exchange } from './exchange.ts';
import { selectLocation } from './find-config.ts';
import { pathOf } from './paths.ts';

export type PhaseHandler = (r: Exchange) => number;

interface HandlerStep {
  readonly kind: 'generic' | 'rewrite' | 'access' | 'content';
  readonly phase: string;
  readonly handler: PhaseHandler;
}

type Step = HandlerStep | { readonly kind: 'find-config' | 'post-rewrite' | 'post-access'; readonly phase: string };

const ORDER: readonly (readonly [phase: string, kind: Step['kind'], handlers?: readonly PhaseHandler[]])[] = [
  ['post-read', 'generic', [realipHandler]],
  ['server-rewrite', 'rewrite', [rewriteHandler]],
  ['find-config', 'find-config'],
  ['rewrite', 'rewrite', [rewriteHandler]],
  ['post-rewrite', 'post-rewrite'],
  ['preaccess', 'generic', [realipHandler, limitReqHandler, limitConnHandler]],
  ['access', 'access', [accessHandler, authBasicHandler, authRequestHandler]],
  ['post-access', 'post-access'],
  ['precontent', 'generic', [tryFilesHandler, mirrorHandler]],
  ['content', 'content', [indexHandler, autoindexHandler, gzipStaticHandler, staticHandler]],
];

const STEPS: Step[] = ORDER.flatMap(([phase, kind, handlers]) =>
  handlers ? handlers.map((handler) => ({ kind, phase, handler }) as Step) : [{ kind, phase } as Step],
);

function firstOf(phase: string): number {
  const order = ORDER.map(([name]) => name);
  const wanted = order.slice(order.indexOf(phase));
  const at = STEPS.findIndex((s) => wanted.includes(s.phase));
  return at;
}

/** Index of the first step of each phase that a request can be sent (back) to. */
export const SERVER_REWRITE: number = firstOf('server-rewrite');
export const FIND_CONFIG: number = firstOf('find-config');
export const LOCATION_REWRITE: number = firstOf('rewrite');

const NEXT_PHASE: number[] = STEPS.map((step, i) => {
  for (let j = i + 1; j < STEPS.length; j++) if (STEPS[j]!.phase !== step.phase) return j;
  return STEPS.length;
});

/** Walks the phases from `r.phase` until a handler waits, takes over or ends the request. */
export function runPhases(r: Exchange): void {
  while (!r.isFinished) {
    const step = STEPS[r.phase];
    if (!step || !advance(r, step)) return;
  }
}

/** Runs one step; false when the walk stops here. */
function advance(r: Exchange, step: Step): boolean {
  switch (step.kind) {
    case 'generic': {
      const rc = step.handler(r);
      if (rc === OK) r.phase = NEXT_PHASE[r.phase]!;
      else if (rc === DECLINED) r.phase++;
      else return stopAt(r, step, rc);
      return true;
    }
    case 'rewrite': {
      const rc = step.handler(r);
      if (rc !== DECLINED) return stopAt(r, step, rc);
      r.phase++;
      return true;
    }
    case 'find-config':
      if (!selectLocation(r)) return false;
      r.phase++;
      return true;
    case 'post-rewrite':
      return postRewrite(r);
    case 'access':
      return checkAccess(r, step);
    case 'post-access': {
      const code = r.accessCode;
      r.accessCode = 0;
      if (code) {
        if (code === 403) r.log('error', 'access forbidden by rule');
        return refuse(r, code);
      }
      r.phase++;
      return true;
    }
    case 'content':
      return content(r, step.handler);
  }
}

/** Ends the walk: AGAIN and DONE leave the request to whoever took it, anything else finalizes it. */
function stop(r: Exchange, rc: number): false {
  if (rc !== AGAIN && rc !== DONE) r.finalize(rc);
  return false;
}

/** The same, for a handler whose name tells a trace who ended the walk. */
function stopAt(r: Exchange, step: HandlerStep, rc: number): false {
  if (r.client.trace && rc !== AGAIN && rc !== DONE) tellOutcome(r, step, rc);
  return stop(r, rc);
}

function tellOutcome(r: Exchange, { kind, phase, handler }: HandlerStep, rc: number): void {
  // The rewrite program has told each of its steps.
  if (kind === 'rewrite') return;
  const name = handler.name.replace(/Handler$/, '').replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const outcome = rc === OK ? 'agrees' : rc === AGAIN || rc === DONE ? 'waits' : `ends the request with ${rc}`;
  r.client.trace!.observe('phase', `${phase} phase: ${name} ${outcome}`, r.location);
}

/** After a rewrite changed the URI the location is looked for again, ten times at most. */
function postRewrite(r: Exchange): boolean {
  if (!r.isUriRewritten) {
    r.phase++;
    return true;
  }
  if (--r.uriChangesLeft === 0) {
    r.log('error', `rewrite or internal redirection cycle while processing "${r.uri}"`);
    return stop(r, 500);
  }
  r.isUriRewritten = false;
  r.phase = FIND_CONFIG;
  r.location = r.server.root;
  return true;
}

/** `satisfy all`: every handler must agree; `satisfy any`: one is enough, and a refusal waits for the last one. */
function checkAccess(r: Exchange, step: HandlerStep): boolean {
  if (r.parent) {
    r.phase = NEXT_PHASE[r.phase]!;
    return true;
  }
  const rc = step.handler(r);
  if (rc === DECLINED) {
    r.phase++;
    return true;
  }
  if (r.client.trace) tellOutcome(r, step, rc);
  if (rc === AGAIN || rc === DONE) return false;
  if (coreModule.location(r.location).satisfy === 'all') {
    if (rc !== OK) return refuse(r, rc);
    r.phase++;
    return true;
  }
  if (rc === OK) {
    r.accessCode = 0;
    r.out.remove('www-authenticate');
    r.phase = NEXT_PHASE[r.phase]!;
    return true;
  }
  if (rc !== 401 && rc !== 403) return stop(r, rc);
  if (r.accessCode !== 401) r.accessCode = rc;
  r.phase++;
  return true;
}

/** Ends a request that may not go on; `auth_delay` holds a 401 back, so that passwords cannot be tried fast. */
function refuse(r: Exchange, code: number): false {
  const delayMs = code === 401 ? coreModule.location(r.location).auth_delay : 0;
  if (delayMs === 0) return stop(r, code);
  r.log('info', 'delaying unauthorized request');
  delayRequest(r, delayMs, (waiting) => waiting.finalize(401));
  return false;
}

function content(r: Exchange, handler: PhaseHandler): boolean {
  if (r.contentHandler) return endContent(r, r.contentHandler(r));
  const rc = handler(r);
  if (rc !== DECLINED) {
    if (r.client.trace && rc >= 300) tellOutcome(r, { kind: 'content', phase: 'content', handler }, rc);
    return endContent(r, rc);
  }
  r.phase++;
  if (r.phase < STEPS.length) return true;
  if (!r.uri.endsWith('/')) return stop(r, 404);
  r.log('error', `directory index of "${pathOf(r, r.uri)}" is forbidden`);
  return stop(r, 403);
}

function endContent(r: Exchange, rc: number): false {
  return stop(r, rc === ERROR ? 500 : rc);
}
