// What became of each second of a window, as a strip of cells: where the settlement feed has holes.

// Drawn in this order, so that one lost second is not hidden by its neighbours where cells are thinner than a pixel.
// `top` and `high` are shares of the strip: the form says the state, the colour only repeats it.
const SECONDS = {
  " ": { word: "to come", colour: "faint", top: 0.44, high: 0.12 },
  p: { word: "present", colour: "quiet", top: 0, high: 1 },
  w: { word: "may still come", colour: "quiet", top: 0.36, high: 0.28 },
  l: { word: "late", colour: "warn", top: 0.4, high: 0.6, least: 1 },
  f: { word: "frozen", colour: "frozen", top: 0, high: 1, stripes: true, least: 1 },
  m: { word: "missing", colour: "alarm", top: 0.7, high: 0.3, least: 1 },
};

// Runs of one letter: [letter, first, past]; what the text does not reach yet is to come.
function secondRuns(letters, total) {
  const runs = [];
  for (let at = 0; at < total; at += 1) {
    const letter = SECONDS[letters[at]] ? letters[at] : " ";
    const last = runs[runs.length - 1];
    if (last?.[0] === letter) last[2] = at + 1;
    else runs.push([letter, at, at + 1]);
  }
  return runs;
}

function secondCounts(runs) {
  const counts = Object.fromEntries(Object.keys(SECONDS).map((letter) => [letter, 0]));
  for (const [letter, first, past] of runs) counts[letter] += past - first;
  return counts;
}

function drawSeconds(canvas, runs, total, colours) {
  const ctx = canvas.getContext("2d");
  const { width: wide, height: high } = canvas;
  const unit = devicePixelRatio;
  ctx.clearRect(0, 0, wide, high);
  for (const [letter, form] of Object.entries(SECONDS)) {
    ctx.fillStyle = colours[form.colour];
    for (const [which, first, past] of runs) {
      if (which !== letter) continue;
      const left = Math.round((first / total) * wide);
      const right = Math.max(Math.round((past / total) * wide), left + (form.least ?? 0) * unit);
      // What is drawn over its neighbours first takes them away: a hole has to look like one.
      if (form.least) ctx.clearRect(left, 0, right - left, high);
      if (form.stripes) stripes(ctx, left, right, high, unit);
      else ctx.fillRect(left, form.top * high, right - left, form.high * high);
    }
  }
}

function stripes(ctx, left, right, high, unit) {
  for (let y = 0; y < high; y += 3 * unit) ctx.fillRect(left, y, right - left, 1.5 * unit);
}

class CoverageStrip {
  constructor() {
    this.canvas = el("canvas");
    this.legend = new CoverageLegend();
    this.node = el("div", "coverage", this.canvas, this.legend.node);
    this.node.tabIndex = 0;
    this.node.setAttribute("role", "img");
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(this.node);
  }

  paint(contract, colours) {
    const total = contract ? contract.end_s - contract.start_s : 0;
    const shown = contract !== null && contract.phase !== "upcoming";
    show(this.node, shown);
    if (!shown) return;
    if (this.colours === colours && this.letters === contract.coverage && this.total === total) return;
    this.total = total;
    this.letters = contract.coverage;
    this.colours = colours;
    this.draw();
  }

  draw() {
    if (!this.colours || !this.canvas.width) return;
    const runs = secondRuns(this.letters ?? "", this.total);
    const counts = secondCounts(runs);
    drawSeconds(this.canvas, runs, this.total, this.colours);
    const text = Object.entries(SECONDS)
      .filter(([letter]) => counts[letter] > 0)
      .map(([letter, { word }]) => `${counts[letter]} ${word}`)
      .join(", ");
    this.node.setAttribute("aria-label", `Seconds of the settlement feed in this window: ${text}`);
    this.legend.paint(counts, this.colours);
  }

  resize() {
    const { clientWidth: wide, clientHeight: high } = this.canvas;
    const [w, h] = [wide, high].map((value) => Math.round(value * devicePixelRatio));
    if (!w || (this.canvas.width === w && this.canvas.height === h)) return;
    this.canvas.width = w;
    this.canvas.height = h;
    this.draw();
  }

  close() {
    this.sizes.disconnect();
  }
}

// Shown while the strip is pointed at or focused; its samples are drawn by the strip's own brush.
class CoverageLegend {
  constructor() {
    this.node = el("div", "coverage-legend", el("span", "caption", "Seconds of the settlement feed"));
    this.entries = new Map();
    for (const [letter, { word }] of Object.entries(SECONDS)) {
      const sample = el("canvas");
      const count = el("b");
      this.entries.set(letter, { sample, count });
      this.node.append(el("span", "entry", sample, `${word} `, count));
    }
  }

  paint(counts, colours) {
    for (const [letter, { sample, count }] of this.entries) put(count, number(counts[letter], 0));
    if (this.colours === colours) return;
    this.colours = colours;
    for (const [letter, { sample }] of this.entries) {
      sample.width = sample.height = Math.round(10 * devicePixelRatio);
      drawSeconds(sample, [[letter, 0, 1]], 1, colours);
    }
  }
}
