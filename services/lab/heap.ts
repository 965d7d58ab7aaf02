/**
 * A heap as CPython keeps it, small enough to look at: objects with reference counts that are freed when the count is zero, and a collector
 * for cycles by CPython's method (Modules/gcmodule.c): what is referred to only from within the heap's own containers is garbage.
 */

/** How many more allocations than deallocations start the collector: gc.get_threshold()[0] of CPython 3.11. */
export const GC_THRESHOLD = 700;

/** One object: a container that refers to others. */
export interface HeapObject {
  readonly name: string;
  /** References from variables and from other objects. */
  refcount: number;
  readonly refersTo: HeapObject[];
}

/** What happened to one object. */
export interface HeapEvent {
  readonly kind: 'allocated' | 'freed by counting' | 'freed by the collector';
  readonly name: string;
}

/** One heap. With `isCollecting` the collector also runs by itself, as in Python unless gc.disable() was called. */
export class Heap {
  readonly events: HeapEvent[] = [];
  readonly #objects = new Set<HeapObject>();
  readonly #isCollecting: boolean;
  #balance = 0;
  #mostAlive = 0;
  #collections = 0;

  constructor(options: { readonly isCollecting: boolean }) {
    this.#isCollecting = options.isCollecting;
  }

  /** Objects that are not freed. */
  get alive(): number {
    return this.#objects.size;
  }

  get mostAlive(): number {
    return this.#mostAlive;
  }

  get collections(): number {
    return this.#collections;
  }

  /** A new object, referred to by the variable that it is assigned to. */
  allocate(name: string): HeapObject {
    if (this.#isCollecting && this.#balance >= GC_THRESHOLD) this.collect();
    const object: HeapObject = { name, refcount: 1, refersTo: [] };
    this.#objects.add(object);
    this.#balance++;
    this.#mostAlive = Math.max(this.#mostAlive, this.alive);
    this.events.push({ kind: 'allocated', name });
    return object;
  }

  /** `from.attribute = to`. */
  refer(from: HeapObject, to: HeapObject): void {
    from.refersTo.push(to);
    to.refcount++;
  }

  /** `del variable`: one reference less, and the end of the object when it was the last. */
  release(object: HeapObject): void {
    if (--object.refcount === 0) this.#free(object, 'freed by counting');
  }

  #free(object: HeapObject, kind: HeapEvent['kind']): void {
    this.#objects.delete(object);
    // Never below zero, as in CPython: what the collector frees does not put off its next run.
    this.#balance = Math.max(0, this.#balance - 1);
    this.events.push({ kind, name: object.name });
    for (const other of object.refersTo.splice(0)) {
      // In a cycle the other may be on its way out already.
      if (--other.refcount === 0 && this.#objects.has(other)) this.#free(other, kind);
    }
  }

  /** gc.collect(): frees what only refers to itself. Gives how many objects that were. */
  collect(): number {
    this.#collections++;
    // What is left of each count after all references from inside the heap are taken off comes from outside: variables.
    const outside = new Map([...this.#objects].map((object) => [object, object.refcount]));
    for (const object of this.#objects) {
      for (const other of object.refersTo) outside.set(other, (outside.get(other) ?? 0) - 1);
    }
    const reachable = new Set<HeapObject>();
    const visit = (object: HeapObject): void => {
      if (reachable.has(object)) return;
      reachable.add(object);
      for (const other of object.refersTo) visit(other);
    };
    for (const [object, count] of outside) if (count > 0) visit(object);
    const garbage = [...this.#objects].filter((object) => !reachable.has(object));
    for (const object of garbage) {
      // Clearing its references lets counting do the rest, as tp_clear does.
      for (const other of object.refersTo.splice(0)) {
        if (--other.refcount === 0 && this.#objects.has(other)) this.#free(other, 'freed by the collector');
      }
    }
    this.#balance = 0;
    return garbage.length;
  }
}
