/**
 * A JSON body with Python's errors: where json.loads() stumbles and what it says. JSON.parse does the work; only a body that it refuses
 * is looked at again.
 */

/** A body that is no JSON; `at` counts characters. */
export class JsonInvalid extends Error {
  override readonly name = 'JsonInvalid';
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

// The mark is a character that no text has by chance.
const MARKED = /^\u0000(?:NaN|-?Infinity)$/;

/** Parses text, or throws JsonInvalid with the message and place that Python gives. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const found = new Scanner(text).document();
    // Python reads three words that JSON does not have; with them gone, what Python accepts is JSON.
    if (found.at < text.length || !/NaN|Infinity/.test(text)) throw found;
    return JSON.parse(
      text.replace(/"(?:[^"\\]|\\.)*"|NaN|-?Infinity/g, (part) => (part.startsWith('"') ? part : `"\\u0000${part}"`)),
      (_, value) => (typeof value === 'string' && MARKED.test(value) ? Number(value.slice(1)) : value),
    );
  }
}

/** Finds the first error in the order in which Python's decoder meets it. */
class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): JsonInvalid {
    try {
      this.#space();
      this.#value();
      this.#space();
      return new JsonInvalid('Extra data', this.#at);
    } catch (error) {
      return error as JsonInvalid;
    }
  }

  #fail(message: string, at = this.#at): never {
    throw new JsonInvalid(message, at);
  }

  #space(): void {
    while (/[ \t\n\r]/.test(this.#text[this.#at] ?? '')) this.#at++;
  }

  #value(): void {
    const char = this.#text[this.#at];
    if (char === '"') this.#string();
    else if (char === '{') this.#object();
    else if (char === '[') this.#array();
    else this.#simple();
  }

  #simple(): void {
    const rest = this.#text.slice(this.#at);
    const simple = /^(?:null|true|false|NaN|-?Infinity|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)/.exec(rest);
    if (!simple) this.#fail('Expecting value');
    this.#at += simple?.[0].length ?? 0;
  }

  #object(): void {
    this.#at++;
    this.#space();
    if (this.#text[this.#at] === '}') {
      this.#at++;
      return;
    }
    for (;;) {
      if (this.#text[this.#at] !== '"') this.#fail('Expecting property name enclosed in double quotes');
      this.#string();
      this.#space();
      if (this.#text[this.#at] !== ':') this.#fail("Expecting ':' delimiter");
      this.#at++;
      this.#space();
      this.#value();
      this.#space();
      const next = this.#text[this.#at];
      if (next === '}') break;
      if (next !== ',') this.#fail("Expecting ',' delimiter");
      this.#at++;
      this.#space();
    }
    this.#at++;
  }

  #array(): void {
    this.#at++;
    this.#space();
    if (this.#text[this.#at] === ']') {
      this.#at++;
      return;
    }
    for (;;) {
      this.#value();
      this.#space();
      const next = this.#text[this.#at];
      if (next === ']') break;
      if (next !== ',') this.#fail("Expecting ',' delimiter");
      this.#at++;
      this.#space();
    }
    this.#at++;
  }

  #string(): void {
    const start = this.#at++;
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined) this.#fail('Unterminated string starting at', start);
      if (char === '"') break;
      if ((char ?? '') < ' ') this.#fail('Invalid control character at');
      if (char === '\\') {
        const escaped = this.#text[this.#at + 1] ?? '';
        if (escaped === 'u') {
          if (!/^[\da-fA-F]{4}$/.test(this.#text.slice(this.#at + 2, this.#at + 6)))
            this.#fail('Invalid \\uXXXX escape', this.#at + 2);
          this.#at += 4;
        } else if (escaped === '') this.#fail('Unterminated string starting at', start);
        else if (!'"\\/bfnrt'.includes(escaped)) this.#fail('Invalid \\escape');
        this.#at++;
      }
      this.#at++;
    }
    this.#at++;
  }
}
