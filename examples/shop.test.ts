// How to test an nginx.conf: start it in the test, with fakes for its upstreams, and send it what its clients send.
import { fileURLToPath } from 'node:url';
import { startProxy, type TestedProxy } from 'portico';
import { afterAll, beforeAll, expect, test } from 'vitest';

let proxy: TestedProxy;

beforeAll(async () => {
  proxy = await startProxy(fileURLToPath(new URL('shop.conf', import.meta.url)), {
    upstreams: {
      app: 'the shop',
      'api.internal': (request) => ({ body: { asked: request.url } }),
    },
  });
});
afterAll(() => proxy?.stop());

test('plain HTTP is redirected', async () => {
  const response = await proxy.fetch('http://shop.example/cart?item=7');
  expect(response.status).toBe(301);
  expect(response.headers.get('location')).toBe('https://shop.example/cart?item=7');
});

test('the app learns who asked, and over what', async () => {
  const response = await proxy.fetch('https://shop.example/cart');
  expect(await response.text()).toBe('the shop');
  expect(response.headers.get('strict-transport-security')).toBe('max-age=63072000');
  const received = proxy.upstreams.app?.requests.at(-1);
  expect(received?.headers).toMatchObject({
    host: 'shop.example',
    'x-forwarded-proto': 'https',
    'x-forwarded-for': '127.0.0.1',
  });
});

test('the API gets its paths without the prefix', async () => {
  const response = await proxy.fetch('https://shop.example/api/items/7');
  expect(await response.json()).toEqual({ asked: '/items/7' });
});

test('the admin pages are not for everybody, and the log says so', async () => {
  expect((await proxy.fetch('https://shop.example/admin')).status).toBe(403);
  await proxy.idle();
  expect(proxy.accessLog.at(-1)?.values).toMatchObject({ request: 'GET /admin HTTP/1.1', status: '403' });
  expect(proxy.errorLog.at(-1)?.message).toContain('access forbidden by rule');
});
