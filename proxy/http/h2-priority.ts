// Which stream of an HTTP/2 connection goes first: the tree of dependencies and weights that the client makes with
// PRIORITY frames and HEADERS (RFC 7540 5.3; RFC 9113 lets servers ignore it). As in ngx_http_v2.c, a stream goes before
// those that depend on it, of two at the same depth the one with the greater share does, and equals take turns. Streams
// that are not open keep their place, up to a number, as the client may hang others under them.
import { CODE, H2Error } from './h2-frames.ts';

const DEFAULT_WEIGHT = 16;
const MAX_WEIGHT = 256;
/** Places kept for streams that are not open, as in nginx. */
const CLOSED_PLACES = 32;

/** What a client says of a stream; `on` is the stream that it depends on, 0 for none. */
export interface Priority {
  readonly on: number;
  readonly isExclusive: boolean;
  readonly weight: number;
}

const DEFAULT: Priority = { on: 0, isExclusive: false, weight: DEFAULT_WEIGHT };

/** Reads the five bytes of a frame that tell the priority of stream `id`. Throws H2Error for one that depends on itself. */
export function readPriority(frameName: string, id: number, payload: Buffer, at: number): Priority {
  const dependency = payload.readUInt32BE(at);
  const on = dependency & 0x7fffffff;
  if (on === id) {
    throw new H2Error(CODE.PROTOCOL_ERROR, `client sent ${frameName} frame for stream ${id} with incorrect dependency`);
  }
  return { on, isExclusive: dependency >>> 31 === 1, weight: payload[at + 4]! + 1 };
}

/** A stream's place in the tree. */
export class Place {
  readonly id: number;
  readonly children = new Set<Place>();
  parent: Place | undefined;
  weight = DEFAULT_WEIGHT;
  /** How deep it is; streams nearer to the root go first. */
  rank = 0;
  /** What is left for it of its ancestors' weights, 1 at the root. */
  share = 1;
  isOpen = false;

  constructor(id: number) {
    this.id = id;
  }

  /** Negative: this one goes first; 0: they take turns. */
  compare(other: Place): number {
    return this.rank - other.rank || other.share - this.share;
  }

  /** Hangs it, and all that depends on it, under `parent`. */
  moveTo(parent: Place): void {
    this.parent?.children.delete(this);
    this.parent = parent;
    parent.children.add(this);
    this.#settle();
  }

  #settle(): void {
    this.rank = this.parent!.rank + 1;
    this.share = (this.parent!.share / MAX_WEIGHT) * this.weight;
    for (const child of this.children) child.#settle();
  }

  isUnder(other: Place): boolean {
    for (let at: Place | undefined = this.parent; at; at = at.parent) {
      if (at === other) return true;
    }
    return false;
  }
}

export class PriorityTree {
  readonly #root = new Place(0);
  readonly #places = new Map<number, Place>();
  /** Places of streams that are not open, the longest unused first. */
  readonly #closed = new Set<Place>();

  /** A stream begins, with a priority of its own, or at the place that it was given before. */
  open(id: number, priority: Priority | undefined): Place {
    const place = this.#find(id);
    place.isOpen = true;
    this.#closed.delete(place);
    if (priority || !place.parent) this.#place(place, priority ?? DEFAULT);
    return place;
  }

  /** The client sets the priority of a stream, which may be open or not. */
  set(id: number, priority: Priority): void {
    const place = this.#find(id);
    if (!place.isOpen) this.#use(place);
    this.#place(place, priority);
  }

  /** The stream is over. */
  close(place: Place): void {
    place.isOpen = false;
    this.#use(place);
  }

  #find(id: number): Place {
    let place = this.#places.get(id);
    if (!place) {
      if (this.#closed.size >= CLOSED_PLACES) this.#forgetOldest();
      place = new Place(id);
      this.#places.set(id, place);
    }
    return place;
  }

  /** Marks a closed place as used just now. */
  #use(place: Place): void {
    this.#closed.delete(place);
    this.#closed.add(place);
  }

  #place(place: Place, { on, isExclusive, weight }: Priority): void {
    place.weight = weight;
    const known = on === 0 ? this.#root : this.#places.get(on);
    const parent = known?.id === 0 || known?.parent ? known : this.#root;
    if (parent.isUnder(place)) parent.moveTo(place.parent!);
    if (parent !== this.#root && !parent.isOpen) this.#use(parent);
    if (isExclusive && (on === 0 || parent !== this.#root)) {
      for (const child of [...parent.children]) {
        if (child !== place) child.moveTo(place);
      }
    }
    place.moveTo(parent);
  }

  /** Those that depend on it share its weight. */
  #forgetOldest(): void {
    const [place] = this.#closed;
    this.#closed.delete(place!);
    this.#places.delete(place!.id);
    const { children, parent, weight } = place!;
    let sum = 0;
    for (const child of children) sum += child.weight;
    for (const child of [...children]) {
      child.weight = Math.max(1, Math.floor((weight * child.weight) / sum));
      child.moveTo(parent!);
    }
    parent!.children.delete(place!);
  }
}
