// The canvas charts: price against strike, z and EV, probability against ask, spot against the settlement feed.

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
        values: (_chart, splits) => splits.map((split) => number(split, stepDigits(splits))),
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
    let free = -Infinity;
    for (const [from, to] of gaps ?? []) free = hatch(chart, [from, to], this.colours, free);
    if (contract) {
      ctx.fillStyle = this.colours.hammerZone;
      const left = chart.valToPos(contract.end_s - hammer, "x", true);
      ctx.fillRect(left, bbox.top, chart.valToPos(contract.end_s, "x", true) - left, bbox.height);
      this.drawBoundaries(chart, contract, hammer);
    }
    ctx.restore();
  }

  // Words stand left of their line but "start"; a long hammer leaves no room there, and they move or go.
  drawBoundaries(chart, contract, hammer) {
    const place = (second) => chart.valToPos(second, "x");
    const begins = contract.end_s - hammer;
    const beside = place(begins) - place(contract.start_s) > 90;
    const inside = place(contract.end_s) - place(begins);
    const wanted = beside ? 26 : 90;
    upright(chart, contract.start_s, ["start", "left"], this.colours);
    upright(chart, begins, [beside || inside > 90 ? "hammer" : "", beside ? "right" : "left"], this.colours);
    upright(chart, contract.end_s, [inside > wanted ? "end" : "", "right"], this.colours);
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
          values: (_chart, splits) => splits.map((split) => signed(split, stepDigits(splits))),
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
            splits.map((split) => signed(split * 100, stepDigits(splits, 100))),
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
        values: (_chart, splits) => splits.map((split) => signedDollars(split, stepDigits(splits))),
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
        values: (_chart, splits) => splits.map((split) => percent(split, stepDigits(splits, 100))),
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
