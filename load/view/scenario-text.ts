// A ready scenario's outcome as text: the question, the table, what was expected and whether it came, why, and what to change.
import type { LoadResult } from '../measure/result.ts';
import type { Outcome, Scenario } from '../scenarios/scenario.ts';
import { showMs, showNumber } from '../units.ts';
import { table } from './table.ts';

const WIDTH = 100;

/** Lines with their ends. */
export function outcomeText(scenario: Scenario, outcome: Outcome): string {
  const numbers = outcome.table[0]!.map((_, column) => column).slice(1);
  return `${[
    scenario.question,
    table(outcome.table, numbers),
    `Expected: ${scenario.expected}.`,
    outcome.checks.map(({ text, holds }) => `  ${holds ? 'ok    ' : 'FAILED'} ${text}`).join('\n'),
    wrapped(
      outcome.checks.every(({ holds }) => holds)
        ? `What happened. ${outcome.explanation}`
        : `This run did not come out as expected. What usually happens: ${outcome.explanation}`,
    ),
    wrapped(`What to change. ${outcome.advice}`),
    `Asked in ${scenario.asked}`,
  ].join('\n\n')}\n`;
}

/** What was measured until a scenario was interrupted; it has no outcome. */
export function interruptedText(scenario: Scenario, results: readonly LoadResult[]): string {
  const rows = results.map(({ name, requests, requestsPerSecond, latency, errors, isInterrupted }) => [
    `${name}${isInterrupted ? ' (cut short)' : ''}`,
    ...[requests, requestsPerSecond].map(showNumber),
    ...[latency?.p50 ?? Number.NaN, latency?.p99 ?? Number.NaN].map(showMs),
    showNumber(errors),
  ]);
  const heading = ['interrupted; so far', 'requests', 'requests/s', 'p50', 'p99', 'errors'];
  return `${scenario.question}\n\n${table([heading, ...rows], [1, 2, 3, 4, 5])}\n`;
}

/** The list of scenarios. */
export function listText(scenarios: readonly Scenario[]): string {
  return `${table(scenarios.map(({ name, question }) => [name, question]))}\n`;
}

function wrapped(text: string): string {
  const lines: string[] = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!;
    if (line !== '' && line.length + word.length >= WIDTH) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.join('\n');
}
