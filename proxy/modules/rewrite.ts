// `rewrite`, `return`, `set`, `if` and `break`, in the server-rewrite and rewrite phases. The directives of a block are
// compiled into one program (rewrite-program.ts), `if` blocks in their place. Mirrors ngx_http_rewrite_module.
import { Location, Scope } from '../config/compile.ts';
import { action, type Cf, defineModule, flag, HSLI, LOCATION, LOCATION_IF, SERVER, SERVER_IF } from '../config/rows.ts';
import type { Template } from '../config/template.ts';
import { DECLINED } from '../http/codes.ts';
import type { Exchange } from '../http/exchange.ts';
import { Matcher } from '../http/matcher.ts';
import { LOCATION_REWRITE } from '../http/phases.ts';
import { parseCondition } from './rewrite-condition.ts';
import { BreakStep, IfStep, ReturnStep, RewriteStep, Run, runSteps, SetStep, type Step } from './rewrite-program.ts';

const WHERE = SERVER | SERVER_IF | LOCATION | LOCATION_IF;

export const rewriteModule = defineModule('rewrite', {
  location: {
    rewrite: action(WHERE, '2-3', 'regex replacement [last | break | redirect | permanent]', addRewrite),
    return: action(WHERE, '1-2', 'code [text] | code URL | URL', addReturn),
    break: action(WHERE, 'none', '', (cf) => stepsOf(cf).push(new BreakStep(cf.directive))),
    if: action(SERVER | LOCATION, '1+', '(condition) { ... }', openIf, { isBlock: true }),
    set: action(WHERE, '2', '$variable value', addSet),
    rewrite_log: flag(HSLI | SERVER_IF, false),
    uninitialized_variable_warn: flag(HSLI | SERVER_IF, true),
  },
});

/** Key of a location's program among its prepared data; an `if` block's location holds the steps of the block. */
const PROGRAM = Symbol('rewrite program');

function stepsOf(cf: Cf): Step[] {
  const { prepared } = cf.scope.location!;
  let steps = prepared.get(PROGRAM) as Step[] | undefined;
  if (!steps) {
    steps = [];
    prepared.set(PROGRAM, steps);
  }
  return steps;
}

export function rewriteHandler(r: Exchange): number {
  const { location } = r;
  // What stands in the server block was run before a location was looked for.
  if (location === r.server.root && r.phase === LOCATION_REWRITE) return DECLINED;
  const steps = location.prepared.get(PROGRAM) as readonly Step[] | undefined;
  if (!steps) return DECLINED;
  const run = new Run(r, rewriteModule.location(location).rewrite_log);
  runSteps(steps, run);
  return run.status;
}

function isAbsolute(text: string): boolean {
  return text.startsWith('http://') || text.startsWith('https://') || text.startsWith('$scheme');
}

function addRewrite(cf: Cf): void {
  const [pattern, written, mode] = cf.args as [string, string, string | undefined];
  if (written === '') cf.fail('empty replacement');
  const matcher = new Matcher(pattern, false, cf.compiler, cf.directive);
  const keepsArgs = !written.endsWith('?');
  const replacement = keepsArgs ? written : written.slice(0, -1);
  let redirectStatus = isAbsolute(replacement) ? 302 : 0;
  if (mode === 'redirect') redirectStatus = 302;
  else if (mode === 'permanent') redirectStatus = 301;
  else if (mode !== undefined && mode !== 'last' && mode !== 'break') cf.invalidParameter(mode);
  const question = redirectStatus ? -1 : replacement.indexOf('?');
  stepsOf(cf).push(
    new RewriteStep({
      at: cf.directive,
      matcher,
      target: cf.template(question < 0 ? replacement : replacement.slice(0, question)),
      query: question < 0 ? undefined : cf.template(replacement.slice(question + 1)),
      keepsArgs,
      redirectStatus,
      isBreak: mode === 'break',
      isLast: mode !== undefined || redirectStatus > 0,
    }),
  );
}

function addReturn(cf: Cf): void {
  const [first, second] = cf.args as [string, string | undefined];
  if (/^\d+$/.test(first)) {
    const status = Number(first);
    if (status > 999) cf.fail(`invalid return code "${first}"`);
    stepsOf(cf).push(new ReturnStep(cf.directive, status, second === undefined ? undefined : cf.template(second)));
    return;
  }
  if (second !== undefined || !isAbsolute(first)) cf.fail(`invalid return code "${first}"`);
  stepsOf(cf).push(new ReturnStep(cf.directive, 302, cf.template(first)));
}

function addSet(cf: Cf): void {
  const [name, value] = cf.args as [string, string];
  if (!name.startsWith('$')) cf.fail(`invalid variable name "${name}"`);
  if (name === '$') cf.fail('invalid variable name "$"');
  const key = name.slice(1).toLowerCase();
  const ref = cf.compiler.variables.declare(key, { get: (r) => uninitialized(r, key), isCached: true }, cf.directive);
  const text: Template = cf.template(value);
  stepsOf(cf).push(new SetStep(cf.directive, ref, text));
}

function uninitialized(r: Exchange, name: string): string {
  if (rewriteModule.location(r.location).uninitialized_variable_warn) {
    r.log('warn', `using uninitialized "${name}" variable`);
  }
  return '';
}

function openIf(cf: Cf): void {
  const { scope, compiler, directive } = cf;
  const outer = scope.location!;
  const condition = parseCondition(cf);
  const location = new Location('noname', outer.name, directive, outer);
  const isServer = scope.context === SERVER;
  const step = new IfStep(directive, condition, isServer ? undefined : location);
  stepsOf(cf).push(step);
  location.prepared.set(PROGRAM, step.steps);
  const inner = new Scope(isServer ? SERVER_IF : LOCATION_IF, scope);
  inner.location = location;
  location.scope = inner;
  outer.children.push(location);
  compiler.walk(directive.block!, inner);
}
