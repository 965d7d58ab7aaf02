// The result of a run: what --json prints, --out writes, and the report and thresholds read. Times in ms, shares from 0 to 1.
// The form is versioned by `format`.
import type { FailureKind } from '../client/failure.ts';
import type { Stage } from '../units.ts';
import type { Distribution } from './histogram.ts';
import type { HopTable } from './hop-table.ts';

/** Counts and latencies of a part of the requests. */
export interface PartResult {
  readonly name: string;
  readonly requests: number;
  readonly errors: number;
  readonly requestsPerSecond: number;
  readonly latency: Distribution | undefined;
}

/** A part of the run at one level, or on a ramp. */
export interface StageResult extends PartResult {
  readonly stage: Stage;
}

/** One second of the run. */
export interface SecondResult {
  readonly second: number;
  readonly requests: number;
  readonly errors: number;
  readonly failures: Record<string, number>;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
  /** Mean of each hop over the second's requests. */
  readonly hops: Record<string, number>;
}

/** What each worker (or peer) did, second by second: the heat map of the report. */
export interface Lanes {
  /** Where the names come from: `worker` of Server-Timing, `peer` of the access log, or `cpu` of /proc. */
  readonly source: 'worker' | 'peer' | 'cpu';
  readonly unit: 'requests/s' | 'CPU share';
  readonly names: readonly string[];
  /** A row for each name, a column for each second. */
  readonly values: ReadonlyArray<readonly number[]>;
}

export interface ThresholdResult {
  readonly text: string;
  readonly value: number;
  readonly isMet: boolean;
}

export interface LoadResult {
  readonly format: 'portico-load/1';
  readonly name: string;
  readonly startedAt: string;
  readonly targets: readonly string[];
  readonly settings: {
    readonly model: 'closed' | 'open';
    readonly arrivals: string;
    readonly stages: readonly Stage[];
    readonly connections: number;
    readonly streams: number;
    readonly protocol: string;
    readonly isKeepalive: boolean;
    readonly timeoutMs: number;
    readonly warmupMs: number;
    readonly threads: number;
    /** What was under load, when the one who started the run knows: workers, class, threads, ... */
    readonly topology: Record<string, string | number | boolean>;
  };
  readonly isInterrupted: boolean;
  readonly elapsedMs: number;
  readonly requests: number;
  readonly errors: number;
  readonly errorShare: number;
  readonly warmupRequests: number;
  readonly requestsPerSecond: number;
  readonly statuses: Record<string, number>;
  readonly failures: Partial<Record<FailureKind, number>>;
  readonly makers: Record<string, number>;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly latency: Distribution | undefined;
  /** Open model: the latency from sending on, which hides the wait; see how it differs. */
  readonly service: Distribution | undefined;
  readonly kinds: readonly PartResult[];
  readonly stages: readonly StageResult[];
  readonly timeline: readonly SecondResult[];
  readonly hops: HopTable | undefined;
  readonly accessLog: HopTable | undefined;
  readonly bottleneck: string;
  readonly lanes: Lanes | undefined;
  readonly generator: {
    readonly cpuShares: readonly number[];
    readonly lagMs: number;
    /** Open model: how late requests were sent with a connection free, p99. */
    readonly latenessMs: number;
    readonly warnings: readonly string[];
  };
  readonly thresholds: readonly ThresholdResult[];
}
