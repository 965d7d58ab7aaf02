// What is known of one file of a cache, and the index that keeps it: each worker's own, or one for all of them. A node
// lives while requests of this worker work on it; what it says is changed in `change`, so that nobody sees half of it.

export class CacheNode {
  /** MD5 of the key (or of the variant), hex: the name of the file. */
  readonly key: string;
  uses = 0;
  /** Requests of this worker that work on it. */
  count = 0;
  exists = false;
  /** Somebody is fetching it anew. */
  isUpdating = false;
  /** Status that is remembered instead of a file (502, 504). */
  error = 0;
  errorValidS = 0;
  sizeBytes = 0;
  expireMs = 0;
  lockUntilMs = 0;
  /** Until when a request in the background is awaited that takes the update over; 0: none is. */
  handedOverUntilMs = 0;
  /** Requests of this worker that wait for it to be filled. */
  readonly waiting = new Set<() => void>();

  constructor(key: string) {
    this.key = key;
  }

  /** Lets the waiting ones look again. */
  wake(): void {
    const all = [...this.waiting];
    this.waiting.clear();
    for (const look of all) look();
  }

  /** A remembered error is forgotten once its time is over, and with it what was there: true then. */
  renews(nowS: number): boolean {
    if (this.error === 0 || this.errorValidS >= nowS) return false;
    this.error = 0;
    return true;
  }
}

export interface CacheIndex {
  /** The node of a key, made when it is not there; it counts as used and as being worked on. */
  take(key: string): { node: CacheNode; isNew: boolean };
  /** A request no longer works on it. */
  giveBack(node: CacheNode): void;
  /** Runs `act` on the node as it is for everybody now; what it leaves there holds for all. */
  change<T>(node: CacheNode, act: () => T): T;
  /** Drops a node that came to nothing, unless somebody works on it. */
  forget(node: CacheNode): void;
  /** Takes in a file that was there before. */
  add(key: string, sizeBytes: number): void;
  /** Of all files. */
  readonly totalBytes: number;
  /** Takes out what nobody asked for in time, at most `limit` files; says when to look again, 0: at once. */
  expire(limit: number): { files: number; nextMs: number };
  /** Takes out the file that was not used for longest. */
  forceOut(): boolean;
}
