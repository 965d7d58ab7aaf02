// Sessions that clients may go on with without a ticket. A `shared` cache lives in the master, so that any worker can
// resume what another began, and a worker's death loses nothing; a `builtin` one is the worker's own.
import { askMaster, serveTopic, tellMaster } from '../master-link.ts';
import type { SessionCacheSetting } from '../modules/ssl.ts';

/** A map that forgets the oldest beyond its capacity. */
class Sessions {
  readonly #kept = new Map<string, Uint8Array>();

  put(id: string, session: Uint8Array, capacity: number): void {
    this.#kept.delete(id);
    this.#kept.set(id, session);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= capacity) break;
      this.#kept.delete(oldest);
    }
  }

  get(id: string): Uint8Array | undefined {
    return this.#kept.get(id);
  }
}

const zones = new Map<string, Sessions>();

function zone(name: string): Sessions {
  let found = zones.get(name);
  if (!found) zones.set(name, (found = new Sessions()));
  return found;
}

serveTopic('tls-session-get', (value) => {
  const { name, id } = value as { name: string; id: string };
  return zone(name).get(id);
});
serveTopic('tls-session-put', (value) => {
  const { name, id, session, capacity } = value as { name: string; id: string; session: Uint8Array; capacity: number };
  zone(name).put(id, session, capacity);
});

export class SessionCache {
  readonly #setting: SessionCacheSetting;
  readonly #own = new Sessions();

  private constructor(setting: SessionCacheSetting) {
    this.#setting = setting;
  }

  /** The cache of a setting; undefined for `off` and `none`. */
  static of(setting: SessionCacheSetting): SessionCache | undefined {
    return setting.kind === 'builtin' || setting.kind === 'shared' ? new SessionCache(setting) : undefined;
  }

  put(id: Buffer, session: Buffer): void {
    const { kind, zone: name, capacity } = this.#setting;
    if (kind === 'builtin') this.#own.put(id.toString('hex'), session, capacity);
    else tellMaster('tls-session-put', { name, id: id.toString('hex'), session, capacity });
  }

  get(id: Buffer, done: (session: Buffer | null) => void): void {
    const { kind, zone: name } = this.#setting;
    const answer = (found: unknown): void => done(found ? Buffer.from(found as Uint8Array) : null);
    if (kind === 'builtin') answer(this.#own.get(id.toString('hex')));
    else askMaster('tls-session-get', { name, id: id.toString('hex') }, answer);
  }
}
