// Canvas charts. A zoom chosen by the reader stays until he resets it, whatever arrives meanwhile.

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

class PriceChart extends Chart {
  constructor(group) {
    super("Price against strike", "price", 345, group);
    this.context = null;
  }

  options(colours) {
    const value = (_chart, price) => number(price);
    return {
      scales: {
        x: { time: false, auto: false },
        y: { range: (_chart, low, high) => this.yRange(low, high) },
      },
      axes: axes(colours, {
        scale: "y",
        size: 74,
        values: (_chart, splits) => splits.map((split) => number(split, splits[1] - splits[0] < 1 ? 1 : 0)),
      }),
      series: [
        timeSeries,
        line("TWAP 60", colours.twap, { width: 2.2, value }),
        line("Chainlink", colours.chainlink, { value }),
        line("Spot", colours.spot, { dash: [4, 3], value }),
      ],
      hooks: { drawClear: [(chart) => this.drawBehind(chart)], draw: [(chart) => this.drawOver(chart)] },
    };
  }

  yRange(low, high) {
    const strike = this.context?.contract?.strike;
    const inside = [low, high, strike].filter(known);
    if (inside.length === 0) return [0, 1];
    const middle = (Math.min(...inside) + Math.max(...inside)) / 2;
    const half = Math.max(MIN_SPAN_USD, Math.max(...inside) - Math.min(...inside)) * 0.56;
    return [middle - half, middle + half];
  }

