/**
 * Dependencies: values that a request needs, made before the handler and cleaned up after the response, in reverse order. A dependency is
 * a function, or an async generator that yields once, which is FastAPI's `yield` dependency.
 */
import type { Request } from './request.ts';

/** Gives the value of another dependency, which is then cleaned up after the one that asks. */
export type UseDependency = <T>(dependency: Dependency<T>) => Promise<T>;

/**
 * Makes a value for a request. What a generator does after its `yield` is the clean-up: it runs when the response and its background task
 * are done, or sees the request's error thrown at its `yield`.
 */
export type Dependency<T> = (request: Request, use: UseDependency) => T | Promise<T> | AsyncGenerator<T, void, void>;

/** Dependencies by the name under which a handler gets them. */
export type DependencyMap = Readonly<Record<string, Dependency<unknown>>>;

type Resolved<D> = D extends (request: Request, use: UseDependency) => infer R
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
      values[name] = await this.#use(dependency);
    }
    return values;
  }

  readonly #use = async <T>(dependency: Dependency<T>): Promise<T> => {
    if (!this.#cache.has(dependency)) this.#cache.set(dependency, await this.#make(dependency));
    return this.#cache.get(dependency) as T;
  };

  async #make(dependency: Dependency<unknown>): Promise<unknown> {
    const made = dependency(this.#request, this.#use);
    if (typeof made !== 'object' || made === null || !(Symbol.asyncIterator in made)) return made;
    const generator = made as AsyncGenerator<unknown, void, void>;
    const first = await generator.next();
    this.#open.push(generator);
    return first.value;
  }

  /** Ends a request that went well: generators go on after their yield, the last one first. */
  async close(): Promise<void> {
    for (let open = this.#open.pop(); open; open = this.#open.pop()) await open.next();
  }

  /** Ends a request that failed: generators see the error at their yield, and may throw another. Gives the error that is left. */
  async fail(error: unknown): Promise<unknown> {
    let left = error;
    for (let open = this.#open.pop(); open; open = this.#open.pop()) {
      try {
        await (left === SWALLOWED ? open.next() : open.throw(left));
        left = SWALLOWED;
      } catch (thrown) {
        left = thrown;
      }
    }
    if (left !== SWALLOWED) return left;
    const swallowed = new Error(SWALLOWED_WORDS);
    swallowed.name = 'FastAPIError';
    return swallowed;
  }
}

const SWALLOWED = Symbol('swallowed');
const SWALLOWED_WORDS =
  "Response not awaited. There's a high chance that the application code is raising an exception and a dependency with yield has a block with a bare except, or a block with except Exception, and is not raising the exception again.";
