// The join: every module's rows, variables and preparations, in one place. A new module is added here, and its
// handlers in http/phases.ts or its filters in http/filters.ts.
import { prepareRoot } from '../http/paths.ts';
import { blocksModule } from '../modules/core-blocks.ts';
import { coreModule } from '../modules/core-rows.ts';
import type { AnyModule, Prepare } from './compile.ts';
import type { Variable } from './variables.ts';

/** All modules, in the order in which a name that several declare is looked for. */
export const MODULES: readonly AnyModule[] = [coreModule, blocksModule];

/** Runs on every location, outer ones first, once its values are final. */
export const PREPARE: readonly Prepare[] = [prepareRoot];

export const BUILT_IN_VARIABLES: readonly (readonly [string, Variable])[] = [];

export const VARIABLE_PREFIXES: readonly (readonly [string, (rest: string) => Variable])[] = [];
