// The workers' line to the master, for state that all of them share (TLS sessions, zones): a topic is served by one
// function in the master, and asked or told from any worker. Without a master the same function is called directly,
// so whoever uses a topic need not know. Values must survive structured cloning.
import type { ToMaster } from './worker-messages.ts';

export type Topic = (value: unknown) => unknown;

/** Whether this process is a worker, with a master to ask. */
export const link = { isWorker: false };

/** The topics; a module registers its own when it is imported, in every process alike. */
const topics = new Map<string, Topic>();

let lastId = 0;
const waiting = new Map<number, (value: unknown) => void>();

/** Serves a topic. In a worker this is only noted; the master's copy does the work. */
export function serveTopic(name: string, serve: Topic): void {
  topics.set(name, serve);
}

/** Asks the master; `done` gets the answer, undefined when the master is gone. */
export function askMaster(topic: string, value: unknown, done: (value: unknown) => void): void {
  if (!link.isWorker) {
    done(topics.get(topic)?.(value));
    return;
  }
  if (!process.connected) {
    done(undefined);
    return;
  }
  const id = ++lastId;
  waiting.set(id, done);
  tell({ kind: 'ask', id, topic, value });
}

/** Tells the master without waiting. */
export function tellMaster(topic: string, value: unknown): void {
  if (!link.isWorker) topics.get(topic)?.(value);
  else tell({ kind: 'tell', topic, value });
}

/** Sends a message to the master, if there still is one. */
export function tell(message: ToMaster): void {
  // A master that was killed a moment ago is reported by the end of the line.
  if (process.connected) process.send!(message, undefined, undefined, () => {});
}

/** In a worker: the answer to a question came. */
export function receiveAnswer(id: number, value: unknown): void {
  const done = waiting.get(id);
  waiting.delete(id);
  done?.(value);
}

/** In a worker: the master is gone, and with it every answer. */
export function loseMaster(): void {
  for (const id of [...waiting.keys()]) receiveAnswer(id, undefined);
}

/** In the master: what a worker asks or tells. */
export function serveWorker(topic: string, value: unknown): unknown {
  return topics.get(topic)?.(value);
}
