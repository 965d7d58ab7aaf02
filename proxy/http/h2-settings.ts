// What a client says of itself in SETTINGS, checked, and what nginx calls the ways in which it resets a stream.
import { CODE, DEFAULT_FRAME_BYTES, H2Error, MAX_FRAME_BYTES, MAX_WINDOW, SETTING } from './h2-frames.ts';

/** The settings that matter here; undefined: not sent. */
export interface PeerSettings {
  window?: number;
  frameBytes?: number;
}

/** Reads the settings of one frame, the last of several of one kind counting. Throws H2Error. */
export function readSettings(settings: Iterable<readonly [id: number, value: number]>): PeerSettings {
  const wrong = (name: string, value: number, code: number = CODE.PROTOCOL_ERROR): never => {
    throw new H2Error(code, `client sent SETTINGS frame with incorrect ${name} value ${value}`);
  };
  const out: PeerSettings = {};
  for (const [id, value] of settings) {
    switch (id) {
      case SETTING.INITIAL_WINDOW_SIZE:
        if (value > MAX_WINDOW) wrong('INITIAL_WINDOW_SIZE', value, CODE.FLOW_CONTROL_ERROR);
        out.window = value;
        break;
      case SETTING.MAX_FRAME_SIZE:
        if (value < DEFAULT_FRAME_BYTES || value > MAX_FRAME_BYTES) wrong('MAX_FRAME_SIZE', value);
        out.frameBytes = value;
        break;
      case SETTING.ENABLE_PUSH:
        if (value > 1) wrong('ENABLE_PUSH', value);
    }
  }
  return out;
}

/** The log line of a RST_STREAM. */
export function resetText(id: number, code: number): string {
  if (code === CODE.CANCEL) return `client canceled stream ${id}`;
  if (code === CODE.REFUSED_STREAM) return `client refused stream ${id}`;
  if (code === CODE.INTERNAL_ERROR) return `client terminated stream ${id} due to internal error`;
  return `client terminated stream ${id} with status ${code}`;
}
