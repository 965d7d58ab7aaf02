// A regular expression of the configuration as a request meets it: a match sets `$1` … `$9` and the named captures.
// Mirrors ngx_http_regex_compile and ngx_http_regex_exec.
import type { Compiler } from '../config/compile.ts';
import { errorAt, type Place } from '../config/error.ts';
import { compileRegex } from '../config/regex.ts';
import type { VariableRef } from '../config/variables.ts';
import type { Exchange } from './exchange.ts';

export class Matcher {
  readonly pattern: string;
  readonly #regex: RegExp;
  readonly #names: readonly [string, VariableRef][];

  /** Compiles `pattern` and declares its named captures; throws a ConfigError. */
  constructor(pattern: string, isCaseless: boolean, compiler: Compiler, place: Place) {
    this.pattern = pattern;
    try {
      const compiled = compileRegex(pattern, isCaseless);
      this.#regex = compiled.regex;
      this.#names = compiled.names.map((name) => {
        compiler.capture(name, place);
        return [name, compiler.variables.reference(name)];
      });
    } catch (error) {
      if ((error as Error).name === 'ConfigError') throw error;
      throw errorAt(place, `${(error as Error).message} in "${pattern}"`);
    }
  }

  /** Whether `text` matches; if so, its captures are now those of the request. */
  exec(r: Exchange, text: string): boolean {
    const match = this.#regex.exec(text);
    if (!match) return false;
    r.captures = match;
    for (const [name, ref] of this.#names) ref.store(r, match.groups![name] ?? '');
    return true;
  }
}
