// An HTTP/2 client that sends what no client library would: its header blocks and frames are written by hand, without
// any check. It reads until the stream or the connection is over.
import { connect } from 'node:net';
import { HpackDecoder } from '../../proxy/http/h2-hpack.ts';
import { newAddress } from './attacker.ts';

export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
export const TYPE = { data: 0, headers: 1, reset: 3, settings: 4, goaway: 7, continuation: 9 } as const;
const END_STREAM = 1;
const END_HEADERS = 4;

export type H2Field = readonly [name: string, value: string];

/** A frame, in latin1. */
export function rawFrame(type: number, flags: number, id: number, payload: string): string {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id >>> 0, 5);
  return head.toString('latin1') + payload;
}

function integer(value: number, prefix: number): string {
  const mask = 2 ** prefix - 1;
  if (value < mask) return String.fromCharCode(value);
  let out = String.fromCharCode(mask);
  let rest = value - mask;
  for (; rest >= 128; rest >>>= 7) out += String.fromCharCode((rest & 127) | 128);
  return out + String.fromCharCode(rest);
}

/** Fields as literals without indexing or Huffman coding: their bytes stand in the block as they are. */
export function block(fields: readonly H2Field[]): string {
  return fields
    .map(([name, value]) => `\0${integer(name.length, 7)}${name}${integer(value.length, 7)}${value}`)
    .join('');
}

/** HEADERS of stream 1, and a body in DATA frames when `data` is given. */
export function request(fields: readonly H2Field[], data?: readonly string[]): string {
  let out = rawFrame(TYPE.headers, END_HEADERS | (data ? 0 : END_STREAM), 1, block(fields));
  data?.forEach((piece, i) => {
    out += rawFrame(TYPE.data, i === data.length - 1 ? END_STREAM : 0, 1, piece);
  });
  return out;
}

export interface H2Transcript {
  /** Address of the client, which no other has had. */
  readonly client: string;
  /** `200`, `reset`, `goaway`, `closed` or `hangs`. */
  readonly outcome: string;
  /** X-Up of the answer, 0 without. */
  readonly up: number;
}

/** Sends `frames` behind the preface and an empty SETTINGS, and resolves when stream 1 or the connection is over. */
export function attackH2(port: number, frames: string, patienceMs = 10_000): Promise<H2Transcript> {
  return new Promise((done) => {
    const client = newAddress();
    const socket = connect({ port, host: '127.0.0.1', localAddress: client, noDelay: true });
    const hpack = new HpackDecoder();
    let pending = Buffer.alloc(0);
    let status = '';
    let up = 0;
    let isOver = false;
    const finish = (outcome: string): void => {
      if (isOver) return;
      isOver = true;
      socket.destroy();
      done({ client, outcome, up });
    };
    socket.setTimeout(patienceMs, () => finish('hangs'));
    socket.on('connect', () => {
      socket.write(PREFACE + rawFrame(TYPE.settings, 0, 0, '') + frames, 'latin1');
    });
    socket.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      while (!isOver && pending.length >= 9 && pending.length >= 9 + pending.readUIntBE(0, 3)) {
        const length = pending.readUIntBE(0, 3);
        const [type, flags, id] = [pending[3]!, pending[4]!, pending.readUInt32BE(5)];
        const payload = pending.subarray(9, 9 + length);
        pending = pending.subarray(9 + length);
        if (type === TYPE.goaway && payload.readUInt32BE(4) !== 0) finish('goaway');
        if (id !== 1) continue;
        if (type === TYPE.reset) finish(status === '' ? 'reset' : status);
        if (type === TYPE.headers) {
          hpack.decode(payload, { fieldBytes: 16_384, totalBytes: 65_536 }, (name, value) => {
            if (name === ':status') status = value;
            if (name === 'x-up') up = Number(value);
          });
        }
        if ((type === TYPE.headers || type === TYPE.data) && flags & END_STREAM) finish(status);
      }
    });
    socket.on('error', () => finish('closed'));
    socket.on('close', () => finish('closed'));
  });
}
