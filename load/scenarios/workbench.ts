// Runs a ready scenario: brings up a rig, gives it to the scenario, tells what goes on, takes all down. The default plan of a
// scenario's loads is here, so that a scenario names only what it is about.
import { runLoad } from '../engine/run.ts';
import type { LoadResult } from '../measure/result.ts';
import type { LoadPlan, PlannedRequest } from '../plan.ts';
import { Rig } from '../rig/rig.ts';
import { LiveView, type Terminal } from '../view/live.ts';
import type { Outcome, Scenario, Workbench } from './scenario.ts';

/** A plan with everything as usual: closed loop, 8 connections, 3 s. */
export function usualPlan(
  title: string,
  requests: readonly PlannedRequest[],
  changes: Partial<LoadPlan> = {},
): LoadPlan {
  return {
    name: title,
    requests,
    order: 'weighted',
    model: 'closed',
    arrivals: 'constant',
    stages: [{ durationMs: 3000, from: 8, to: 8 }],
    warmupMs: 0,
    requestLimit: undefined,
    connections: Math.max(...(changes.stages ?? [{ from: 8, to: 8 }]).flatMap(({ from, to }) => [from, to])),
    streams: 1,
    protocol: 'http/1.1',
    isKeepalive: true,
    reconnectAfter: 0,
    thinkMs: [0, 0],
    sendRate: 0,
    readRate: 0,
    timeoutMs: 30_000,
    threads: 1,
    authorities: [],
    isInsecure: false,
    seed: 1,
    ...changes,
  };
}

/** One request of a mix: a GET, or a POST when there is a body. */
export function plannedRequest(url: string, body?: string, weight = 1): PlannedRequest {
  return {
    name: url,
    url,
    method: body === undefined ? 'GET' : 'POST',
    headers: [],
    body: body === undefined ? undefined : Buffer.from(body),
    weight,
    expect: undefined,
  };
}

/** So many users for so long. */
export function users(count: number, seconds: number): Pick<LoadPlan, 'model' | 'stages' | 'connections'> {
  return { model: 'closed', stages: [{ durationMs: seconds * 1000, from: count, to: count }], connections: count };
}

/** So many requests a second for so long. */
export function rate(perSecond: number, seconds: number): Pick<LoadPlan, 'model' | 'stages' | 'connections'> {
  return { model: 'open', stages: [{ durationMs: seconds * 1000, from: perSecond, to: perSecond }], connections: 512 };
}

/** Runs a scenario; `say` gets a line when something begins. What was started is ended even when it throws. */
export async function runScenario(
  scenario: Scenario,
  options: {
    isQuick: boolean;
    isQuiet: boolean;
    terminal: Terminal;
    signal: AbortSignal;
    say: (line: string) => void;
    /** Gets each result as its load ends, also that of a load that was stopped. */
    onResult: (result: LoadResult) => void;
  },
): Promise<Outcome> {
  const rig = new Rig();
  let running = 0;
  const run = async (title: string, plan: LoadPlan): Promise<LoadResult> => {
    options.signal.throwIfAborted();
    options.say(title);
    // Of loads at the same time the first is shown.
    const view = new LiveView(plan, options.terminal, options.isQuiet || running > 0);
    running++;
    const result = await runLoad(plan, {
      signal: options.signal,
      onProgress: (progress) => view.update(progress),
      topology: { configuration: title },
    });
    running--;
    view.clear();
    options.onResult(result);
    options.signal.throwIfAborted();
    return result;
  };
  const bench: Workbench = {
    rig,
    seconds: (full) => (options.isQuick ? Math.max(0.8, full / 4) : full),
    run,
    load: async (title, url, { body, ...changes }) =>
      await run(title, usualPlan(title, [plannedRequest(url, body)], changes)),
  };
  try {
    return await scenario.run(bench);
  } finally {
    await rig.close();
  }
}
