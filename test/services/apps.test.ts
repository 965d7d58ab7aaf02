import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fastapi } from '../../services/apps/fastapi/app.ts';
import type { UseDependency } from '../../services/apps/fastapi/dependencies.ts';
import { HTTPException, jsonResponse } from '../../services/apps/fastapi/responses.ts';
import { float, int, list, model, optional, str, withDefault } from '../../services/apps/fastapi/schema.ts';
import { app as demo } from '../../services/apps/fastapi.ts';
import { timed } from '../../services/timed.ts';
import { callAsgi } from './asgi-call.ts';
import { ServerProcess } from './server-process.ts';

describe('dependencies, middleware and background tasks', () => {
  const log: string[] = [];
  const app = fastapi({ module: import.meta.url });
  async function* scoped(name: string): AsyncGenerator<string, void, void> {
    log.push(`${name} open`);
    try {
      yield name;
    } catch (error) {
      log.push(`${name} saw ${(error as Error).message}`);
      throw error;
    } finally {
      log.push(`${name} close`);
    }
  }
  const db = (): AsyncGenerator<string, void, void> => scoped('db');
  async function* user(_: unknown, use: UseDependency): AsyncGenerator<string, void, void> {
    await use(db);
    yield* scoped('user');
  }
  async function* swallow(): AsyncGenerator<number, void, void> {
    try {
      yield 1;
    } catch {}
  }
  async function* replace(): AsyncGenerator<number, void, void> {
    try {
      yield 1;
    } catch {
      throw new HTTPException(418, 'replaced');
    }
  }
  for (const name of ['first', 'second']) {
    app.middleware(async (_, next) => {
      log.push(`${name} in`);
      const response = await next();
      log.push(`${name} out`);
      return response;
    });
  }
  app.get('/ok', { deps: { db, user } }, ({ deps }) => {
    log.push(`handler ${deps.db} ${deps.user}`);
    return jsonResponse(1, { background: () => void log.push('background') });
  });
  app.get('/http', { deps: { user } }, () => {
    throw new HTTPException(404, 'gone');
  });
  app.get('/checked', { deps: { db }, query: { n: int() } }, () => 1);
  app.get('/swallow', { deps: { swallow } }, () => {
    throw new Error('lost');
  });
  app.get('/replace', { deps: { replace } }, () => {
    throw new Error('lost');
  });
  app.get('/background', { deps: { db } }, () =>
    jsonResponse(1, {
      background: () => {
        throw new Error('late');
      },
    }),
  );

  async function story(target: string): Promise<string[]> {
    log.length = 0;
    const onSend = (message: { type: string; status?: number }): void => {
      if (message.status !== undefined) log.push(`send ${message.status}`);
    };
    const { thrown } = await callAsgi(app, target, { onSend });
    if (thrown) log.push(`raised ${(thrown as Error).message.split('.')[0]}`);
    return log;
  }

  // What FastAPI 0.165 does, step by step.
  it('run in the order of FastAPI', async () => {
    expect(await story('/ok')).toEqual([
      ...['second in', 'first in', 'db open', 'user open', 'handler db user', 'first out', 'second out'],
      ...['send 200', 'background', 'user close', 'db close'],
    ]);
  });

  it('are cleaned up before an error is answered, and see it', async () => {
    expect(await story('/http')).toEqual([
      ...['second in', 'first in', 'db open', 'user open', 'user saw gone', 'user close', 'db saw gone', 'db close'],
      ...['first out', 'second out', 'send 404'],
    ]);
  });

  it('are open when the inputs turn out to be wrong', async () => {
    const steps = await story('/checked?n=x');
    expect(steps.slice(2, 5)).toEqual(['db open', 'db saw 1 validation error(s)', 'db close']);
    expect(steps.at(-1)).toBe('send 422');
  });

  it('may make another error of it, and may not make it disappear', async () => {
    expect(await story('/replace')).toContain('send 418');
    expect((await story('/swallow')).slice(-2)).toEqual(['send 500', 'raised Response not awaited']);
  });

  it('see an error of the background task, which comes after the response', async () => {
    const steps = await story('/background');
    expect(steps.slice(-4)).toEqual(['send 200', 'db saw late', 'db close', 'raised late']);
  });
});

