// What a ready scenario is: a question that people ask, answered by bringing up what it is about, putting load on it, and
// looking whether it came out as expected. catalog.ts lists them.
import type { LoadResult } from '../measure/result.ts';
import type { LoadPlan } from '../plan.ts';
import type { Rig } from '../rig/rig.ts';

/** A statement about the outcome, and whether it held. */
export interface Check {
  readonly text: string;
  readonly holds: boolean;
}

export interface Outcome {
  /** The table: a heading, and a row for each configuration. */
  readonly table: ReadonlyArray<readonly string[]>;
  readonly checks: readonly Check[];
  /** What happened, in a few sentences. */
  readonly explanation: string;
  /** What to change. */
  readonly advice: string;
}

/** What a scenario works with. */
export interface Workbench {
  readonly rig: Rig;
  /** A duration: the given one, or less in a quick run. */
  seconds(full: number): number;
  /** Puts load on `url`; `title` names the configuration. */
  load(title: string, url: string, plan: Partial<LoadPlan> & { readonly body?: string }): Promise<LoadResult>;
  /** Puts load on with the whole plan given. */
  run(title: string, plan: LoadPlan): Promise<LoadResult>;
}

export interface Scenario {
  readonly name: string;
  /** One line, as a question. */
  readonly question: string;
  /** Where people asked it. */
  readonly asked: string;
  readonly expected: string;
  run(bench: Workbench): Promise<Outcome>;
}
