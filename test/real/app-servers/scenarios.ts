import type { Side } from './peers.ts';
export const SCENARIOS: readonly { name: string; run: (side: Side) => Promise<unknown>; expected?: unknown }[] = [];
