// What all canvas charts share. A zoom chosen by the reader stays until he resets it, whatever arrives meanwhile.

const LEAD_S = 60; // seconds before the boundary that explain where the strike came from
const MIN_SPAN_USD = 10; // a quiet market must not look like a storm

const TIME_STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900];

class Chart {
  constructor(title, className, height, group) {
    this.reset = el("button", "reset", "reset zoom");
    this.reset.type = "button";
    this.reset.hidden = true;
    this.reset.addEventListener("click", () => group.zoom(null));
    this.plot = el("div", "plot");
    this.empty = el("p", "empty");
    this.panel = panel(title, `chart ${className}`, this.plot, this.empty);
    this.panel.node.querySelector("header").append(this.reset);
    this.node = this.panel.node;
    this.height = height;
    this.group = group;
    group.charts.push(this);
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(this.plot);
  }

  // Builds the chart anew; needed at the start and when the theme changed.
  build(colours) {
    this.chart?.destroy();
    this.colours = colours;
    const options = this.options(colours);
    options.width = Math.max(120, this.plot.clientWidth);
    options.height = this.height;
    options.cursor = {
      sync: { key: this.group.key, setSeries: false },
      drag: { x: true, y: false, setScale: false },
      points: { size: 6 },
      bind: { dblclick: () => () => this.group.zoom(null) },
    };
    options.hooks = { ...options.hooks, setSelect: [(chart) => this.select(chart)] };
    this.chart = new uPlot(
      options,
      options.series.map(() => []),
      this.plot,
    );
  }

  select(chart) {
    const { left, width: wide } = chart.select;
    if (wide < 4) return;
    this.group.zoom([chart.posToVal(left, "x"), chart.posToVal(left + wide, "x")]);
    chart.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  }

  resize() {
    const wide = this.plot.clientWidth;
    if (this.chart && wide > 0 && Math.abs(wide - this.chart.width) > 1)
      this.chart.setSize({ width: wide, height: this.height });
  }

  paint(columns, range, emptyText) {
    const has = columns[0].length > 0;
    put(this.empty, emptyText);
    show(this.empty, !has);
    this.node.classList.toggle("void", !has);
    show(this.reset, this.group.range !== null);
    const [min, max] = this.group.range ?? range;
    this.chart.batch(() => {
      this.chart.setData(columns, false);
      this.chart.setScale("x", { min, max });
    });
    if (has && this.chart.cursor.idx == null) this.chart.setLegend({ idx: newest(columns) });
  }

  close() {
    this.sizes.disconnect();
    this.chart?.destroy();
  }
}

// Where the first curve was known last: what the legend shows while no cursor asks for another moment.
function newest(columns) {
  const place = columns[1].findLastIndex(known);
  return place >= 0 ? place : columns[0].length - 1;
}

// Charts that share one time axis and one zoom.
class ChartGroup {
  constructor(key, repaint) {
    this.key = key;
    this.repaint = repaint;
    this.charts = [];
    this.range = null;
  }

  zoom(range) {
    this.range = range;
    this.repaint();
  }
}

// The decimals that a step of an axis needs: steps of 2.5 written without would name other places.
function stepDigits(splits, per = 1) {
  const step = Math.abs(splits[1] - splits[0]) * per;
  if (!known(step)) return 0;
  const exact = (digits) => Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) < 1e-6;
  return [0, 1, 2, 3].find((digits) => step * 10 ** digits >= 0.5 && exact(digits)) ?? 4;
}

function axes(colours, ...sides) {
  const common = {
    stroke: colours.quiet,
    grid: { stroke: colours.line, width: 1 },
    ticks: { stroke: colours.line, width: 1, size: 4 },
    font: colours.font,
  };
  const time = {
    ...common,
    incrs: TIME_STEPS_S,
    values: (_chart, splits) => splits.map(axisTime),
    space: 76,
    size: 28,
  };
  return [time, ...sides.map((side) => ({ ...common, ...side }))];
}

const axisTime = (seconds, index, all) => {
  const whole = all.every((value) => value % 60 === 0);
  return whole ? minute(seconds) : clock(seconds * 1000);
};

function line(label, stroke, more = {}) {
  return { label, stroke, width: 1.5, spanGaps: false, points: { show: false }, ...more };
}

const timeSeries = {
  label: "UTC",
  value: (_chart, seconds) => (known(seconds) ? clock(seconds * 1000) : DASH),
};

// A symmetric-enough range that always shows zero.
function around(low, high, least) {
  const bottom = Math.min(known(low) ? low : 0, 0);
  const top = Math.max(known(high) ? high : 0, 0);
  const margin = Math.max(top - bottom, least) * 0.12;
  return [Math.min(bottom - margin, -least / 2), Math.max(top + margin, least / 2)];
}
