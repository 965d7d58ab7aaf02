// The style of the report's page, as text: light and dark by the reader's setting, one column on a phone.

export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --back: #ffffff; --panel: #f6f7f9; --text: #1b1f24; --muted: #5b6470; --line: #dfe3e8; --accent: #1f6feb; --bad: #c62828; --good: #1b7f3b;
  --series-0: #1f6feb; --series-1: #d9480f; --series-2: #2b8a3e; --series-3: #9c36b5;
  --series-4: #0b7285; --series-5: #b8860b; --series-6: #c2255c; --series-7: #5c636a; --series-8: #6741d9; --series-9: #087f5b; --series-10: #868e96;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #14171b; --panel: #1d2127; --text: #e6e9ed; --muted: #9aa4af; --line: #2f353d; --accent: #6ea8fe; --bad: #ff8a80; --good: #69db7c;
    --series-0: #6ea8fe; --series-1: #ff922b; --series-2: #69db7c; --series-3: #da77f2;
    --series-4: #3bc9db; --series-5: #ffd43b; --series-6: #f783ac; --series-7: #adb5bd; --series-8: #9775fa; --series-9: #20c997; --series-10: #ced4da;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 72rem; background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
p { margin: .25rem 0 .75rem; }
.muted { color: var(--muted); }
section { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 1rem; margin: 1rem 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .75rem .25rem 0; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; white-space: normal; min-width: 9rem; overflow-wrap: anywhere; }
th { color: var(--muted); font-weight: 600; }
.bad { color: var(--bad); }
.good { color: var(--good); }
details { margin-top: .5rem; }
summary { cursor: pointer; color: var(--muted); }
.bar { display: flex; height: 1.5rem; border-radius: 4px; overflow: hidden; background: var(--line); margin: .15rem 0 .5rem; }
.bar span { display: block; min-width: 1px; }
.key { display: flex; flex-wrap: wrap; gap: .25rem 1rem; font-size: .875rem; margin: .5rem 0; padding: 0; list-style: none; }
.key i { display: inline-block; width: .75rem; height: .75rem; border-radius: 2px; margin-right: .35rem; }
.heat td { padding: 0; width: 1rem; min-width: .6rem; height: 1.25rem; border: 1px solid var(--panel); }
.heat th { padding-right: .75rem; font-weight: 400; white-space: nowrap; text-align: left; }
.u-legend { font-size: .8rem; text-align: left; }
.u-legend th, .u-legend td { border: 0; white-space: normal; }
.u-legend.u-inline.u-live th::after { content: none; }
.u-legend .u-value { font-variant-numeric: tabular-nums; }
.uplot { max-width: 100%; }
@media (max-width: 40rem) {
  body { padding: .75rem; }
  section { padding: .75rem; border-radius: 6px; }
  h1 { font-size: 1.3rem; }
}
`;
