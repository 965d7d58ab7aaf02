// `map`: a variable whose value is looked up by another string when it is first used. Mirrors ngx_http_map_module.
import type { Compiler } from '../config/compile.ts';
import { errorAt } from '../config/error.ts';
import type { Directive } from '../config/parser.ts';
import { action, type Cf, defineModule, HTTP } from '../config/rows.ts';
import type { Template } from '../config/template.ts';
import { unused } from '../config/unused-row.ts';
import { WildcardMap } from '../config/wildcard-map.ts';
import type { Exchange } from '../http/exchange.ts';
import { Matcher } from '../http/matcher.ts';

export const mapModule = defineModule('map', {
  main: {
    map: action(HTTP, '2', 'string $variable { ... }', openMap, { isBlock: true }),
    map_hash_max_size: unused(HTTP, '1', 'size', '2048', 'tables size themselves'),
    map_hash_bucket_size: unused(HTTP, '1', 'size', '32|64|128', 'tables size themselves'),
  },
});

class ValueMap {
  readonly source: Template;
  #table = new WildcardMap<Template>();
  #regexes: [Matcher, Template][] = [];
  #default: Template | undefined;
  #isHostnames = false;
  isVolatile = false;

  constructor(source: Template) {
    this.source = source;
  }

  evaluate(r: Exchange): string {
    let key = this.source.evaluate(r);
    if (this.#isHostnames && key.endsWith('.')) key = key.slice(0, -1);
    return (this.#find(r, key) ?? this.#default)?.evaluate(r) ?? '';
  }

  #find(r: Exchange, key: string): Template | undefined {
    const found = this.#table.find(key);
    if (found || key === '') return found;
    for (const [matcher, value] of this.#regexes) if (matcher.exec(r, key)) return value;
    return undefined;
  }

  /** Takes one line of the block. */
  add(entry: Directive, compiler: Compiler): void {
    if (entry.fault) throw entry.fault;
    if (entry.args.length === 0 && entry.name === 'hostnames') {
      this.#isHostnames = true;
      return;
    }
    if (entry.args.length === 0 && entry.name === 'volatile') {
      this.isVolatile = true;
      return;
    }
    if (entry.args.length !== 1 || entry.block) throw errorAt(entry, 'invalid number of the map parameters');
    const value = compiler.template(entry.args[0]!, entry);
    const { name } = entry;
    if (name === 'default') {
      if (this.#default) throw errorAt(entry, 'duplicate default map parameter');
      this.#default = value;
    } else if (name.startsWith('~')) {
      const isCaseless = name.startsWith('~*');
      this.#regexes.push([new Matcher(name.slice(isCaseless ? 2 : 1), isCaseless, compiler, entry), value]);
    } else {
      const key = name.startsWith('\\') ? name.slice(1) : name;
      const outcome = this.#isHostnames ? this.#table.add(key, value) : this.#table.addExact(key, value);
      if (outcome === 'invalid') throw errorAt(entry, `invalid hostname or wildcard "${key}"`);
      if (outcome === 'conflict') throw errorAt(entry, `conflicting parameter "${key}"`);
    }
  }
}

function openMap(cf: Cf): void {
  const { args, compiler, directive } = cf;
  const source = cf.template(args[0]!);
  const name = args[1]!;
  if (!name.startsWith('$')) cf.fail(`invalid variable name "${name}"`);
  const map = new ValueMap(source);
  compiler.variables.define(name.slice(1), { get: (r) => map.evaluate(r) }, directive);
  for (const entry of directive.block!) map.add(entry, compiler);
  if (!map.isVolatile) {
    compiler.variables.define(name.slice(1), { get: (r) => map.evaluate(r), isCached: true }, directive);
  }
}
