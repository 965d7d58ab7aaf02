/**
 * Functions by module and key, so that another thread can find what it is asked to call: functions do not travel between threads, names
 * do. A module registers its functions when it is loaded, in whichever thread that is.
 */

type Callable = (...args: unknown[]) => unknown;

const modules = new Map<string, Map<string, Callable>>();

/** Makes a function known under a key of the module with this URL. */
export function register(module: string, key: string, call: Callable): void {
  const keys = modules.get(module) ?? new Map<string, Callable>();
  modules.set(module, keys.set(key, call));
}

/** The function under a key of a module that this thread has loaded. */
export function loaded(module: string, key: string): Callable | undefined {
  return modules.get(module)?.get(key);
}

/** Finds a function, loading its module first if this thread has not done so. Rejects when there is none. */
export async function registered(module: string, key: string): Promise<Callable> {
  if (!modules.has(module)) await import(module);
  const call = loaded(module, key);
  if (!call) throw new Error(`${module} registers no ${key}`);
  return call;
}
