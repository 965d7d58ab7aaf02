import type { Config } from '../config/load.ts';

export function prepareTls(_config: Config): void {}

export function makeTicketKeys(): Uint8Array {
  return new Uint8Array(48);
}

export function setTicketKeys(_keys: Buffer): void {}
