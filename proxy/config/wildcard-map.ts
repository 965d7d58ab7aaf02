// Host names with wildcards as keys: exact, then the longest `*.suffix` (or `.suffix`, which is the name itself too),
// then the longest `prefix.*`. For map, referer and their like. Mirrors ngx_hash_find_combined and ngx_hash_add_key.

export class WildcardMap<T> {
  #exact = new Map<string, T>();
  #heads = new Map<string, T>();
  #tails = new Map<string, T>();
  /** Keys as they were written, for duplicates. */
  readonly #written = new Set<string>();

  get size(): number {
    return this.#written.size;
  }

  /** Adds a key without wildcards (`*` and leading dots mean themselves). */
  addExact(key: string, value: T): 'added' | 'conflict' {
    if (this.#written.has(key)) return 'conflict';
    this.#written.add(key);
    this.#exact.set(key.toLowerCase(), value);
    return 'added';
  }

  /** Adds a host name that may have a wildcard. */
  add(text: string, value: T): 'added' | 'conflict' | 'invalid' {
    const key = text.toLowerCase();
    const stars = key.split('*').length - 1;
    if (stars > 1 || key.includes('..') || key.includes('\0')) return 'invalid';
    const put = (map: Map<string, T>, name: string): 'added' | 'conflict' => {
      if (map.has(name)) return 'conflict';
      map.set(name, value);
      this.#written.add(key);
      return 'added';
    };
    if (key.length > 1 && key.startsWith('.')) {
      if (this.#exact.has(key.slice(1)) || this.#heads.has(key.slice(1))) return 'conflict';
      this.#exact.set(key.slice(1), value);
      return put(this.#heads, key.slice(1));
    }
    if (key.length > 2 && key.startsWith('*.')) return put(this.#heads, key.slice(2));
    if (key.length > 2 && key.endsWith('.*')) return put(this.#tails, key.slice(0, -2));
    if (stars) return 'invalid';
    return put(this.#exact, key);
  }

  /** The value of a name. */
  find(text: string): T | undefined {
    const key = text.toLowerCase();
    const exact = this.#exact.get(key);
    if (exact !== undefined) return exact;
    if (this.#heads.size) {
      for (let dot = key.indexOf('.'); dot >= 0; dot = key.indexOf('.', dot + 1)) {
        const found = this.#heads.get(key.slice(dot + 1));
        if (found !== undefined && dot > 0) return found;
      }
    }
    if (this.#tails.size) {
      for (let dot = key.lastIndexOf('.'); dot > 0; dot = key.lastIndexOf('.', dot - 1)) {
        const found = this.#tails.get(key.slice(0, dot));
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }
}
