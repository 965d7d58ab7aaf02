// An explanation as text: what happened in order, one decision a line, the directive's place at its end.
import { relative } from 'node:path';
import type { ExplainedHeader, Explanation, Step } from './explanation.ts';

const STAGE_WIDTH = 10;
const TEXT_WIDTH = 74;

/** The text, with its last newline. Files are shown relative to `directory`. */
export function explanationText(explanation: Explanation, directory: string): string {
  const { method, url, steps, upstream, response } = explanation;
  const place = (at: { file?: string; line?: number }): string => {
    if (at.file === undefined) return '';
    const near = relative(directory, at.file);
    return `${near.startsWith('..') ? at.file : near}:${at.line}`;
  };
  const lines: string[] = [`${method} ${url}`];
  let stage = '';
  const add = (name: string, text: string, at: { file?: string; line?: number }): void => {
    if (name !== stage) lines.push('');
    const label = (name === stage ? '' : name).padEnd(STAGE_WIDTH);
    stage = name;
    lines.push(`${label} ${place(at) === '' ? text : `${text.padEnd(TEXT_WIDTH)}  ${place(at)}`}`.trimEnd());
  };
  const header = (one: ExplainedHeader, from: string): void => {
    const source = one.from === 'client' ? '(from the client)' : one.from === 'nginx' ? from : '';
    add(stage, `  ${one.name}: ${one.value}${source && `   ${source}`}`, one);
  };
  const [logs, decisions] = [steps.filter(isAccessLog), steps.filter((step) => !isAccessLog(step))];
  for (const step of decisions) add(step.stage, step.text, step);
  if (upstream) {
    for (const { address, isChosen, text } of upstream.peers) {
      add('upstream', `  ${isChosen ? '=>' : '  '} ${address}${text && ` ${text}`}`, {});
    }
    add('request', upstream.requestLine, {});
    for (const one of upstream.headers) header(one, '(by default)');
  }
  if (response) {
    const assumed = upstream ? '   (assumed; the headers of the upstream itself come in addition)' : '';
    add('response', `${response.statusLine}${assumed}`, {});
    for (const one of response.headers) header(one, '');
  } else add('response', 'none: the connection is closed', {});
  for (const step of logs) add('log', step.text, step);
  return `${lines.join('\n')}\n`;
}

function isAccessLog({ stage, text }: Step): boolean {
  return stage === 'log' && !text.startsWith('[');
}
