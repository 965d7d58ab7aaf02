// Server-side includes, and the subrequests behind them and behind mirror.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bodyOf, get, headerOf, type RunningProxy, raw, startProxy, statusOf } from './start-proxy.ts';

const page = (name: string, text: string): [string, string] => [`files/${name}.html`, text];

let proxy: RunningProxy;
beforeAll(async () => {
  proxy = await startProxy(
    `http {
      log_format mirrored "$uri $request_method $args";
      access_log off;
      server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%DIR%%/files;
        location / { ssi on; set $mine <b>; }
        location /silent/ { alias %%DIR%%/files/; ssi on; ssi_silent_errors on; }
        location /text/ { return 200 "[$uri?$args]"; }
        location /plain/ { alias %%DIR%%/files/; }
        location /mirrored/ { alias %%DIR%%/files/; mirror /copy; mirror /copy2; }
        location /copy { internal; log_subrequest on; access_log %%DIR%%/copies.log mirrored; return 503; }
        location /copy2 { internal; log_subrequest on; access_log %%DIR%%/copies.log mirrored; return 200 ignored; }
      }
    }`,
    {
      files: Object.fromEntries([
        page(
          'include',
          '1<!--#include virtual="/text/a?x=1" -->2<!--#include file="inner.html" -->3<!--# include virtual="/text/b" -->4',
        ),
        page('inner', '(<!--#include virtual="/text/c" wait="yes" -->)'),
        page(
          'echo',
          '<!--#echo var="arg_a" -->,<!--#echo var="no" -->,<!--#echo var="no" default="d" -->,<!--#echo var="mine" -->,<!--#echo var="mine" encoding="none" -->,<!--#echo var="arg_a" encoding="url" -->',
        ),
        page('set', '<!--#set var="v" value="a $arg_a ${mine}" --><!--#echo var="v" encoding="none" -->'),
        page('captured', '<!--#include virtual="/text/x" set="got" --><!--#echo var="got" -->!<!--#echo var="got" -->'),
        page(
          'if',
          '<!--#if expr="$arg_a" -->A<!--#elif expr="$arg_b = /^x(.)z/" -->B<!--#echo var="1" --><!--#else -->C<!--#endif -->',
        ),
        page(
          'stub',
          '<!--#block name="s" -->stub <!--#echo var="v" --><!--#endblock --><!--#set var="v" value="1" -->[<!--#include virtual="/missing" stub="s" -->]',
        ),
        page('missing-part', 'x<!--#include virtual="/plain/none.html" -->y'),
        page(
          'errors',
          '<!--#config errmsg="ERR" -->1<!--#nothing -->2<!--#include virtual="../../x" -->3<!--#echo -->4<!--#echo var=x -->5<!--#endif -->6',
        ),
        page('main', 'main'),
        page('loop', 'x<!--#include virtual="/loop.html" -->'),
        page('date', '<!--#config timefmt="%Y %s" --><!--#echo var="date_gmt" -->'),
        page('big', `<${'-'.repeat(200_000)}<!--#include virtual="/plain/large.html" -->>`),
        page('large', 'L'.repeat(300_000)),
        page('not-command', 'a <!-- comment --> <! <!- b <'),
      ]),
    },
  );
});
afterAll(() => proxy.stop());

const show = async (uri: string): Promise<string> => bodyOf(await get(proxy.port, uri));

describe('ssi', () => {
  it('includes in order, however the parts are made', async () => {
    expect(await show('/include.html')).toBe('1[/text/a?x=1]2([/text/c?])3[/text/b?]4');
  });

  it('keeps the order of large parts', async () => {
    expect(await show('/big.html')).toBe(`<${'-'.repeat(200_000)}${'L'.repeat(300_000)}>`);
  });

  it('echoes variables, encoded', async () => {
    expect(await show('/echo.html?a=%3C')).toBe('%3C,(none),d,&lt;b&gt;,<b>,%253C');
  });

  it('sets variables, from the answers of requests too', async () => {
    expect(await show('/set.html?a=1')).toBe('a 1 <b>');
    expect(await show('/captured.html')).toBe('[/text/x?]![/text/x?]');
  });

  it('decides', async () => {
    expect(await show('/if.html?a=1')).toBe('A');
    expect(await show('/if.html?b=xyz')).toBe('By');
    expect(await show('/if.html')).toBe('C');
  });

  it('uses the stub of what is not there', async () => {
    expect(await show('/stub.html')).toBe('[stub 1]');
    expect(await show('/missing-part.html')).toMatch(/^x<html>[\s\S]*404 Not Found[\s\S]*y$/);
  });

  it('tells mistakes in the page and in the log', async () => {
    expect(await show('/errors.html')).toBe('1ERR2ERR3ERR4ERR5ERR6');
    expect(await show('/silent/errors.html')).toBe('123456');
    const log = await proxy.waitFor('error.log', /invalid context of SSI command: "endif"/);
    expect(log).toContain('invalid SSI command: "nothing"');
    expect(log).toContain('unsafe URI "/../../x" was detected');
    expect(log).toContain('mandatory "var" parameter is absent in "echo" SSI command');
    expect(log).toContain('unexpected "x" symbol before value of "var" parameter in "echo" SSI command');
  });

  it('ends a page that includes itself', async () => {
    expect(await show('/loop.html')).toMatch(/^x+\[an error occurred while processing the directive\]$/);
    await proxy.waitFor('error.log', /subrequests cycle while processing "\/loop.html"/);
  });

  it('formats dates', async () => {
    const [year, seconds] = (await show('/date.html')).split(' ').map(Number);
    expect(year).toBe(new Date().getUTCFullYear());
    expect(Math.abs(seconds! - Date.now() / 1000)).toBeLessThan(60);
  });

  it('drops length and validators, and leaves what is no command', async () => {
    const answer = await get(proxy.port, '/not-command.html');
    expect(answer).not.toMatch(/^(Content-Length|Last-Modified|ETag|Accept-Ranges):/m);
    // nginx drops a "<" at the very end of a page as well.
    expect(bodyOf(answer)).toBe('a <!-- comment --> <! <!- b ');
  });
});

describe('mirror', () => {
  it('copies the request and answers with the original', async () => {
    const answer = await get(proxy.port, '/mirrored/main.html?q=1');
    expect([statusOf(answer), bodyOf(answer)]).toEqual([200, 'main']);
    const log = await proxy.waitFor('copies.log', /copy2/);
    expect(log.split('\n').sort()).toEqual(['', '/copy GET q=1', '/copy2 GET q=1']);
  });

  it('goes on with the connection afterwards', async () => {
    const one = 'GET /mirrored/main.html?q=2 HTTP/1.1\r\nHost: x\r\n\r\n';
    const last = 'GET /mirrored/main.html?q=3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    const answer = await raw(proxy.port, one + last);
    expect(answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
    expect(headerOf(answer, 'Connection')).toBe('keep-alive');
  });
});
