/** The style sheet of the page. Colors of texts have a contrast of at least 4.5 to what is behind them, in both schemes. */
export const style = `
:root {
  color-scheme: light dark;
  --page: #f5f6f8; --card: #ffffff; --line: #dde1e7; --hover: #f8f9fb;
  --text: #1a2029; --soft: #566071;
  --good: #1a7a46; --busy: #2462b8; --warning: #8a5a00; --bad: #b3261e; --idle: #566071;
  --good-tint: #e7f5ed; --busy-tint: #e8f0fb; --warning-tint: #fdf3df; --bad-tint: #fceae9; --idle-tint: #eef0f3;
  --source: #5b8def; --encode: #8f6ad8; --storage: #e09a2d;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1319; --card: #171c24; --line: #2a313c; --hover: #1b212a;
    --text: #e4e8ee; --soft: #9aa5b5;
    --good: #5fcf93; --busy: #7db2ff; --warning: #eeb64e; --bad: #ff8a80; --idle: #9aa5b5;
    --good-tint: #14281e; --busy-tint: #16233a; --warning-tint: #2c2413; --bad-tint: #331b1b; --idle-tint: #1f252e;
    --source: #5b8def; --encode: #9d7be6; --storage: #e0a545;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums;
}
header, main, footer { max-width: 76rem; margin: 0 auto; padding: 0 1.5rem; }
header { display: flex; align-items: center; gap: .6rem; padding-top: 1.1rem; padding-bottom: .9rem; }
header .name { font-weight: 650; letter-spacing: -.01em; }
header .live { margin-left: auto; color: var(--soft); font-size: .87rem; }
header .live::before {
  content: ""; display: inline-block; width: .5rem; height: .5rem; margin-right: .45rem; border-radius: 50%;
  border: 1.5px solid var(--soft); vertical-align: .05em;
}
[data-connection="live"] .live::before { background: var(--good); border-color: var(--good); }
.lost {
  position: sticky; top: 0; z-index: 1; margin-bottom: 1rem; padding: .7rem 1.5rem; text-align: center; font-weight: 600;
  background: var(--bad-tint); color: var(--bad); border-block: 1px solid currentColor;
}
.lost:empty { display: none; }
section { margin: 0 0 1rem; padding: 1.1rem 1.35rem 1.25rem; background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
h1 { display: flex; align-items: center; gap: .6rem; margin: 0 0 .2rem; font-size: 1.45rem; font-weight: 650; line-height: 1.25; letter-spacing: -.015em; overflow-wrap: anywhere; }
h2 { margin: 0 0 .6rem; font-size: 1rem; font-weight: 650; }
h3 { margin: 0 0 .4rem; font-size: .87rem; font-weight: 500; color: var(--soft); }
p { margin: 0; }
small, .axis { font-size: .82rem; color: var(--soft); }
code { font: .9em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.none, .ready { color: var(--soft); }
.ready strong { color: var(--text); }
.reasons { margin: .6rem 0 0; padding-left: 1.2rem; overflow-wrap: anywhere; }
.reason, .error { margin-top: .2rem; font-size: .87rem; overflow-wrap: anywhere; }
.error { color: var(--soft); }
.process > .error { margin-top: .8rem; color: var(--bad); }
.facts { display: flex; flex-wrap: wrap; gap: .7rem 2.2rem; margin: 1rem 0 0; padding-top: .9rem; border-top: 1px solid var(--line); }
dt { font-size: .78rem; color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.icon { flex: none; width: 1em; height: 1em; fill: currentColor; vertical-align: -.12em; }
.icon .mark { fill: none; stroke: var(--card); stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round; }
.good { --tone: var(--good); --tint: var(--good-tint); }
.busy { --tone: var(--busy); --tint: var(--busy-tint); }
.warning { --tone: var(--warning); --tint: var(--warning-tint); }
.bad { --tone: var(--bad); --tint: var(--bad-tint); }
.idle { --tone: var(--idle); --tint: var(--idle-tint); }
.icon { color: var(--tone); }
.spark { display: block; width: 100%; fill: none; overflow: visible; }
.spark .line { stroke: var(--busy); stroke-width: 1.5; stroke-linejoin: round; vector-effect: non-scaling-stroke; }
.spark .area { fill: var(--busy-tint); }
.throughput { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 0 2.5rem; }
.throughput h2 { grid-column: 1 / -1; margin-bottom: .1rem; }
.total:last-child { grid-column: 1 / -1; }
.figure { color: var(--soft); }
.figure strong { color: var(--text); font-size: 1.7rem; font-weight: 600; letter-spacing: -.02em; }
.figure small { margin-left: .6rem; }
.total .spark { height: 4.2rem; margin: .5rem 0 .2rem; border-bottom: 1px solid var(--line); }
.axis { display: flex; justify-content: space-between; }
.waits { align-self: end; }
.waits > svg { display: block; width: 100%; height: .6rem; border-radius: 4px; }
.source { fill: var(--source); } .encode { fill: var(--encode); } .storage { fill: var(--storage); }
.waits ul { margin: .55rem 0 0; padding: 0; list-style: none; font-size: .87rem; color: var(--soft); }
.waits li svg { width: .65rem; height: .65rem; margin-right: .5rem; border-radius: 2px; }
.waits strong { display: inline-block; min-width: 3.2rem; color: var(--text); font-weight: 600; }
table { width: 100%; border-collapse: collapse; }
caption, .hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
th, td { padding: .6rem .6rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
:is(th, td):first-child { padding-left: 0; } :is(th, td):last-child { padding-right: 0; }
thead th { padding-top: 0; padding-bottom: .35rem; border: 0; font-size: .78rem; font-weight: 500; color: var(--soft); white-space: nowrap; }
tbody th { min-width: 9rem; max-width: 18rem; font-weight: 600; overflow-wrap: anywhere; unicode-bidi: isolate; }
tbody tr:last-child :is(th, td) { padding-bottom: 0; }
.number { text-align: right; white-space: nowrap; }
.number small { display: block; }
.label { display: none; }
td.state { width: 32%; }
.sign { font-weight: 550; color: var(--tone); white-space: nowrap; }
.rate { display: grid; grid-template-columns: 7rem minmax(5rem, auto); gap: 1rem; justify-content: end; }
.rate .spark { height: 1.5rem; }
.rate .area { display: none; }
.reorgs tbody :is(th, td) { padding-top: .35rem; padding-bottom: .35rem; }
.unknown { color: var(--soft); }
footer { padding-top: .4rem; padding-bottom: 2.5rem; color: var(--soft); font-size: .87rem; }
a { color: var(--busy); }
:focus-visible { outline: 2px solid var(--busy); outline-offset: 3px; border-radius: 3px; }
[data-connection="lost"] h1::before { content: "Last known:"; font-weight: 400; }
[data-connection="lost"] main { filter: grayscale(1); }
[data-connection="lost"] main section { background: var(--idle-tint); }
@media (max-width: 60rem) {
  .throughput { grid-template-columns: 1fr; }
  .waits { margin-top: 1.1rem; }
  table, tbody, tr, th, td { display: block; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tbody tr { padding: .9rem 0; border-top: 1px solid var(--line); }
  tbody tr:first-child { border: 0; padding-top: .2rem; }
  tbody tr:last-child { padding-bottom: 0; }
  tbody tr :is(th, td) { max-width: none; padding: .12rem 0; border: 0; }
  td.state { width: auto; }
  tbody th { font-size: 1.05rem; }
  td.number { display: flex; align-items: baseline; text-align: left; white-space: normal; }
  .value { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 .6rem; }
  .label { display: block; flex: none; width: 8.5rem; color: var(--soft); font-size: .87rem; }
  .state .label { display: none; }
  .rate { flex: 1; display: flex; flex-wrap: wrap; justify-content: start; align-items: baseline; gap: 0 1rem; }
  .rate .spark { order: 1; flex: none; width: 100%; max-width: 13rem; }
}
@media (max-width: 30rem) {
  header, main, footer { padding-left: .8rem; padding-right: .8rem; }
  section { padding: .9rem .9rem 1rem; }
  h1 { font-size: 1.2rem; }
  .label { width: 8rem; }
}
@media (prefers-contrast: more) { :root { --soft: var(--text); --line: var(--soft); } }
@media (forced-colors: active) { .icon, .spark .line, .waits rect { forced-color-adjust: none; } }
`
