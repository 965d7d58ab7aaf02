// All groups of the differential test.
import { bodies } from './bodies.ts';
import { core } from './core.ts';
import type { Group } from './group.ts';
import { proxying } from './proxying.ts';

export const GROUPS: readonly Group[] = [...core, ...bodies, ...proxying];
