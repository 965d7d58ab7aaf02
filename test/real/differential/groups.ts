// All groups of the differential test.
import { bodies } from './bodies.ts';
import { core } from './core.ts';
import type { Group } from './group.ts';
import { proxying } from './proxying.ts';
import { rules } from './rules.ts';
import { statics } from './static.ts';
import { tls } from './tls.ts';
import { upstreams } from './upstreams.ts';

export const GROUPS: readonly Group[] = [...core, ...bodies, ...proxying, ...upstreams, ...rules, ...statics, ...tls];
