// The condition of `if`: a variable by itself, compared with `=` or `!=`, matched with `~`, `~*` and their negations,
// or a test of a file. Mirrors ngx_http_rewrite_if_condition.
import { closeSync, constants, fstatSync, type Stats, statSync } from 'node:fs';
import { errnoText } from '../config/error.ts';
import type { Cf } from '../config/rows.ts';
import type { Exchange } from '../http/exchange.ts';
import { fsPath } from '../http/fs-path.ts';
import { Matcher } from '../http/matcher.ts';
import { openGuarded } from '../http/symlinks.ts';
import { symlinkGuard } from './disable-symlinks.ts';
import { evaluateCaptures, type Run } from './rewrite-program.ts';

/** Whether the block of an `if` is entered. */
export type Condition = (run: Run) => boolean;

/** Reads the words of `if (…)`. */
export function parseCondition(cf: Cf): Condition {
  const words = [...cf.args];
  const invalid = (word: string): never => cf.fail(`invalid condition "${word}"`);
  if (!words[0]!.startsWith('(')) invalid(words[0]!);
  if (words[0] === '(') words.shift();
  else words[0] = words[0]!.slice(1);
  const last = words.at(-1) ?? '';
  if (!last.endsWith(')')) invalid(last);
  if (last === ')') words.pop();
  else words[words.length - 1] = last.slice(0, -1);

  const [first = '', operator, operand] = words;
  if (first.length > 1 && first.startsWith('$')) {
    if (words.length !== 1 && words.length !== 3) invalid(first);
    return variableCondition(cf, first, operator, operand);
  }
  if (/^!?-.$/s.test(first)) {
    if (words.length !== 2) invalid(first);
    return fileCondition(cf, first, operator!);
  }
  return invalid(first);
}

function variableCondition(cf: Cf, name: string, operator: string | undefined, operand: string | undefined): Condition {
  const ref = cf.compiler.variables.named(name.slice(1));
  if (operator === undefined) {
    return ({ r }) => {
      const value = ref.get(r) ?? '';
      return value !== '' && value !== '0';
    };
  }
  if (operator === '=' || operator === '!=') {
    const wanted = cf.template(operand!);
    const isEqual = operator === '=';
    return (run) => {
      const value = ref.get(run.r) ?? '';
      return (value === evaluateCaptures(wanted, run.r, run.escapesCaptures)) === isEqual;
    };
  }
  if (!/^!?~\*?$/.test(operator)) cf.fail(`unexpected "${operator}" in condition`);
  const matcher = new Matcher(operand!, operator.endsWith('*'), cf.compiler, cf.directive);
  const isNegative = operator.startsWith('!');
  return (run) => {
    const { r } = run;
    const value = ref.get(r) ?? '';
    const isMatch = matcher.exec(r, value);
    run.note(`"${matcher.pattern}" ${isMatch ? 'matches' : 'does not match'} "${value}"`);
    if (!isMatch) r.captures = undefined;
    return isMatch !== isNegative;
  };
}

/** What `-f`, `-d`, `-e` and `-x` ask of a file that is there. */
const TESTS: Readonly<Record<string, (stats: Stats, path: string) => boolean>> = {
  f: (stats) => stats.isFile(),
  d: (stats) => stats.isDirectory(),
  e: (stats) => stats.isFile() || stats.isDirectory(),
  x: (stats) => (stats.mode & 0o100) !== 0,
};

function statOf(r: Exchange, path: string): Stats {
  const guard = symlinkGuard(r, path);
  if (!guard) return statSync(fsPath(path));
  const fd = openGuarded(path, constants.O_RDONLY | constants.O_NONBLOCK, guard);
  try {
    return fstatSync(fd);
  } finally {
    closeSync(fd);
  }
}

function fileCondition(cf: Cf, operator: string, operand: string): Condition {
  const isNegative = operator.startsWith('!');
  const test = TESTS[operator.at(-1)!] ?? cf.fail(`invalid condition "${operator}"`);
  const path = cf.template(operand);
  return (run) => {
    const { r } = run;
    const name = evaluateCaptures(path, r, run.escapesCaptures);
    try {
      return test(statOf(r, name), name) !== isNegative;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'ENAMETOOLONG') {
        r.log('crit', `stat() "${name}" failed ${errnoText(error)}`);
      }
      return isNegative;
    }
  };
}
