// Under the profile of Debian 12, a 422 of the FastAPI-style app has the words of pydantic 1, and values are converted as it does. All
// answers are those of FastAPI 0.92 with pydantic 1.10.4.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { get, type Running, rawRequest, uvicorn } from './server-process.ts';

let running: Running;
beforeAll(async () => {
  running = await uvicorn(['services/apps/fastapi.ts:app'], { env: { PORTICO_SERVICES_PROFILE: 'debian-12' } });
});
afterAll(() => running.server.stop());

async function post(body: string, type = 'application/json'): Promise<{ status: number; body: string }> {
  const contentType = type === '' ? '' : `Content-Type: ${type}\r\n`;
  const fields = `Host: a\r\nConnection: close\r\n${contentType}Content-Length: ${Buffer.byteLength(body)}\r\n`;
  const text = await rawRequest(running.port, `POST /items HTTP/1.1\r\n${fields}\r\n${body}`);
  return { status: Number(text.slice(9, 12)), body: text.slice(text.indexOf('\r\n\r\n') + 4) };
}

/** One error as it stands in the body. */
const error = (loc: readonly (string | number)[], msg: string, type: string, ctx?: object): object => ({
  loc,
  msg,
  type,
  ...(ctx ? { ctx } : {}),
});
const detail = (...errors: readonly object[]): string => JSON.stringify({ detail: errors });
const NO_NULL = ['none is not an allowed value', 'type_error.none.not_allowed'] as const;
const MISSING = ['field required', 'value_error.missing'] as const;

describe('a query or path', () => {
  it.each([
    ['/items/x', error(['path', 'item_id'], 'value is not a valid integer', 'type_error.integer')],
    ['/items/1.0', error(['path', 'item_id'], 'value is not a valid integer', 'type_error.integer')],
    ['/size', error(['query', 'bytes'], ...MISSING)],
    [
      '/size?bytes=-1',
      error(['query', 'bytes'], 'ensure this value is greater than or equal to 0', 'value_error.number.not_ge', {
        limit_value: 0,
      }),
    ],
    ['/io?ms=x', error(['query', 'ms'], 'value is not a valid float', 'type_error.float')],
    ['/native?hold=2', error(['query', 'hold'], 'value could not be parsed to a boolean', 'type_error.bool')],
  ])('%s', async (target, expected) => {
    expect(await get(running.port, target)).toMatchObject({ status: 422, body: detail(expected) });
  });
});

describe('a body', () => {
  it.each([
    ['', error(['body'], ...MISSING)],
    ['null', error(['body'], ...MISSING)],
    ['1', error(['body'], 'value is not a valid dict', 'type_error.dict')],
    [
      '{\n"a":1',
      error(['body', 7], "Expecting ',' delimiter: line 2 column 6 (char 7)", 'value_error.jsondecode', {
        msg: "Expecting ',' delimiter",
        doc: '{\n"a":1',
        pos: 7,
        lineno: 2,
        colno: 6,
      }),
    ],
    ['{"name":null,"price":1}', error(['body', 'name'], ...NO_NULL)],
    ['{"name":[],"price":1}', error(['body', 'name'], 'str type expected', 'type_error.str')],
    [
      '{"name":"","price":1}',
      error(['body', 'name'], 'ensure this value has at least 1 characters', 'value_error.any_str.min_length', {
        limit_value: 1,
      }),
    ],
    [
      '{"name":"a","price":0}',
      error(['body', 'price'], 'ensure this value is greater than 0', 'value_error.number.not_gt', { limit_value: 0 }),
    ],
    ['{"name":"a","price":1,"tags":"x"}', error(['body', 'tags'], 'value is not a valid list', 'type_error.list')],
    ['{"name":"a","price":1,"tags":["x",null]}', error(['body', 'tags', 1], ...NO_NULL)],
  ])('%j', async (body, expected) => {
    expect(await post(body)).toEqual({ status: 422, body: detail(expected) });
  });

  it('reports all that is missing', async () => {
    const expected = detail(error(['body', 'name'], ...MISSING), error(['body', 'price'], ...MISSING));
    expect(await post('{}')).toEqual({ status: 422, body: expected });
  });

  it('is converted, and needs no type', async () => {
    const made = { status: 201, body: '{"name":"1.5","price":2.5,"tags":["True"],"description":null}' };
    expect(await post('{"name":1.5,"price":"2.5","tags":[true]}', '')).toEqual(made);
    const expected = detail(error(['body'], 'value is not a valid dict', 'type_error.dict'));
    expect(await post('{"name":"a","price":1}', 'text/plain')).toEqual({ status: 422, body: expected });
  });
});
