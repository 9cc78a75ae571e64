// The edge now: what our order pays, what breaks even, what we believe, and the market's own fee.

// Both sides now, on one scale of 0 to 100: average price, break-even, own probability; and the market's own fee.
class EdgePanel {
  constructor() {
    this.sides = [new EdgeBar("UP"), new EdgeBar("DOWN")];
    this.curve = new FeeCurve();
    this.empty = el("p", "empty", "Waiting for a strike and a book: the edge is what they are compared by.");
    this.body = el("div", "edge-body", ...this.sides.map((side) => side.node), this.curve.node);
    this.panel = panel("Edge now", "edge", this.body, this.empty);
    this.node = this.panel.node;
  }

  paint({ contract }) {
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
    put(this.words, `p̂ ${probability(p)} · average ${number(cost, 3)} · break-even ${percent(even)}`);
    hint(this.words, "average: what a share of the whole order costs, over every ask that it takes");
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
    const side = (name, cost, fee) => (known(cost) ? `${name} ${number(fee * 100)}¢ at ${number(cost, 3)}` : "");
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
