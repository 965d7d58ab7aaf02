// The result of a run as text: figures, percentile table, statuses and failures, stages, where the time went, the sentence on
// the bottleneck, warnings, thresholds. What --json has and this leaves out is the timeline and the histograms.
import { FAILURES, type FailureKind } from '../client/failure.ts';
import { type Distribution, decode, percentilePoints } from '../measure/histogram.ts';
import type { HopTable } from '../measure/hop-table.ts';
import type { LoadResult, PartResult } from '../measure/result.ts';
import { showBytes, showMs, showNumber, showShare } from '../units.ts';
import { table } from './table.ts';

/** The text, lines with their ends. */
export function resultText(result: LoadResult): string {
  const { settings } = result;
  const parts: string[] = [];
  const level = settings.stages
    .map(({ from, to }) => (from === to ? showNumber(from) : `${showNumber(from)} to ${showNumber(to)}`))
    .join(', ');
  const model =
    settings.model === 'open'
      ? `open loop, ${level} requests/s (${settings.arrivals} arrivals)`
      : `closed loop, ${level} connections${settings.streams > 1 ? ` x ${settings.streams} streams` : ''}`;
  parts.push(
    `${result.targets.length === 1 ? result.targets[0] : `${result.name}: ${result.targets.length} URLs`}\n` +
      `${model}, ${settings.protocol}${settings.isKeepalive ? '' : ', Connection: close'}, ${(result.elapsedMs / 1000).toFixed(1)} s${result.isInterrupted ? ' (interrupted: these are the results so far)' : ''}`,
  );
  const rows = [
    [
      'requests',
      `${showNumber(result.requests)}${result.warmupRequests > 0 ? `, and ${showNumber(result.warmupRequests)} to warm up` : ''}`,
    ],
    [
      'throughput',
      `${showNumber(result.requestsPerSecond)} requests/s, ${showBytes(Math.round(result.receivedBytes / Math.max(0.001, result.elapsedMs / 1000)))}/s received`,
    ],
    ['errors', `${showNumber(result.errors)} (${showShare(result.errorShare)})`],
  ];
  const statuses = Object.entries(result.statuses).map(([status, count]) => `${status}: ${showNumber(count)}`);
  if (statuses.length > 0) rows.push(['statuses', statuses.join(', ')]);
  const makers = Object.entries(result.makers).map(([made, count]) => `${made}: ${showNumber(count)}`);
  if (makers.length > 0) rows.push(['made by', makers.join(', ')]);
  parts.push(table(rows));
  const failures = Object.entries(result.failures) as Array<[FailureKind, number]>;
  if (failures.length > 0) {
    parts.push(
      table(
        [['no answer', '', ''], ...failures.map(([kind, count]) => [`  ${kind}`, showNumber(count), FAILURES[kind]])],
        [1],
      ),
    );
  }
  if (result.latency !== undefined) parts.push(latencyText(result.latency, result.service));
  if (result.stages.length > 0) parts.push(partsText('level', result.stages));
  if (result.kinds.length > 0) parts.push(partsText('request', result.kinds));
  if (result.hops !== undefined) parts.push(hopsText('where the time went', result.hops));
  if (result.accessLog !== undefined)
    parts.push(hopsText("where the time went, by the proxy's access log", result.accessLog));
  if (result.bottleneck !== '') parts.push(result.bottleneck);
  const { cpuShares, lagMs, latenessMs, warnings } = result.generator;
  parts.push(
    `generator: CPU ${cpuShares.map((share) => showShare(share)).join(' ')}, event loop at worst ${showMs(Math.max(0, lagMs))} late${settings.model === 'open' ? `, requests sent ${showMs(latenessMs)} late at p99` : ''}`,
  );
  for (const warning of warnings) parts.push(`warning: ${warning}`);
  if (result.thresholds.length > 0) {
    parts.push(
      result.thresholds
        .map(
          ({ text, value, isMet }) =>
            `${isMet ? 'ok    ' : 'FAILED'} --fail-if '${text}' (${showMeasure(text, value)})`,
        )
        .join('\n'),
    );
  }
  return `${parts.join('\n\n')}\n`;
}

function showMeasure(text: string, value: number): string {
  if (Number.isNaN(value)) return 'nothing was answered';
  if (/^errors/.test(text)) return showShare(value);
  return /^(rps|requests)/.test(text) ? showNumber(value) : showMs(value);
}

function latencyText(latency: Distribution, service: Distribution | undefined): string {
  const points = percentilePoints(decode(latency.histogram));
  const others = service === undefined ? undefined : decode(service.histogram);
  const head = ['latency', 'ms', ...(others === undefined ? [] : ['from sending on'])];
  const rows = points.map(({ percent, ms }) => [
    percent === 0 ? '  min' : percent === 100 ? '  max' : `  p${percent}`,
    ms.toFixed(3),
    ...(others === undefined ? [] : [(others.getValueAtPercentile(percent) / 1000).toFixed(3)]),
  ]);
  rows.push(['  mean', latency.mean.toFixed(3), ...(service === undefined ? [] : [service.mean.toFixed(3)])]);
  rows.push(['  stdev', latency.stdev.toFixed(3), ...(service === undefined ? [] : [service.stdev.toFixed(3)])]);
  return table([head, ...rows], [1, 2]);
}

function partsText(title: string, parts: readonly PartResult[]): string {
  const rows = parts.map(({ name, requests, errors, requestsPerSecond, latency }) => [
    `  ${name}`,
    showNumber(requests),
    showNumber(requestsPerSecond),
    showMs(latency?.p50 ?? Number.NaN),
    showMs(latency?.p95 ?? Number.NaN),
    showMs(latency?.p99 ?? Number.NaN),
    showShare(requests === 0 ? 0 : errors / requests),
  ]);
  return table([[title, 'requests', '/s', 'p50', 'p95', 'p99', 'errors'], ...rows], [1, 2, 3, 4, 5, 6]);
}

function hopsText(title: string, hops: HopTable): string {
  const rows = hops.rows.map(({ hop, meaning, all, slowest }) => [
    `  ${hop}`,
    all.p50.toFixed(2),
    all.p99.toFixed(2),
    showShare(all.share),
    slowest.p50.toFixed(2),
    slowest.p99.toFixed(2),
    showShare(slowest.share),
    meaning,
  ]);
  const head = [`${title}, ms`, 'p50', 'p99', 'share', 'slowest 1%: p50', 'p99', 'share', ''];
  return table([head, ...rows], [1, 2, 3, 4, 5, 6]);
}