describe('422', () => {
  const app = fastapi({ module: import.meta.url });
  const limits = { f: withDefault(float({ ge: 0.5, le: 2 }), 1) };
  app.get('/', { query: limits, headers: { x_k: withDefault(int(), 3) } }, ({ headers }) => headers.x_k);
  const Item = model('Item', { name: str(), price: float({ gt: 0 }), ok: withDefault(float(), 0) });
  app.post('/', { body: Item, response: Item }, ({ body }) => body);
  const errors = async (target: string, headers = {}): Promise<unknown> =>
    JSON.parse((await callAsgi(app, target, { headers })).body).detail[0];

  it('calls a header field by its name in HTTP', async () => {
    expect(await errors('/', { 'x-k': 'z' })).toMatchObject({
      type: 'int_parsing',
      loc: ['header', 'x-k'],
      input: 'z',
    });
  });

  it("checks limits in pydantic's order, and reads nan and inf as numbers", async () => {
    for (const input of ['nan', 'inf', '-Infinity', '3']) {
      const type = input.startsWith('-') ? 'greater_than_equal' : 'less_than_equal';
      expect(await errors(`/?f=${input}`)).toMatchObject({ type, input });
    }
    expect(await errors('/?f=nano')).toMatchObject({ type: 'float_parsing' });
  });

  it('reads NaN in a body, as Python does, and fails to write it', async () => {
    const answer = await callAsgi(app, '/', { method: 'POST', body: '{"name": "NaN", "price": NaN}' });
    // NaN is not above zero, and the 422 body would have to quote it.
    expect(answer.status).toBe(500);
    const fine = await callAsgi(app, '/', { method: 'POST', body: '{"name": "NaN", "price": 1, "ok": NaN}' });
    expect(fine.status).toBe(500);
    expect((fine.thrown as Error).message).toBe('Out of range float values are not JSON compliant');
    const whole = await callAsgi(app, '/', {
      method: 'POST',
      body: '{"name": "NaN\\" x", "price": 2, "more": -Infinity}',
    });
    expect(whole).toMatchObject({ status: 200, body: '{"name":"NaN\\" x","price":2.0,"ok":0.0}' });
    const broken = await callAsgi(app, '/', { method: 'POST', body: '{"name": NaN,}' });
    expect(broken.body).toContain('json_invalid');
  });
});

