// The ready scenarios, in the order in which `portico load --list` shows them.
import { backlogOverflow } from './backlog-overflow.ts';
import { blockingInAsync } from './blocking-in-async.ts';
import { deadPeer } from './dead-peer.ts';
import { keepaliveRace } from './keepalive-race.ts';
import { leastConn } from './least-conn.ts';
import { maxRequestsStorm } from './max-requests-storm.ts';
import { reloadUnderLoad } from './reload-under-load.ts';
import { retryAmplification } from './retry-amplification.ts';
import type { Scenario } from './scenario.ts';
import { slowClients } from './slow-clients.ts';
import { threadPool40 } from './thread-pool-40.ts';
import { threadsOrProcesses } from './threads-or-processes.ts';
import { timeoutCascade } from './timeout-cascade.ts';

export const SCENARIOS: readonly Scenario[] = [
  threadsOrProcesses,
  blockingInAsync,
  threadPool40,
  keepaliveRace,
  timeoutCascade,
  slowClients,
  reloadUnderLoad,
  backlogOverflow,
  maxRequestsStorm,
  deadPeer,
  leastConn,
  retryAmplification,
];
