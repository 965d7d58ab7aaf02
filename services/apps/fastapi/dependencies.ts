/**
 * Dependencies: values that a request needs, made before the handler and cleaned up after the response, in reverse order. A dependency is
 * a function, or an async generator that yields once, which is FastAPI's `yield` dependency.
 */
import type { Request } from './request.ts';

/** Makes a value for a request; what a generator does after its `yield` is the clean-up, and runs also when the request fails. */
export type Dependency<T> = (request: Request) => T | Promise<T> | AsyncGenerator<T, void, void>;

/** Dependencies by the name under which a handler gets them. */
export type DependencyMap = Readonly<Record<string, Dependency<unknown>>>;

type Resolved<D> = D extends (request: Request) => infer R
  ? R extends AsyncGenerator<infer T, void, void>
    ? T
    : Awaited<R>
  : never;

/** The values of dependencies, typed by their functions. */
export type DependencyValues<D extends DependencyMap> = { readonly [Name in keyof D]: Resolved<D[Name]> };

/** The dependencies of one request; each function is called once, however often it is asked for. */
export class RequestDependencies {
  readonly #request: Request;
  readonly #cache = new Map<Dependency<unknown>, unknown>();
  readonly #open: AsyncGenerator<unknown, void, void>[] = [];

  constructor(request: Request) {
    this.#request = request;
  }

  async resolve(map: DependencyMap): Promise<Record<string, unknown>> {
    const values: Record<string, unknown> = {};
    for (const [name, dependency] of Object.entries(map)) {
      if (!this.#cache.has(dependency)) this.#cache.set(dependency, await this.#make(dependency));
      values[name] = this.#cache.get(dependency);
    }
    return values;
  }

  async #make(dependency: Dependency<unknown>): Promise<unknown> {
    const made = dependency(this.#request);
    if (typeof made !== 'object' || made === null || !(Symbol.asyncIterator in made)) return made;
    const generator = made as AsyncGenerator<unknown, void, void>;
    const first = await generator.next();
    this.#open.push(generator);
    return first.value;
  }

  /** Ends the request: generators go on after their yield, or see its error there. */
  async close(error: unknown): Promise<void> {
    for (const generator of this.#open.reverse()) {
      if (error === null) await generator.next();
      else await generator.throw(error).catch(() => {});
    }
  }
}
