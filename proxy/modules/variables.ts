// Every built-in variable that is not a module's own, joined.
import type { Variable } from '../config/variables.ts';
import { CONNECTION_VARIABLES } from './variables-connection.ts';
import { HEADER_PREFIXES } from './variables-headers.ts';
import { REQUEST_VARIABLES } from './variables-request.ts';
import { RESPONSE_VARIABLES } from './variables-response.ts';
import { UPSTREAM_PREFIXES, UPSTREAM_VARIABLES } from './variables-upstream.ts';

/** Names and values of the variables that are always there. */
export const CORE_VARIABLES: readonly (readonly [string, Variable])[] = [
  ...REQUEST_VARIABLES,
  ...CONNECTION_VARIABLES,
  ...RESPONSE_VARIABLES,
  ...UPSTREAM_VARIABLES,
];

/** Families by prefix (`http_`, `arg_`, …). */
export const CORE_PREFIXES: readonly (readonly [string, (rest: string) => Variable])[] = [
  ...HEADER_PREFIXES,
  ...UPSTREAM_PREFIXES,
];
