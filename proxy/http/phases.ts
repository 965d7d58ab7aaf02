// DESIGN: THE ORDER in which a request meets the modules. This file is the table and the engine that walks it; a
// module never calls another. Phases and their order are nginx's (ngx_http_core_run_phases); within a phase nginx runs
// the handlers in reverse order of module registration, which gives the order below.
import { accessHandler } from '../modules/access.ts';
import { coreModule } from '../modules/core-rows.ts';
import { indexHandler } from '../modules/index.ts';
import { rewriteHandler } from '../modules/rewrite.ts';
import { staticHandler } from '../modules/static.ts';
import { tryFilesHandler } from '../modules/try-files.ts';
import { AGAIN, DECLINED, DONE, ERROR, OK } from './codes.ts';
import type { Exchange } from './exchange.ts';
import { selectLocation } from './find-config.ts';
import { pathOf } from './paths.ts';

export type PhaseHandler = (r: Exchange) => number;

type Step =
  | {
      readonly kind: 'generic' | 'rewrite' | 'access' | 'content';
      readonly phase: string;
      readonly handler: PhaseHandler;
    }
  | { readonly kind: 'find-config' | 'post-rewrite' | 'post-access'; readonly phase: string };

const ORDER: readonly (readonly [phase: string, kind: Step['kind'], handlers?: readonly PhaseHandler[]])[] = [
  ['post-read', 'generic', []],
  ['server-rewrite', 'rewrite', [rewriteHandler]],
  ['find-config', 'find-config'],
  ['rewrite', 'rewrite', [rewriteHandler]],
  ['post-rewrite', 'post-rewrite'],
  ['preaccess', 'generic', []],
  ['access', 'access', [accessHandler]],
  ['post-access', 'post-access'],
  ['precontent', 'generic', [tryFilesHandler]],
  ['content', 'content', [indexHandler, staticHandler]],
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
    if (!step) return;
    switch (step.kind) {
      case 'generic': {
        const rc = step.handler(r);
        if (rc === OK) r.phase = NEXT_PHASE[r.phase]!;
        else if (rc === DECLINED) r.phase++;
        else if (rc === AGAIN || rc === DONE) return;
        else return r.finalize(rc);
        break;
      }
      case 'rewrite': {
        const rc = step.handler(r);
        if (rc === DECLINED) r.phase++;
        else if (rc === DONE) return;
        else return r.finalize(rc);
        break;
      }
      case 'find-config':
        if (!selectLocation(r)) return;
        r.phase++;
        break;
      case 'post-rewrite':
        if (!r.isUriRewritten) {
          r.phase++;
          break;
        }
        if (--r.uriChangesLeft === 0) {
          r.log('error', `rewrite or internal redirection cycle while processing "${r.uri}"`);
          return r.finalize(500);
        }
        r.isUriRewritten = false;
        r.phase = FIND_CONFIG;
        r.location = r.server.root;
        break;
      case 'access': {
        if (r.parent) {
          r.phase = NEXT_PHASE[r.phase]!;
          break;
        }
        const rc = step.handler(r);
        if (rc === DECLINED) {
          r.phase++;
          break;
        }
        if (rc === AGAIN || rc === DONE) return;
        if (coreModule.location(r.location).satisfy === 'all') {
          if (rc === OK) {
            r.phase++;
            break;
          }
        } else if (rc === OK) {
          r.accessCode = 0;
          r.out.remove('www-authenticate');
          r.phase = NEXT_PHASE[r.phase]!;
          break;
        } else if (rc === 401 || rc === 403) {
          if (r.accessCode !== 401) r.accessCode = rc;
          r.phase++;
          break;
        }
        return r.finalize(rc);
      }
      case 'post-access': {
        const code = r.accessCode;
        r.accessCode = 0;
        if (code) {
          if (code === 403) r.log('error', 'access forbidden by rule');
          return r.finalize(code);
        }
        r.phase++;
        break;
      }
      case 'content': {
        if (r.contentHandler) return endContent(r, r.contentHandler(r));
        const rc = step.handler(r);
        if (rc !== DECLINED) return endContent(r, rc);
        r.phase++;
        if (r.phase < STEPS.length) break;
        if (r.uri.endsWith('/')) {
          r.log('error', `directory index of "${pathOf(r, r.uri)}" is forbidden`);
          return r.finalize(403);
        }
        return r.finalize(404);
      }
    }
  }
}

function endContent(r: Exchange, rc: number): void {
  if (rc === DONE || rc === AGAIN) return;
  r.finalize(rc === ERROR ? 500 : rc);
}
