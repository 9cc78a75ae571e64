// Orders and what became of each.

const ORDER_STATES = {
  intended: ["ring", "quiet"],
  signed: ["ring", "watch"],
  sent: ["half", "watch"],
  filled: ["disc", "good"],
  partial: ["half", "good"],
  killed: ["cross", "quiet"],
  denied: ["cross", "warn"],
  rejected: ["cross", "warn"],
  failed: ["warning", "alarm"],
  unknown: ["warning", "alarm"],
};

const ORDER_COLUMNS = [
  { label: "UTC" },
  { label: "window" },
  { label: "side" },
  { label: "limit", numeric: true },
  { label: "$", numeric: true },
  { label: "state" },
  { label: "shares", numeric: true },
  { label: "average", numeric: true },
  { label: "fee", numeric: true },
  { label: "why" },
];

// An order takes two rows: what it is, and its life below it.
class OrdersPanel {
  constructor() {
    this.table = table("orders", ORDER_COLUMNS);
    this.lives = new Map();
    this.empty = el(
      "p",
      "empty",
      "No orders yet. One appears here when a window is in its hammer seconds and every gate holds.",
    );
    this.panel = panel("Orders and fills", "orders-panel", el("div", "scroll", this.table.node), this.empty);
    this.node = this.panel.node;
  }

  paint({ store }) {
    const orders = [...(store.slow.orders ?? [])].sort(
      (a, b) => b.at_ms - a.at_ms || (b.order_id > a.order_id ? 1 : -1),
    );
    show(this.empty, orders.length === 0);
    show(this.table.node, orders.length > 0);
    put(this.panel.extra, orders.length ? number(orders.length, 0) : "");
    const rows = orders.flatMap((order) => [
      { key: order.order_id, order },
      { key: `${order.order_id} life`, order, life: true },
    ]);
    fillTable(
      this.table,
      rows,
      (row) => row.key,
      (cells, row, node) => (row.life ? this.putLife(cells, row, node) : putOrder(cells, row.order, node)),
    );
    for (const key of this.lives.keys()) if (!rows.some((row) => row.key === key)) this.lives.delete(key);
  }

  putLife(cells, { key, order }, node) {
    let life = this.lives.get(key);
    if (!life) {
      life = new OrderLife();
      this.lives.set(key, life);
      node.className = "life";
      cells[0].colSpan = ORDER_COLUMNS.length;
      cells[0].append(life.node);
      for (const cell of cells.slice(1)) cell.remove();
    }
    life.paint(order);
  }
}

function putOrder(cells, order, row) {
  row.classList.add("order");
  put(cells[0], clock(order.at_ms));
  hint(cells[0], `${localTime(order.at_ms)}\n${order.order_id}\n${order.venue_order_id}`);
  put(cells[1], windowName(order.slug));
  hint(cells[1], order.slug);
  putOutcome(cells[2], order.outcome);
  put(cells[3], sharePrice(order.limit_price));
  put(cells[4], order.side === "SELL" ? "sell" : number(order.usd));
  putState(cells[5], order.state, ORDER_STATES[order.state] ?? ["warning", "alarm"]);
  put(cells[6], order.filled_shares ? number(order.filled_shares) : DASH);
  put(cells[7], known(order.average_price) ? number(order.average_price, 4) : DASH);
  put(cells[8], order.filled_shares ? dollars(order.fee) : DASH);
  put(cells[9], words(order.reason));
  row.classList.toggle("dim", order.state === "killed" || order.state === "denied");
}

// ``send_ms`` counts from the intent, as ``sign_ms`` does; a step is what it took by itself.
const LIFE_STEPS = [
  ["sign", "signed", (order) => order.sign_ms],
  ["send", "first byte", ({ sign_ms: sign, send_ms: send }) => (known(sign) && known(send) ? send - sign : send)],
  ["answer", "answered", (order) => order.answer_ms],
];

// The steps an order has taken: a bar as long as each took, the same in words, and what came of it afterwards.
class OrderLife {
  constructor() {
    this.parts = LIFE_STEPS.map(([name]) => el("i", name));
    this.bar = el("span", "waterfall", ...this.parts);
    this.steps = el("span", "steps");
    this.after = el("span", "after");
    this.node = el("div", "order-life", this.bar, this.steps, this.after);
    this.bar.setAttribute("aria-hidden", "true");
  }

  paint(order) {
    LIFE_STEPS.forEach(([, , tookOf], index) => {
      const took = tookOf(order);
      const value = `${known(took) ? Math.max(took, 0.01) : 0} 0 0px`;
      if (this.parts[index].dataset.flex === value) return;
      this.parts[index].dataset.flex = value;
      this.parts[index].style.flex = value;
    });
    const steps = LIFE_STEPS.map(([, word, tookOf]) => [word, tookOf(order)]).filter(([, took]) => known(took));
    const taken = steps.map(([word, took]) => `${word} ${number(took, took < 10 ? 1 : 0)} ms`);
    show(this.bar, steps.length > 0);
    const end = order.settlement ? [`trade ${words(order.settlement).toLowerCase()}`] : [];
    put(this.steps, ["intended", ...taken, order.state, ...end].join(" → "));
    put(this.after, afterwards(order));
  }
}

function afterwards(order) {
  const marks = Object.entries(order.markouts ?? {}).map(([after, usd]) => `${after} s ${cents(usd)}`);
  const assumed = (order.assumed ?? []).map(
    ({ name, shares, average_price: price }) =>
      `${words(name)} ${shares ? `${number(shares, 1)} at ${number(price, 4)}` : "no fill"}`,
  );
  return [
    marks.length ? `markout ${marks.join(", ")}` : "",
    assumed.length ? `paper assumptions: ${assumed.join(" · ")}` : "",
    known(order.settled_value) ? `paid ${number(order.settled_value)} a share` : "",
  ]
    .filter(Boolean)
    .join(" · ");
}

function putState(cell, state, [shapeName, toneName]) {
  if (cell.dataset.state === state) return;
  cell.dataset.state = state;
  const mark = chip("state");
  putChip(mark, shapeName, state, toneName);
  cell.replaceChildren(mark.node);
}
