// The join: every module's rows, variables and preparations, in one place. A new module is added here, and its
// handlers in http/phases.ts or its filters in http/filters.ts.
import { prepareRoot } from '../http/paths.ts';
import { accessModule } from '../modules/access.ts';
import { accessLogModule, prepareAccessLogs } from '../modules/access-log.ts';
import { blocksModule } from '../modules/core-blocks.ts';
import { coreModule } from '../modules/core-rows.ts';
import { eventsModule } from '../modules/events.ts';
import { headersModule } from '../modules/headers.ts';
import { indexModule } from '../modules/index.ts';
import { outOfScopeModule } from '../modules/out-of-scope.ts';
import { processModule } from '../modules/process.ts';
import { rewriteModule } from '../modules/rewrite.ts';
import { tryFilesModule } from '../modules/try-files.ts';
import { CORE_PREFIXES, CORE_VARIABLES } from '../modules/variables.ts';
import type { AnyModule, Prepare } from './compile.ts';
import type { Variable } from './variables.ts';

/** All modules, in the order in which a name that several declare is looked for. */
export const MODULES: readonly AnyModule[] = [
  processModule,
  eventsModule,
  coreModule,
  blocksModule,
  accessLogModule,
  rewriteModule,
  accessModule,
  indexModule,
  tryFilesModule,
  headersModule,
  outOfScopeModule,
];

/** Runs on every location, outer ones first, once its values are final. */
export const PREPARE: readonly Prepare[] = [prepareRoot, prepareAccessLogs];

export const BUILT_IN_VARIABLES: readonly (readonly [string, Variable])[] = [...CORE_VARIABLES];

export const VARIABLE_PREFIXES: readonly (readonly [string, (rest: string) => Variable])[] = [...CORE_PREFIXES];