  // The hammer window, the boundaries, and the seconds that never came.
  drawBehind(chart) {
    const { contract, hammer, gaps } = this.context ?? {};
    const { ctx, bbox } = chart;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const [from, to] of gaps ?? []) hatch(chart, from, to, this.colours);
    if (contract) {
      ctx.fillStyle = this.colours.hammerZone;
      const left = chart.valToPos(contract.end_s - hammer, "x", true);
      ctx.fillRect(left, bbox.top, chart.valToPos(contract.end_s, "x", true) - left, bbox.height);
      const roomy = chart.valToPos(contract.end_s, "x") - chart.valToPos(contract.end_s - hammer, "x") > 26;
      upright(chart, contract.start_s, "start", this.colours);
      upright(chart, contract.end_s - hammer, "hammer", this.colours);
      upright(chart, contract.end_s, roomy ? "end" : "", this.colours);
    }
    ctx.restore();
  }

  drawOver(chart) {
    const { contract, marks } = this.context ?? {};
    const { ctx, bbox } = chart;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    if (known(contract?.strike)) this.drawStrike(chart, contract);
    for (const mark of marks ?? []) drawMark(chart, mark, this.colours);
    ctx.restore();
  }

  drawStrike(chart, contract) {
    const { ctx, bbox } = chart;
    const y = chart.valToPos(contract.strike, "y", true);
    const from = Math.max(bbox.left, chart.valToPos(contract.start_s, "x", true));
    ctx.strokeStyle = ctx.fillStyle = this.colours.strike;
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.setLineDash([7 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(from, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.setLineDash([]);
    this.drawLabel(chart, `strike ${number(contract.strike)}`, y);
  }

  // A label with its own ground, at the left edge, so that no line runs through the words.
  drawLabel(chart, text, y) {
    const { ctx, bbox } = chart;
    const unit = devicePixelRatio;
    ctx.font = this.colours.canvasFont;
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    const wide = ctx.measureText(text).width + 10 * unit;
    const middle = Math.min(bbox.top + bbox.height - 9 * unit, Math.max(bbox.top + 9 * unit, y));
    ctx.fillStyle = this.colours.strike;
    ctx.fillRect(bbox.left, middle - 8 * unit, wide, 16 * unit);
    ctx.fillStyle = this.colours.panel;
    ctx.fillText(text, bbox.left + 5 * unit, middle);
  }
}

class TrendChart extends Chart {
  constructor(group) {
    super("z and expected value", "trend", 200, group);
  }

  options(colours) {
    const value = (_chart, ev) => cents(ev);
    return {
      scales: {
        x: { time: false, auto: false },
        z: { range: (_chart, low, high) => around(low, high, 1) },
        ev: { range: (_chart, low, high) => around(low, high, 0.01) },
      },
      axes: axes(
        colours,
        {
          scale: "z",
          size: 46,
          label: "z",
          labelSize: 16,
          labelFont: colours.font,
          values: (_chart, splits) => splits.map((split) => signed(split, splits[1] - splits[0] < 1 ? 1 : 0)),
        },
        {
          scale: "ev",
          side: 1,
          size: 52,
          grid: { show: false },
          label: "EV, ¢ a share",
          labelSize: 16,
          labelFont: colours.font,
          values: (_chart, splits) =>
            splits.map((split) => signed(split * 100, splits[1] - splits[0] < 0.01 ? 1 : 0)),
        },
      ),
      series: [
        timeSeries,
        line("z", colours.strike, { scale: "z", width: 2, value: (_chart, z) => signed(z) }),
        line("EV UP", colours.up, { scale: "ev", value }),
        line("EV DOWN", colours.down, { scale: "ev", dash: [5, 3], value }),
      ],
      hooks: { drawClear: [(chart) => this.drawZero(chart)] },
    };
  }

  drawZero(chart) {
    for (const [scale, colour, dash] of [
      ["z", this.colours.quiet, []],
      ["ev", this.colours.quiet, [2, 4]],
    ]) {
      const y = chart.valToPos(0, scale, true);
      if (!known(y)) continue;
      const { ctx, bbox } = chart;
      ctx.save();
      ctx.strokeStyle = colour;
      ctx.setLineDash(dash.map((part) => part * devicePixelRatio));
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.restore();
    }
  }
}

class DivergenceChart extends Chart {
  constructor(group) {
    super("Canonical against spot", "divergence", 170, group);
    this.now = el("p", "lead");
    this.plot.before(this.now);
  }

  options(colours) {
    return {
      scales: { x: { time: false, auto: false }, y: { range: (_chart, low, high) => around(low, high, 2) } },
      axes: axes(colours, {
        scale: "y",
        size: 50,
        space: 24,
        values: (_chart, splits) => splits.map((split) => signedDollars(split, 0)),
      }),
      series: [
        timeSeries,
        line("Spot less canonical", colours.spot, {
          fill: colours.shade,
          value: (_chart, usd) => signedDollars(usd),
        }),
      ],
      legend: { show: false },
    };
  }

  paintNow(head) {
    put(
      this.now,
      head && known(head.divergence_usd)
        ? `${signedDollars(head.divergence_usd)} · ${signed(head.divergence_bp)} bp`
        : "Needs both the settlement feed and a spot ticker.",
    );
  }
}

// How likely Up is against what it costs: the gap between the curves is the edge.
class OddsChart extends Chart {
  constructor(group) {
    super("p̂ against ask and break-even, UP", "odds", 170, group);
  }

  options(colours) {
    const value = (_chart, odds) => probability(odds);
    return {
      scales: { x: { time: false, auto: false }, y: { range: () => [0, 1] } },
      axes: axes(colours, {
        scale: "y",
        size: 50,
        space: 24,
        values: (_chart, splits) => splits.map((split) => percent(split, 0)),
      }),
      series: [
        timeSeries,
        line("p̂ UP", colours.up, { width: 2.2, value }),
        line("ask UP", colours.spot, { value: (_chart, ask) => sharePrice(ask) }),
        line("break-even", colours.strike, { dash: [4, 3], value }),
      ],
    };
  }
}

// Both sides now, on one scale of 0 to 100: ask, break-even, own probability; and the market's own fee.
class EdgePanel {
  constructor() {
    this.sides = [new EdgeBar("UP"), new EdgeBar("DOWN")];
    this.curve = new FeeCurve();
    this.empty = el("p", "empty", "Waiting for a strike and a book: the edge is what they are compared by.");
    this.body = el("div", "edge-body", ...this.sides.map((side) => side.node), this.curve.node);
    this.panel = panel("Edge now", "edge", this.body, this.empty);
    this.node = this.panel.node;
  }

  paint(contract) {
    const has = contract !== null && known(contract.p_up);
    put(this.panel.extra, contract ? `${contract.name} window` : "");
    show(this.body, has);
    show(this.empty, !has);
    if (!has) return;
    const { p_up, p_down, cost_up, cost_down, even_up, even_down, ev_up, ev_down, up, down } = contract;
    this.sides[0].paint({ p: p_up, cost: cost_up, even: even_up, ev: ev_up, live: up.state === "live" });
    this.sides[1].paint({
      p: p_down,
      cost: cost_down,
      even: even_down,
      ev: ev_down,
      live: down.state === "live",
    });
    this.curve.paint(contract);
  }
}

// The name of SVG elements, asked of the parser: this code names no address (a test checks that).
const SVG = shape().firstChild.namespaceURI;

function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function move(node, attributes) {
  for (const [name, value] of Object.entries(attributes))
    if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

class EdgeBar {
  constructor(outcome) {
    const name = el("span", "side");
    putOutcome(name, outcome);
    this.ev = el("strong");
    const line = (className, y) => svg("line", { class: className, y1: y, y2: y, x1: 0, x2: 0 });
    const tick = (className) => svg("line", { class: className, y1: 2, y2: 22, x1: 0, x2: 0 });
    this.ground = svg("line", { class: "ground", x1: 0, x2: 100, y1: 12, y2: 12 });
    this.fee = line("fee", 12);
    this.gap = line("gap", 12);
    this.ticks = { cost: tick("cost"), even: tick("even"), p: tick("p") };
    this.plot = svg(
      "svg",
      { viewBox: "0 0 100 24", preserveAspectRatio: "none", "aria-hidden": "true" },
      this.ground,
      this.fee,
      this.gap,
      ...Object.values(this.ticks),
    );
    this.words = el("p", "terms-line");
    this.node = el("div", "edge-side", el("div", "edge-head", name, this.ev), this.plot, this.words);
  }

  paint({ p, cost, even, ev, live }) {
    const place = (value) => (known(value) ? Math.min(99.6, Math.max(0.4, value * 100)) : 0.4);
    this.node.classList.toggle("dim", !live || !known(cost));
    move(this.fee, { x1: place(cost), x2: place(known(even) ? even : cost) });
    move(this.gap, { x1: place(known(even) ? even : p), x2: place(p) });
    for (const [name, value] of Object.entries({ cost, even, p })) {
      move(this.ticks[name], { x1: place(value), x2: place(value) });
      this.ticks[name].style.display = known(value) ? "" : "none";
    }
    const good = known(ev) && ev > 0;
    tone(this.gap, good ? "good" : "warn");
    put(this.ev, known(ev) ? `EV ${cents(ev, 2)} a share` : "no ask");
    tone(this.ev, good ? "good" : "quiet");
    put(this.words, `p̂ ${probability(p)} · ask ${sharePrice(cost)} · break-even ${percent(even)}`);
  }
}

// The fee a share over the price, from the core's own points; a dot where each side would be bought now.
class FeeCurve {
  constructor() {
    this.path = svg("polyline", { class: "curve", points: "" });
    this.top = el("span");
    this.bottom = el("div", "fee-axis", el("span", "", "0¢"), el("span", "", "price a share"), el("span", "", "100¢"));
    this.plot = svg(
      "svg",
      { viewBox: "0 0 100 40", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("line", { class: "ground", x1: 0, x2: 100, y1: 39.5, y2: 39.5 }),
      this.path,
    );
    this.dots = { up: shape("up"), down: shape("down") };
    for (const [name, dot] of Object.entries(this.dots)) dot.dataset.tone = name;
    this.box = el("div", "fee-plot", this.plot, ...Object.values(this.dots));
    this.words = el("p", "terms-line");
    this.node = el("div", "fee-curve", el("div", "edge-head", el("span", "caption", "Fee a share"), this.top));
    this.node.append(this.box, this.bottom, this.words);
  }

  paint({ fee_curve: curve, cost_up, cost_down, fee_up, fee_down, fee_rate }) {
    const most = Math.max(...(curve ?? []), 0);
    show(this.node, most > 0);
    if (most <= 0) return;
    const height = (fee) => 39 - (fee / most) * 36;
    const step = 100 / (curve.length - 1);
    move(this.path, { points: curve.map((fee, index) => `${index * step},${height(fee).toFixed(2)}`).join(" ") });
    put(this.top, `most ${number(most * 100)}¢${known(fee_rate) ? ` · rate ${plain(fee_rate)}` : ""}`);
    this.dot(this.dots.up, cost_up, fee_up, height);
    this.dot(this.dots.down, cost_down, fee_down, height);
    const side = (name, cost, fee) => (known(cost) ? `${name} ${number(fee * 100)}¢ at ${sharePrice(cost)}` : "");
    put(this.words, [side("UP", cost_up, fee_up), side("DOWN", cost_down, fee_down)].filter(Boolean).join(" · "));
  }

  dot(node, cost, fee, height) {
    show(node, known(cost) && known(fee));
    if (node.hidden) return;
    const [left, top] = [`${(cost * 100).toFixed(2)}%`, `${(height(fee) * 2.5).toFixed(2)}%`];
    if (node.style.left !== left) node.style.left = left;
    if (node.style.top !== top) node.style.top = top;
  }
}

// A symmetric-enough range that always shows zero.
function around(low, high, least) {
  const bottom = Math.min(known(low) ? low : 0, 0);
  const top = Math.max(known(high) ? high : 0, 0);
  const margin = Math.max(top - bottom, least) * 0.12;
  return [Math.min(bottom - margin, -least / 2), Math.max(top + margin, least / 2)];
}
