// Replaces $NAME and ${NAME...} in compose files and .env files, by the rules of Docker Compose: ${A:-d} ${A-d} ${A:?e}
// ${A?e} ${A:+r} ${A+r}, nested in each other, $$ for a dollar sign. A variable that is not set is an empty string, and
// the caller hears of it, as Compose warns. It mirrors compose-go's template package in what it accepts and refuses.

/** Where values come from, and whom to tell about a variable that is not set and has no default. */
export interface Variables {
  get(name: string): string | undefined;
  onUnset(name: string): void;
}

/** A reference that cannot be read, or a ${NAME:?text} whose name is not set; the message does not name the file. */
export class InterpolationError extends Error {
  override name = 'InterpolationError';
}

const NAME_START = /[A-Za-z_]/;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*/;

/** Gives `text` with every reference replaced. Throws InterpolationError. */
export function interpolate(text: string, variables: Variables): string {
  if (!text.includes('$')) return text;
  let result = '';
  let at = 0;
  while (at < text.length) {
    const dollar = text.indexOf('$', at);
    if (dollar === -1) break;
    result += text.slice(at, dollar);
    const next = text[dollar + 1] ?? '';
    if (next === '$') {
      result += '$';
      at = dollar + 2;
    } else if (next === '{') {
      const end = closingBrace(text, dollar + 2);
      result += braced(text.slice(dollar + 2, end), variables);
      at = end + 1;
    } else if (NAME_START.test(next)) {
      const name = NAME.exec(text.slice(dollar + 1))![0];
      result += valueOrEmpty(name, variables);
      at = dollar + 1 + name.length;
    } else {
      throw new InterpolationError(`invalid interpolation format "${text}": write $$ for a dollar sign`);
    }
  }
  return result + text.slice(at);
}

function closingBrace(text: string, from: number): number {
  let depth = 1;
  for (let at = from; at < text.length; at++) {
    if (text[at] === '$' && text[at + 1] === '$') at++;
    else if (text[at] === '$' && text[at + 1] === '{') depth++;
    else if (text[at] === '}' && --depth === 0) return at;
  }
  throw new InterpolationError(`invalid interpolation format "${text}": a "{" is not closed`);
}

function braced(inside: string, variables: Variables): string {
  const name = NAME.exec(inside)?.[0];
  if (name === undefined) throw new InterpolationError(`invalid interpolation format "\${${inside}}"`);
  const rest = inside.slice(name.length);
  if (rest === '') return valueOrEmpty(name, variables);
  const operator = /^:?[-?+]/.exec(rest)?.[0];
  if (operator === undefined) throw new InterpolationError(`invalid interpolation format "\${${inside}}"`);
  const word = rest.slice(operator.length);
  const value = variables.get(name);
  const isThere = value !== undefined && (!operator.startsWith(':') || value !== '');
  if (operator.endsWith('+')) return isThere ? interpolate(word, variables) : '';
  if (isThere) return value;
  if (operator.endsWith('-')) return interpolate(word, variables);
  const text = interpolate(word, variables);
  throw new InterpolationError(`required variable ${name} is missing a value${text === '' ? '' : `: ${text}`}`);
}

function valueOrEmpty(name: string, variables: Variables): string {
  const value = variables.get(name);
  if (value === undefined) variables.onUnset(name);
  return value ?? '';
}
