// Which HTTP/2 stream is sent first when the client has said so: weights, dependencies, and their changes. What is
// expected is what nginx 1.22.1 sends for the same frames.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CODE, FLAG, FRAME, frame, HEAD_BYTES, windowUpdateFrame } from '../../proxy/http/h2-frames.ts';
import { Client } from './h2-client.ts';
import { type RunningProxy, startProxy } from './start-proxy.ts';

/** The window of a stream, and a little more. */
const LONG_BYTES = 65_535 + 81;

let proxy: RunningProxy;

beforeAll(async () => {
  proxy = await startProxy(
    `http { access_log off; server { listen 127.0.0.1:%%PORT_0%% http2; root .; location = /short { return 200 short; } } }`,
    { files: { long: 'y'.repeat(LONG_BYTES) } },
  );
});

afterAll(async () => {
  await proxy.stop();
});

function priorityFrame(id: number, weight: number, on = 0, isExclusive = false): Buffer {
  const out = frame(FRAME.PRIORITY, 0, id, 5);
  out.writeUInt32BE(isExclusive ? on + 2 ** 31 : on, HEAD_BYTES);
  out[HEAD_BYTES + 4] = weight - 1;
  return out;
}

/**
 * Stream 1 uses the connection's window up, stream 3 and the others then want to send as well; the order in which the
 * streams sent their bodies when they could. `early` is sent before the requests, `late` when all of them wait.
 */
async function order(
  { early = [], late = [] }: { early?: Buffer[]; late?: Buffer[] },
  others = [3],
  paths: Record<number, string> = {},
): Promise<number[]> {
  const client = new Client(proxy.port);
  try {
    client.send(...early);
    client.request(1, '/long');
    await client.find(() => client.bodySoFar(1).length === 65_535);
    for (const id of others) {
      client.request(id, paths[id] ?? '/short');
      await client.head(id);
    }
    const seen = client.frames.length;
    client.send(...late, ...[1, ...others].map((id) => windowUpdateFrame(id, 100_000)), windowUpdateFrame(0, 2 ** 20));
    for (const id of [1, ...others]) await client.body(id);
    return client.frames
      .slice(seen)
      .filter(({ type }) => type === FRAME.DATA)
      .map(({ id }) => id);
  } finally {
    client.close();
  }
}

describe('HTTP/2 priorities', () => {
  it('lets the heavier of two streams go first', async () => {
    expect(await order({ late: [priorityFrame(1, 1), priorityFrame(3, 256)] })).toEqual([3, 1]);
    expect(await order({ late: [priorityFrame(1, 256), priorityFrame(3, 1)] })).toEqual([1, 3]);
  });

  it('lets a stream go before those that depend on it, also when that was said beforehand', async () => {
    expect(await order({ early: [priorityFrame(3, 17), priorityFrame(1, 17, 3)] })).toEqual([3, 1]);
    expect(await order({ early: [priorityFrame(1, 17), priorityFrame(3, 17, 1)] })).toEqual([1, 3]);
  });

  it('weighs streams that depend on the same one', async () => {
    const five = priorityFrame(5, 17);
    expect(await order({ early: [five, priorityFrame(1, 256, 5), priorityFrame(3, 1, 5)] }, [3, 5])).toEqual([5, 1, 3]);
    expect(await order({ early: [five, priorityFrame(1, 1, 5), priorityFrame(3, 256, 5)] }, [3, 5])).toEqual([5, 3, 1]);
  });

  it('puts an exclusive dependency between a stream and those that depended on it', async () => {
    const early = [priorityFrame(1, 16), priorityFrame(3, 16, 1), priorityFrame(5, 16, 1, true)];
    expect(await order({ early }, [3, 5])).toEqual([1, 5, 3]);
  });

  it('turns a dependency round', async () => {
    const early = [priorityFrame(1, 16), priorityFrame(3, 16, 1), priorityFrame(5, 16, 3)];
    expect(await order({ early }, [3, 5])).toEqual([1, 3, 5]);
    expect(await order({ early: [...early, priorityFrame(1, 16, 5)] }, [3, 5])).toEqual([5, 1, 3]);
  });

  it('gives the weight of a stream that it forgets to those that depended on it', async () => {
    // The 33rd stream that is not open pushes 101 out, which is the 1st; 1 inherits its 256, and goes before 3.
    const crowd = Array.from({ length: 32 }, (_, i) => priorityFrame(1001 + 2 * i, 16));
    const early = [priorityFrame(101, 256), priorityFrame(1, 1, 101), priorityFrame(3, 16)];
    expect(await order({ early, late: crowd.slice(1) })).toEqual([3, 1]);
    expect(await order({ early, late: crowd })).toEqual([1, 3]);
  });

  it('refuses a stream that depends on itself', async () => {
    const client = new Client(proxy.port);
    client.send(priorityFrame(1, 16, 1));
    expect(await client.code(FRAME.GOAWAY)).toBe(CODE.PROTOCOL_ERROR);
    client.close();
    const other = new Client(proxy.port);
    const headers = frame(FRAME.HEADERS, FLAG.PRIORITY | FLAG.END_HEADERS, 1, 6);
    headers.writeUInt32BE(1, HEAD_BYTES);
    other.send(headers);
    expect(await other.code(FRAME.GOAWAY)).toBe(CODE.PROTOCOL_ERROR);
    other.close();
  });
});