describe('the documentation', () => {
  it('describes parameters and models as FastAPI does, key by key', async () => {
    const app = fastapi({ module: import.meta.url });
    const query = { f: float({ gt: 1, le: 2 }), i: int({ ge: 1, lt: 5 }), l: withDefault(list(int()), []) };
    app.get('/q/{item_id}', { path: { item_id: int() }, query, headers: { x_k: optional(str()) } }, () => 1);
    app.post('/m', { body: model('M', { i: int({ ge: 1, lt: 5 }), t: withDefault(list(str()), []) }) }, () => 1);
    const { body } = await callAsgi(app, '/openapi.json');
    for (const part of [
      '"parameters":[{"name":"item_id","in":"path","required":true,"schema":{"type":"integer","title":"Item Id"}}',
      '"schema":{"type":"number","maximum":2,"exclusiveMinimum":1,"title":"F"}',
      '"schema":{"type":"integer","minimum":1,"exclusiveMaximum":5,"title":"I"}',
      '"schema":{"type":"array","items":{"type":"integer"},"default":[],"title":"L"}',
      '{"name":"x-k","in":"header","required":false,"schema":{"anyOf":[{"type":"string"},{"type":"null"}],"title":"X-K"}}',
      '"i":{"type":"integer","exclusiveMaximum":5.0,"minimum":1.0,"title":"I"}',
      '"t":{"items":{"type":"string"},"type":"array","title":"T","default":[]}',
    ])
      expect(body).toContain(part);
  });

  it('has a plain reference at /redoc without a network, which says that it is not ReDoc', async () => {
    const { status, body } = await callAsgi(demo, '/redoc');
    expect(status).toBe(200);
    expect(body).toContain('This is a plain reference and not ReDoc');
    expect(body).toContain('<code>GET /items/{item_id}</code>');
    expect(body).toContain('<a href="#Item">Item</a>');
    expect(body).not.toMatch(/(?:src|href)="(?:https?:)?\/\//);
    expect(await callAsgi(demo, '/redoc/assets/redoc.standalone.js')).toMatchObject({ status: 404 });
  });

  it('is ReDoc where the project has it installed', async () => {
    const project = mkdtempSync(path.join(tmpdir(), 'portico-redoc-'));
    onTestFinished(() => rmSync(project, { recursive: true }));
    mkdirSync(path.join(project, 'node_modules/redoc/bundles'), { recursive: true });
    writeFileSync(path.join(project, 'node_modules/redoc/package.json'), '{"name": "redoc", "version": "2.5.4"}');
    writeFileSync(path.join(project, 'node_modules/redoc/bundles/redoc.standalone.js'), '"the bundle"');
    const app = new URL('../../services/apps/fastapi.ts', import.meta.url).pathname;
    await using server = new ServerProcess('uvicorn', [`${app}:app`, '--port', '0'], { cwd: project });
    const [, port] = await server.said(/running on http:\/\/127\.0\.0\.1:(\d+)/);
    const page = await (await fetch(`http://127.0.0.1:${port}/redoc`)).text();
    expect(page).toContain('<redoc spec-url="/openapi.json"></redoc>');
    const [, script = ''] = /<script src="([^"]+)"/.exec(page) ?? [];
    expect(await (await fetch(`http://127.0.0.1:${port}${script}`)).text()).toBe('"the bundle"');
  });
});

describe('timed', () => {
  it('keeps name, arguments, this and result, and passes errors on', async () => {
    const counter = {
      n: 2,
      add: timed(function add(this: { n: number }, more: number): number {
        return this.n + more;
      }),
    };
    expect(counter.add(3)).toBe(5);
    expect(counter.add.name).toBe('add');
    expect(() =>
      timed(() => {
        throw new Error('no');
      })(),
    ).toThrow('no');
    await expect(timed(async () => Promise.reject(new Error('later')))()).rejects.toThrow('later');
  });

  const headers = { 'X-Request-Start': `t=${Date.now() / 1000}` };
  const TOOK = /^generate took \d+\.\d{4} seconds$/m;

  for (const [name, args] of [
    ['sync', []],
    ['gthread', ['--threads', '2']],
  ] as const) {
    it(`prints and shows in Server-Timing under ${name}`, async () => {
      await using server = new ServerProcess('gunicorn', [
        ...args,
        '-b',
        '127.0.0.1:0',
        'test/services/timed-app.ts:wsgi',
      ]);
      const [, port] = await server.said(/Listening at: http:\/\/127\.0\.0\.1:(\d+)/);
      const answer = await fetch(`http://127.0.0.1:${port}/`, { headers });
      expect(await answer.json()).toEqual({ generated: [0, 1, 2] });
      expect(answer.headers.get('server-timing')).toMatch(/, generate;dur=\d+\.\d$/);
      await server.said(TOOK);
      const direct = await fetch(`http://127.0.0.1:${port}/`);
      expect(direct.headers.get('server-timing')).toBeNull();
    });
  }

  it('does so in async operations and in the thread pool', async () => {
    await using server = new ServerProcess('uvicorn', ['--port', '0', 'test/services/timed-app.ts:asgi']);
    const [, port] = await server.said(/running on http:\/\/127\.0\.0\.1:(\d+)/);
    const answer = await fetch(`http://127.0.0.1:${port}/`, { headers });
    expect(answer.headers.get('server-timing')).toMatch(/, fetchAll;dur=\d+\.\d$/);
    await server.said(/^fetchAll took /m);
    const pooled = await fetch(`http://127.0.0.1:${port}/def`, { headers });
    expect(await pooled.json()).toEqual({ generated: [0, 1] });
    expect(pooled.headers.get('server-timing')).toMatch(/, generate;dur=\d+\.\d$/);
    await server.said(TOOK);
  });
});
