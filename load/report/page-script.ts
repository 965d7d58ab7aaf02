// The script of the report's page, as text: it draws each chart of the embedded data with uPlot, in the colors of the page's
// style, again when the page's width or the color scheme changes. Plain JavaScript for browsers; the page has no other.

export const PAGE_SCRIPT = `
'use strict';
const charts = JSON.parse(document.getElementById('data').textContent);
const style = getComputedStyle(document.documentElement);
const color = (name) => style.getPropertyValue(name).trim();
const seriesColor = (index) => color('--series-' + (index % 11));
const colorOf = (one, index) => seriesColor(one.color ?? index);

function percentileOf(nines) {
  const percent = 100 * (1 - 10 ** -nines);
  return percent >= 99.99 ? percent.toFixed(3) : percent >= 99 ? String(+percent.toFixed(2)) : String(+percent.toFixed(1));
}

function options(chart, width) {
  const isPercentile = chart.xForm === 'percentile';
  const axis = {
    stroke: color('--muted'),
    grid: { stroke: color('--line'), width: 1 },
    ticks: { stroke: color('--line'), width: 1 },
    font: '12px system-ui, sans-serif',
  };
  return {
    width,
    height: Math.round(Math.max(220, Math.min(360, width * 0.5))),
    scales: { x: { time: false }, y: chart.isLogarithmic ? { distr: 3 } : { range: (u, min, max) => [0, max > 0 ? max * 1.05 : 1] } },
    axes: [
      {
        ...axis,
        label: chart.xLabel,
        ...(chart.xLabel === 's' ? { incrs: [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600] } : {}),
        labelFont: axis.font,
        labelSize: 20,
        ...(isPercentile
          ? {
              splits: (u) => [0, 0.30103, 1, 1.30103, 2, 3, 4, 5].filter((at) => at >= u.scales.x.min && at <= u.scales.x.max),
              values: (u, splits) => splits.map((at) => 'p' + percentileOf(at)),
            }
          : {}),
      },
      { ...axis, label: chart.yLabel, labelFont: axis.font, labelSize: 20, size: 64, values: (u, splits) => splits.map((at) => (at === null ? '' : at >= 10000 ? at / 1000 + 'k' : String(+at.toPrecision(6))))},
    ],
    legend: { show: true },
    series: [
      { label: chart.xLabel, value: (u, at) => (at === null ? '' : isPercentile ? 'p' + percentileOf(at) : String(at)) },
      ...chart.series.map((one, index) => ({
        label: one.label,
        stroke: colorOf(one, index),
        width: 2,
        spanGaps: true,
        points: { show: chart.x.length < 40, size: 5, fill: colorOf(one, index) },
        fill: chart.isStacked ? colorOf(one, index) + '99' : undefined,
        value: (u, at, series, row) => (row === null ? '' : show(one.values[row])),
      })),
    ],
    bands: chart.isStacked ? chart.series.slice(1).map((_, index) => ({ series: [index + 2, index + 1] })) : [],
    hooks: { draw: [(u) => drawMarks(u, chart)] },
  };
}

function show(value) {
  return value === null || value === undefined ? '' : String(+value.toPrecision(4));
}

function drawMarks(u, chart) {
  const context = u.ctx;
  context.save();
  context.font = 12 * devicePixelRatio + 'px system-ui, sans-serif';
  chart.marks.forEach((mark, row) => {
    const x = u.valToPos(mark.x, 'x', true);
    context.strokeStyle = context.fillStyle = seriesColor(mark.series);
    context.setLineDash([2, 4]);
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(x, u.bbox.top);
    context.lineTo(x, u.bbox.top + u.bbox.height);
    context.stroke();
    context.textAlign = x > u.bbox.left + u.bbox.width * 0.8 ? 'right' : 'left';
    context.fillText(' ' + mark.label + ' ', x, u.bbox.top + u.bbox.height - (8 + row * 16) * devicePixelRatio);
  });
  context.restore();
}

/** Values as they are drawn: of a stack, each on top of those before. */
function dataOf(chart) {
  if (!chart.isStacked) return [chart.x, ...chart.series.map((one) => one.values)];
  const sums = chart.x.map(() => 0);
  return [chart.x, ...chart.series.map((one) => one.values.map((value, row) => (sums[row] += value || 0)))];
}

const drawn = [];
function drawAll() {
  for (const one of drawn.splice(0)) one.plot.destroy();
  charts.forEach((chart, index) => {
    const place = document.getElementById('chart-' + index);
    const plot = new uPlot(options(chart, place.clientWidth), dataOf(chart), place);
    drawn.push({ plot, place, chart });
  });
}
drawAll();
document.documentElement.dataset.drawn = String(drawn.length);
let width = innerWidth;
addEventListener('resize', () => {
  if (innerWidth === width) return;
  width = innerWidth;
  for (const { plot, place, chart } of drawn) plot.setSize({ width: place.clientWidth, height: options(chart, place.clientWidth).height });
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
`;
