// HTTP/2 on the wire (RFC 9113): numbers of frames, flags, settings and errors, and the making of small frames.

export const FRAME = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const FLAG = { END_STREAM: 1, ACK: 1, END_HEADERS: 4, PADDED: 8, PRIORITY: 32 } as const;

export const CODE = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  ENHANCE_YOUR_CALM: 11,
} as const;

export const SETTING = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
} as const;

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
export const HEAD_BYTES = 9;
export const MAX_WINDOW = 2 ** 31 - 1;
export const DEFAULT_WINDOW = 65_535;
export const DEFAULT_FRAME_BYTES = 16_384;
export const MAX_FRAME_BYTES = 2 ** 24 - 1;

/** The connection cannot go on: GOAWAY with this code. `message` is what nginx logs. */
export class H2Error extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** A frame's head, followed by room for `length` bytes when `hasPayload`. */
export function frame(type: number, flags: number, stream: number, length: number, hasPayload = true): Buffer {
  const out = Buffer.allocUnsafe(HEAD_BYTES + (hasPayload ? length : 0));
  out.writeUIntBE(length, 0, 3);
  out[3] = type;
  out[4] = flags;
  out.writeUInt32BE(stream, 5);
  return out;
}

export function settingsFrame(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const out = frame(FRAME.SETTINGS, 0, 0, settings.length * 6);
  settings.forEach(([id, value], i) => {
    out.writeUInt16BE(id, HEAD_BYTES + i * 6);
    out.writeUInt32BE(value, HEAD_BYTES + i * 6 + 2);
  });
  return out;
}

export function windowUpdateFrame(stream: number, increment: number): Buffer {
  const out = frame(FRAME.WINDOW_UPDATE, 0, stream, 4);
  out.writeUInt32BE(increment, HEAD_BYTES);
  return out;
}

export function rstStreamFrame(stream: number, code: number): Buffer {
  const out = frame(FRAME.RST_STREAM, 0, stream, 4);
  out.writeUInt32BE(code, HEAD_BYTES);
  return out;
}

export function goAwayFrame(lastStream: number, code: number): Buffer {
  const out = frame(FRAME.GOAWAY, 0, 0, 8);
  out.writeUInt32BE(lastStream, HEAD_BYTES);
  out.writeUInt32BE(code, HEAD_BYTES + 4);
  return out;
}
